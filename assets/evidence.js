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
}

function told(point) {
  const line = point.closest("figure").querySelector(".picked");
  line.textContent = point.getAttribute("aria-label");
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
element.addEventListener("pointerover", event => pointOf(event) && told(pointOf(event)));
element.addEventListener("focusin", event => pointOf(event) && told(pointOf(event)));
element.addEventListener("click", event => choose(pointOf(event)?.dataset.format));
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
