// What a page begins with, drawn from gradio's description of it, which is in the page, before
// gradio's own scripts have run: the same rows and columns, what we made ourselves as it is, controls
// with their words, charts as empty boxes of their height. It stands in a shadow, where its names
// stand in nobody's way, until gradio's page is whole; then that takes its place.
// What a part waits for that is to be shown once the page can be used, or at once where something is
// asked for: gradio draws no chart that changed before it was there.
{
  let isWhole;
  const whole = new Promise(done => isWhole = done);
  window.qdemoLater = () => whole.then(() => ({__type__: "update", visible: true}));
  window.qdemoLater.now = () => isWhole();
}
window.qdemoFirstPaint = () => {
  const PATIENCE = 2_000;  // ms for the letters
  const LONGEST = 10_000;  // ms until it goes whatever is there: a part that never comes
  const STILL = 6;  // frames of one height after which nothing more jumps
  const ASKED = 400;  // ms that a page waits for its parts whose address asks for something
  const {components, layout} = window.gradio_config;
  const parts = new Map(components.map(part => [part.id, part]));
  const escaped = text => String(text ?? "").replace(/[&<>"]/g, sign => `&#${sign.charCodeAt(0)};`);
  const isShown = ({props}) => props.visible === true || props.visible === undefined;
  const within = pixels => pixels === undefined || pixels === null ? "" : `min-width:min(${pixels}px,100%);`;

  // --- of each kind of component, what is in it

  const label = ({label, info, show_label}) => (show_label === false ? "" :
    `<span class="label${info ? " has-info" : ""}">${escaped(label)}</span>`)
    + (info ? `<div class="info-text">${escaped(info)}</div>` : "");

  const choices = (kind, chosen) => ({choices}) => `<div class="wrap options">${choices.map(([text, value]) =>
    `<label class="${chosen(value) ? "selected" : ""}"><i class="${kind}"></i><span>${escaped(text)}</span></label>`
  ).join("")}</div>`;

  const INSIDE = {
    html: ({value}) => `<div class="html-container"><div>${value ?? ""}</div></div>`,
    plot: ({value}) => `<div class="js-plotly-plot" style="height:${height(value)}px"></div>`,
    textbox: props => label(props)
      + `<div class="input" style="min-height:${22.4 * (props.lines || 1) + (props.max_lines === 1 ? 22 : 20)}px;${
        props.max_lines > 1 ? `max-height:${22.4 * props.max_lines + 20}px` : ""}">${
        escaped(props.value) || `<span class="placeholder">${escaped(props.placeholder)}</span>`}</div>`,
    slider: props => `<div class="head">${label(props)}<span class="number">${escaped(props.value)}</span></div>`
      + `<div class="track"><small>${props.minimum}</small><i style="--at:${
        (props.value - props.minimum) / (props.maximum - props.minimum)}"></i><small>${props.maximum}</small></div>`,
    radio: props => label(props) + choices("round", value => value === props.value)(props),
    checkboxgroup: props => label(props)
      + choices("square", value => (props.value ?? []).includes(value))(props),
    checkbox: props => `<label class="one"><i class="square"></i><span>${escaped(props.label)}</span></label>`,
    dropdown: props => label(props) + `<div class="wrap input drop">${
      escaped(props.choices.find(([, value]) => value === props.value)?.[0])}</div>`,
    button: ({value}) => escaped(value),
    accordion: ({label}) => `<div class="label-wrap"><span>${escaped(label)}</span></div>`,
    dataset: ({label, samples}) => `<div class="examples">${escaped(label)}</div><div class="gallery">${
      samples.map(([text]) => `<span class="gallery-item">${escaped(text)}</span>`).join("")}</div>`,
  };

  function height(value) {
    try { return JSON.parse(value.plot).layout.height ?? 0; } catch { return 0; }
  }

  // --- the page

  const HOLDERS = ["row", "column", "form"];

  function drawn({id, children = []}) {
    const part = parts.get(id);
    if (!part) return children.map(drawn).join("");
    const {type, props} = part;
    if (!isShown(part) || !(HOLDERS.includes(type) || INSIDE[type])) return "";
    const inside = HOLDERS.includes(type) ? children.map(drawn).join("")
      : INSIDE[type](props);
    if (type === "form" && !inside) return "";  // as gradio has it
    const name = props.elem_id ? `id="${escaped(props.elem_id)}"` : "";
    return `<div ${name} class="${classes(type, props)}" style="${style(type, props)}">${inside}</div>`;
  }

  function classes(type, props) {
    const own = [].concat(props.elem_classes ?? []);
    if (HOLDERS.includes(type)) {
      return [type, type !== "row" ? "" : props.equal_height ? "stretch" : "unequal-height", ...own].join(" ");
    }
    if (type === "button") return [type, props.size ?? "lg", props.variant, ...own].join(" ");
    const bare = ["html", "plot", "dataset"].includes(type) || props.container === false;
    return ["block", bare ? "hide-container" : "padded", `is-${type}`, ...own].join(" ");
  }

  const style = (type, props) =>
    (type === "column" || props.scale != null ? `flex-grow:${props.scale ?? 1};` : "") + within(props.min_width);

  // What the address names was not there when it was read: it is gone to as often as the page grows,
  // until somebody goes elsewhere.
  function follow() {
    const named = document.getElementById(location.hash.slice(1));
    if (!named) return;
    const grown = new ResizeObserver(() => named.scrollIntoView());
    grown.observe(document.body);
    for (const own of ["wheel", "touchstart", "keydown", "pointerdown"]) {
      addEventListener(own, () => grown.disconnect(), {once: true});
    }
  }

  // --- and when gradio's own is there

  const named = ({id, props}) => document.getElementById(props.elem_id || `component-${id}`);
  const awaited = [];

  function collect({id, children = []}) {
    const part = parts.get(id);
    if (part && !isShown(part)) return;
    if (part && INSIDE[part.type]) awaited.push(part);
    if (part?.type !== "accordion") children.forEach(collect);
  }

  function isThere(part) {
    if (part.type === "html" && !part.props.elem_id) return true;  // it has no name, and comes with those
    const element = named(part);
    if (part.type !== "html" || !part.props.value) return Boolean(element);
    return Boolean(element?.querySelector(".html-container > div > *"));
  }

  // A chart takes its place before it is drawn, and keeps it while it is drawn anew.
  const places = document.createElement("style");
  places.textContent = components.filter(({type, props}) => type === "plot" && props.elem_id)
    .map(({props}) => `#${props.elem_id}:not(:has(.main-svg)){min-height:calc(${height(props.value)}px + 1.4rem + 2px)}`)
    .join("");
  document.head.append(places);

  const host = document.querySelector("#first-paint");
  const shadow = host.attachShadow({mode: "closed"});
  const sheet = new CSSStyleSheet();
  // Ours as it is written: rules that a browser writes lose a border with variables whose one side differs.
  const written = ({ownerNode, cssRules}) => ownerNode.localName === "style" ? ownerNode.textContent
    : [...cssRules].map(rule => rule.cssText).join("\n");
  sheet.replaceSync([...document.styleSheets].map(written).join("\n"));
  shadow.adoptedStyleSheets = [sheet];
  shadow.innerHTML = `<div class="first-paint gradio-container ${document.body.className}">${drawn(layout)}</div>`;
  qdemo.cards.arrange(shadow);
  // Words wait for their letters, or they would move when those come.
  const fonts = ["400 1em Source Sans Pro", "700 1em Source Sans Pro", "400 1em IBM Plex Mono", "700 1em IBM Plex Mono"];
  const seen = () => host.style.visibility = "visible";
  host.style.visibility = "hidden";
  Promise.all(fonts.map(font => document.fonts.load(font))).then(seen, seen);
  setTimeout(seen, PATIENCE);
  new MutationObserver(() => {
    shadow.firstChild.classList.toggle("dark", document.body.classList.contains("dark"));
  }).observe(document.body, {attributeFilter: ["class"]});
  collect(layout);
  const root = document.documentElement;
  root.classList.add("coming");
  const begun = performance.now(), asks = location.hash.includes("=");
  let before = -1, still = 0, there = null;
  // What an address asks for changes what is seen here, and may hide a part that would be waited for.
  const isDone = all => asks ? all || performance.now() - (there ?? Infinity) > ASKED : all && still >= STILL;
  (function look() {
    const now = document.querySelector(".gradio-container main")?.offsetHeight ?? -1;
    still = now > 0 && now === before && document.fonts.status === "loaded" ? still + 1 : 0;
    if (now > 0) there ??= performance.now();
    before = now;
    const isOver = performance.now() - begun >= LONGEST;
    if (!isOver && !isDone(awaited.every(isThere))) return requestAnimationFrame(look);
    host.remove();
    root.classList.remove("coming");
    qdemoLater.now();
    follow();
  })();
};
