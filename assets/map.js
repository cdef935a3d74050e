// The map of matrices: one cell is reached by the tab key, arrows move from there, Enter or a click
// chooses its layer. There are thousands: each is made here of its letter, and gets its name when it
// is reached.
const part = name => element.querySelector(name);
const rows = () => [...element.querySelectorAll("tbody tr")];
const cellsOf = row => [...row.querySelectorAll("td:not(.span)")];
const without = {me: "exact", mo: "overflowed", mn: "none"};

const called = row => row.querySelector("th").textContent;
const cellOf = level => Object.assign(document.createElement("td"), {className: `m${level}`});

function placeOf(cell) {
  const row = cell.closest("tr");
  return {row, x: cellsOf(row).indexOf(cell), y: rows().indexOf(row)};
}

function told(cell) {
  const {row, x} = placeOf(cell), {dataset: words} = part(".map");
  const names = part("table").dataset.names.split("\n"), db = row.dataset.db.split(" ");
  const values = {format: called(row), layer: names[x], decibels: db[x]};
  const text = words[without[cell.classList[0]] ?? "told"];
  return text.replace(/{(\w+)}/g, (all, name) => values[name] ?? all);
}

function reached(cell) {
  const text = told(cell);
  cell.title = cell.ariaLabel = text;
  part(".picked").textContent = text;
}

function mark(place) {
  const table = part("table");
  if (!table) return;
  const chosen = table.dataset.places.split(" ").indexOf(String(place));
  for (const row of rows()) {
    cellsOf(row).forEach((cell, x) => {
      if (x === chosen) cell.ariaSelected = "true";
      else if (cell.ariaSelected) cell.ariaSelected = null;
    });
  }
}

let turn = 0;  // so that the same layer can be chosen again after another one by its name

const isOnPage = () => document.querySelector("#layer");  // a file has no errors of a layer

function choose(cell) {
  const place = part("table").dataset.places.split(" ")[placeOf(cell).x];
  go(cell);
  mark(place);
  if (isOnPage()) {
    part(".picked").textContent += `. ${part(".map").dataset.above}`;
    offer(cell, place);
  }
  qdemo.put("layer", `${place} ${++turn}`);
}

// What can be done with the layer that is chosen, in the format of its row.
function offer(cell, place) {
  const {row, x} = placeOf(cell), label = part(".operations b"), {format} = row.dataset;
  const values = {format: called(row), layer: part("table").dataset.names.split("\n")[x].replace(/\.[^.]*$/, "")};
  label.textContent = label.dataset.told.replace(/{(\w+)}/g, (all, name) => values[name] ?? all);
  Object.assign(part(".operations").dataset, {format, place});
  part(".operations").hidden = false;
  refuse("");
}

function refuse(why) {
  const line = part(".refused");
  if (line) line.textContent = why;
}

function operate(button) {
  const {format, place} = part(".operations").dataset, {way} = button.dataset;
  refuse("");
  qdemo.put("operate", JSON.stringify({format, place, way, turn: ++turn}));
}

function go(cell) {
  part("td[tabindex]")?.removeAttribute("tabindex");
  cell.tabIndex = 0;
  cell.focus();
}

function move(from, dx, dy) {
  const {x, y} = placeOf(from), row = rows()[y + dy], cell = row && cellsOf(row)[x + dx];
  if (cell) go(cell);
}

const isCell = target => target.matches?.(".map tbody td:not(.span)");
const MOVES = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};

element.addEventListener("pointerover", event => isCell(event.target) && reached(event.target));
element.addEventListener("focusin", event => isCell(event.target) && reached(event.target));
element.addEventListener("click", event => {
  if (isCell(event.target)) choose(event.target);
  else if (event.target.matches("[data-way]")) operate(event.target);
});
element.addEventListener("keydown", event => {
  if (!isCell(event.target)) return;
  if (MOVES[event.key]) move(event.target, ...MOVES[event.key]);
  else if (event.key === "Enter" || event.key === " ") choose(event.target);
  else return;
  event.preventDefault();
});
document.addEventListener("layer", event => mark(event.detail));
document.addEventListener("refused", event => refuse(event.detail));

function draw() {
  for (const row of rows()) {
    if (!cellsOf(row).length) row.lastElementChild.before(...[...row.dataset.levels].map(cellOf));
  }
  const first = rows().length && cellsOf(rows()[0])[0];
  if (first) first.tabIndex = 0;
  const pick = part(".pick");
  if (pick) pick.hidden = !isOnPage();
}
draw();
watch("value", draw);
