// The head of every page: light or dark, the sections of the page, and where one is among them.
{
  const find = selector => document.querySelector(selector);

  // --- light or dark: as the address says, else as one chose, else as the system is

  const KEY = "qdemo theme";
  const system = matchMedia("(prefers-color-scheme: dark)");
  const THEMES = ["light", "dark"];
  let chosen = null;  // for this page, where a browser can't keep it

  function keep(theme) {
    try {
      localStorage.setItem(KEY, theme);
      chosen = null;
    } catch { chosen = theme; }
  }

  function stored() {
    try { return localStorage.getItem(KEY); } catch { return null; }
  }

  const kept = () => chosen ?? stored();

  const asked = () => new URLSearchParams(location.search).get("__theme");
  const isDark = () => [asked(), kept(), system.matches ? "dark" : "light"]
    .find(theme => THEMES.includes(theme)) === "dark";

  function paint() {
    const dark = isDark();
    if (document.body.classList.contains("dark") !== dark) document.body.classList.toggle("dark", dark);
    find("#theme").ariaPressed = String(dark);
  }

  function turn() {
    keep(isDark() ? "light" : "dark");
    const url = new URL(location.href);
    if (asked()) {  // a reload is not to undo it
      url.searchParams.set("__theme", kept());
      history.replaceState(history.state, "", url);
    }
    paint();
  }

  // Where it can't be kept, the links carry it.
  function carry(link) {
    if (chosen === null || link.origin !== location.origin) return;
    const url = new URL(link.href);
    url.searchParams.set("__theme", chosen);
    link.href = url;
  }

  // --- the sections: the headings that the page has, by the names that they have

  const HEADINGS = ".section h2, .prose-page h2";
  const slug = text => text.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "");
  const title = heading => heading.textContent.trim();
  let headings = [], listed = [];

  // As gradio's description of the page has them, before they stand in it.
  function foretell() {
    const page = document.createElement("template");
    page.innerHTML = window.gradio_config.components
      .map(({type, props}) => type === "html" ? props.value ?? "" : "").join("");
    show([...page.content.querySelectorAll(HEADINGS)]);
  }

  function list() {
    headings = [...document.querySelectorAll(HEADINGS)].filter(heading => heading.checkVisibility());
    for (const heading of headings) heading.id ||= slug(title(heading));
    if (headings.length >= listed.length) show(headings);
    where();
  }

  function show(headings) {
    const titles = headings.map(title);
    if (titles.join("\n") === listed.join("\n")) return;
    listed = titles;
    const bar = find("#sections");
    bar.replaceChildren(link("", bar.dataset.first), ...titles.map(title => link(slug(title), title)));
    where();
  }

  function link(id, title) {
    const made = document.createElement("a");
    made.href = `#${id}`;
    made.dataset.section = id;
    made.textContent = title;
    return made;
  }

  // The address behind the # is the page's own: a jump leaves it as it is.
  function jump(id) {
    const heading = id ? document.getElementById(id) : null;
    const behavior = qdemo.calm() ? "instant" : "smooth";
    if (!heading) return scrollTo({top: 0, behavior});
    heading.scrollIntoView({behavior, block: "start"});
    heading.tabIndex = -1;
    heading.focus({preventScroll: true});
  }

  // The last heading that has gone under the bars, or is about to.
  function where() {
    const line = find("#head").getBoundingClientRect().bottom + 60;
    const shown = headings.filter(heading => heading.isConnected);
    const end = innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
    const passed = shown.filter(heading => heading.getBoundingClientRect().top < line);
    const at = end && scrollY > 0 ? shown.at(-1) : passed.at(-1);
    for (const each of document.querySelectorAll("#sections a")) {
      const isHere = each.dataset.section === (at?.id ?? "");
      if (isHere === each.hasAttribute("aria-current")) continue;
      each.toggleAttribute("aria-current", isHere);
      if (!isHere) continue;
      each.setAttribute("aria-current", "location");
      const bar = each.parentElement;
      bar.scrollTo({left: each.offsetLeft - bar.clientWidth / 2 + each.offsetWidth / 2});
    }
  }

  // --- the head is there, and nothing else yet

  function begin() {
    if (THEMES.includes(asked())) keep(asked());
    paint();
    new MutationObserver(paint).observe(document.body, {attributeFilter: ["class"]});  // gradio's own way
    system.addEventListener("change", paint);
    addEventListener("pageshow", paint);
    addEventListener("storage", paint);
    find("#theme").addEventListener("click", turn);
    find("#to-stage")?.addEventListener("click", () => window.qdemoStage?.toggle());
    addEventListener("scroll", where, {passive: true});
    for (const kind of ["resize", "scrollend"]) addEventListener(kind, where);
    new ResizeObserver(where).observe(document.body);  // what is above a heading may grow after a jump
    const page = find("#head [aria-current=page]");
    page.parentElement.scrollLeft = page.offsetLeft - page.parentElement.offsetLeft - 24;
    foretell();
    let frame = null;
    new MutationObserver(() => {
      frame ??= requestAnimationFrame(() => { frame = null; list(); });
    }).observe(document.body, {childList: true, subtree: true});
    document.addEventListener("click", event => {
      const link = event.target.closest?.("a[href]");
      if (!link) return;
      if (link.dataset.section === undefined) return carry(link);
      event.preventDefault();
      jump(link.dataset.section);
    });
  }

  window.qdemoHead = {begin, isDark};
}
