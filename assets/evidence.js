// The chart of an evaluation and its table: a point, or a row, that is clicked is the format whose
// items are shown. One point is reached by the tab key, arrows go from one to the next.
const drawing = () => [...element.querySelectorAll("svg")].find(svg => svg.checkVisibility());
const points = () => [...drawing()?.querySelectorAll(".point") ?? []].sort((a, b) => placeOf(a) - placeOf(b));
const placeOf = point => Number(point.querySelector(".dot").getAttribute("cx"));
const chosen = () => document.querySelector("#evidence-items .judged-items")?.dataset.format;

function mark() {
  const format = chosen();
  for (const point of element.querySelectorAll(".point")) {
    point.setAttribute("aria-pressed", String(point.dataset.format === format));
  }
  for (const row of document.querySelectorAll(".verdicts tr[data-format]")) {
    row.classList.toggle("chosen", row.dataset.format === format);
  }
  const every = points(), first = every.find(point => point.dataset.format === format) ?? every[0];
  for (const point of every) point.setAttribute("tabindex", point === first ? "0" : "-1");
  name(every.find(point => point === looked) ?? every.find(point => point.dataset.format === format));
}

// A point whose name found no room on the chart has it while it is looked at, or chosen.
function name(point) {
  const label = drawing()?.querySelector(".named"), text = point?.dataset.name ?? "";
  if (!label || label.textContent === text) return;
  label.textContent = text;
  if (!text) return;
  const [x, y] = ["cx", "cy"].map(side => Number(point.querySelector(".dot").getAttribute(side)));
  const isLeft = x < drawing().viewBox.baseVal.width / 2;
  label.setAttribute("x", isLeft ? x - 6 : x + 6);
  label.setAttribute("y", Math.max(y - 12, 14));
  label.setAttribute("text-anchor", isLeft ? "start" : "end");
}

let looked = null;  // under the pointer, or reached by key

function told(point) {
  looked = point;
  const line = point.closest("figure").querySelector(".picked");
  line.textContent = point.getAttribute("aria-label");
  name(point);
}

// Points lie on each other: those under the pointer, the one whose middle is nearest first. A name
// and a bar that are away from all middles are of their own point.
function under({clientX, clientY, target}) {
  const own = target.closest?.(".point");
  if (!own || target.closest("text")) return own ? [own] : [];
  const near = points().map(point => {
    const {left, top, width, height} = point.querySelector(".reach").getBoundingClientRect();
    return [Math.hypot(left + width / 2 - clientX, top + height / 2 - clientY), point, width / 2];
  }).filter(([away, , reach]) => away <= reach).sort(([a], [b]) => a - b);
  return near.length ? near.map(([, point]) => point) : [own];
}

// A further click at the same place chooses the next one there.
let last = {x: NaN, y: NaN, turn: 0};
function press(event) {
  const found = under(event), {clientX: x, clientY: y} = event;
  if (!found.length) return;
  const isSame = Math.hypot(x - last.x, y - last.y) < 4;
  last = {x, y, turn: isSame ? last.turn + 1 : 0};
  const point = found[last.turn % found.length];
  point.focus({preventScroll: true});
  told(point);
  choose(point.dataset.format);
}

function choose(format) {
  if (!format || format === "fp32") return;
  qdemo.put("evidence-format", format);
}

function move(from, by) {
  const every = points(), next = every[every.indexOf(from) + by];
  if (!next) return;
  from.setAttribute("tabindex", "-1");
  next.setAttribute("tabindex", "0");
  next.focus();
}

const MOVES = {ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1};
const pointOf = event => event.target.closest?.(".point");
element.addEventListener("pointermove", event => pointOf(event) && told(under(event)[0]));
for (const kind of ["pointerout", "focusout"]) {
  element.addEventListener(kind, () => { looked = null; mark(); });
}
element.addEventListener("focusin", event => pointOf(event) && told(pointOf(event)));
element.addEventListener("click", press);
element.addEventListener("keydown", event => {
  const point = pointOf(event);
  if (!point) return;
  if (MOVES[event.key]) move(point, MOVES[event.key]);
  else if (event.key === "Enter" || event.key === " ") choose(point.dataset.format);
  else return;
  event.preventDefault();
});
document.addEventListener("click", event => {
  const row = event.target.closest(".verdicts tbody tr");
  if (!row || event.target.closest(".term")) return;
  choose(row.dataset.format);
  const items = document.querySelector("#evidence-items");
  if (row.dataset.format === "fp32" || !items) return;
  items.scrollIntoView({block: "center", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "instant" : "smooth"});
});
// The results of what is evaluated from below stand at the top.
document.addEventListener("click", event => {
  if (event.target.closest(".mix .ways a[href^='./evidence']")) scrollTo({top: 0, behavior: "instant"});
});
new MutationObserver(mark).observe(document.body, {childList: true, subtree: true});
addEventListener("resize", mark);
mark();
