// Cells that can be chosen: a click tells which, arrows move from one to the next.
element.addEventListener("click", event => {
  const cell = event.target.closest("button[data-column]");
  if (!cell) return;
  if (cell.dataset.format) trigger("select", {...cell.dataset});
  else qdemo.put("cell", `${cell.dataset.row},${cell.dataset.column}`);
});
element.addEventListener("keydown", event => {
  const moves = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]};
  const move = moves[event.key], cell = event.target.closest("button[data-column]");
  if (!move || !cell) return;
  const [row, column] = [Number(cell.dataset.row) + move[0], Number(cell.dataset.column) + move[1]];
  const next = cell.closest("[data-grid]").querySelector(`[data-row="${row}"][data-column="${column}"]`);
  if (next) { event.preventDefault(); next.focus(); }
});
// What is another number by now moves into its place, unless a person asked for less motion.
if (!qdemo.calm()) {
  new MutationObserver(changes => {
    const cells = new Set(changes.map(({target}) =>
      (target.nodeType === Node.TEXT_NODE ? target.parentElement : target)?.closest("button[data-column]")));
    cells.delete(null);
    cells.delete(undefined);
    for (const cell of cells) {
      cell.animate([{transform: "translateY(-0.5em)", opacity: 0.2}, {}], {duration: 300, easing: "ease-out"});
    }
  }).observe(element, {characterData: true, childList: true, subtree: true});
}
// What was opened stays open: gradio puts what comes anew in the place of what was there.
const opened = new Set();
const nameOf = details => details.closest("[data-row]")?.dataset.row ?? "later";
element.addEventListener("click", event => {
  const details = event.target.closest("summary")?.parentElement;
  if (details) opened[details.open ? "delete" : "add"](nameOf(details));
});
new MutationObserver(() => {
  for (const details of element.querySelectorAll("details")) {
    if (!details.open && opened.has(nameOf(details))) details.open = true;  // or it goes round
  }
}).observe(element, {childList: true, subtree: true, attributeFilter: ["open"]});
