"""What is measured of the design: sizes of text, what is cut, what moves, formats' colours."""

PAGES = ("/", "/evidence", "/formats", "/casting", "/linear", "/methods", "/about")
SIZES = {
    "1920": {"width": 1920, "height": 1080},
    "1366": {"width": 1366, "height": 768},
    "125%": {"width": 1536, "height": 864},
    "phone": {"width": 390, "height": 844},
}

WATCH = """
window.moved = [];
new PerformanceObserver(list => {
  for (const shift of list.getEntries()) {
    const what = shift.sources.map(({node}) => node?.id || node?.className || node?.nodeName);
    if (!shift.hadRecentInput) window.moved.push([shift.value, String(what)]);
  }
}).observe({type: "layout-shift", buffered: true});
"""
"""For a page before it is opened: how far things move on it that nobody has touched, and which."""

TEXTS = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  for (let node; node = walker.nextNode();) {
    const element = node.parentElement;
    if (!node.data.trim() || element.closest("script, style, noscript, sub, sup")) continue;
    if (element.style.fontSize.endsWith("%")) continue;  // an exponent in a chart
    if (!element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const box = range.getBoundingClientRect();
    if (box.width < 1 || box.height < 1) continue;
    found.push([parseFloat(getComputedStyle(element).fontSize), node.data.trim().slice(0, 40)]);
  }
  return found.sort(([a], [b]) => a - b);
}"""
"""The sizes in px of all texts that are seen, charts' too, the smallest first."""

CUT = """() => {
  const found = [];
  if (document.documentElement.scrollWidth > innerWidth) found.push("the page scrolls sideways");
  const scrolls = style => ["auto", "scroll"].includes(style.overflowX);
  const grids = "table, .cards, .grids, .steps, .bits, .figures, .ribbon, dl";
  for (const element of document.querySelectorAll(grids)) {
    if (!element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const holder = element.closest(".scroll");
    const isCut = element.scrollWidth > element.clientWidth + 1 && !scrolls(style) && !holder
      && element.tagName !== "TABLE";
    const width = element.getBoundingClientRect().width;
    const sticksOut = !holder && width > element.parentElement.getBoundingClientRect().width + 1;
    if (isCut || sticksOut) found.push(element.outerHTML.slice(0, 120));
  }
  for (const holder of document.querySelectorAll(".scroll")) {
    const isWide = holder.scrollWidth > holder.clientWidth + 1;
    if (!isWide) continue;
    const what = holder.outerHTML.slice(0, 100);
    if (holder.tabIndex < 0 && !holder.querySelector("input, button, a, [tabindex='0']")) {
      found.push(`no key reaches ${what}`);
    }
    const sign = getComputedStyle(holder).backgroundImage;
    if (!sign.includes("gradient")) found.push(`no sign of more ${what}`);
  }
  return found;
}"""
"""Tables and grids that are cut: what is wider than its place scrolls, by key too, and shows it."""

COLOURS = """() => {
  const found = [];
  for (const element of document.querySelectorAll("[data-format]")) {
    const colour = getComputedStyle(element).getPropertyValue("--colour").trim();
    if (colour) found.push([element.dataset.format, colour]);
  }
  for (const plot of document.querySelectorAll(".js-plotly-plot")) {
    for (const trace of plot.data ?? []) {
      const colour = trace.line?.color ?? trace.marker?.color;
      if (typeof colour === "string" && trace.name) found.push([trace.name, colour]);
    }
  }
  return found;
}"""
"""Names and colours of whatever has one: cards, swatches, lines of charts."""
