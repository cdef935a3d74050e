// Each cell of the ribbon becomes a choice with a name, which is as long for every one of hundreds.
function draw() {
  const {dataset: words} = element.querySelector(".ribbon");
  const steps = words.steps.split(" ").map(Number);
  const sizeOf = kl => Number(kl.replaceAll(",", ""));  // thousands are set apart for who reads them
  const stepOf = kl => kl ? steps.filter(step => sizeOf(kl) >= step).length : steps.length;
  const tokens = [...element.querySelectorAll("thead th")].slice(1).map(head => head.textContent);
  for (const row of element.querySelectorAll("tbody tr")) {
    for (const [i, cell] of [...row.querySelectorAll("td")].entries()) {
      const [own, {kl, tie}] = [cell.textContent, cell.dataset], isTie = tie !== undefined;
      const told = {format: row.dataset.format, position: i + 1, token: tokens[i], own};
      told.kl = kl ? filled(words.nats, {kl}) : words.none;
      const name = filled(isTie ? words.tie : own ? words.other : words.same, told);
      cell.replaceChildren(choice(`kl${stepOf(kl)}`, i, name, isTie ? words.tied : own));
    }
  }
  const first = element.querySelector("input");  // whatever was chosen before
  if (first) first.checked = true;
  tell(first);
}

// What is read of a cell, in a line under all of them: of the one looked at, else of the chosen one.
function tell(radio) {
  const line = element.querySelector(".cell-told");
  if (line) line.textContent = (radio ?? element.querySelector("input:checked"))?.ariaLabel ?? "";
}

const radioOf = event => event.target.closest?.("label")?.querySelector("input");

// Left and right go from token to token, up and down from format to format.
function move(event) {
  const steps = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]};
  const step = steps[event.key], cell = event.target.closest?.("td");
  if (!step || !cell) return;
  event.preventDefault();
  const rows = [...element.querySelectorAll("tbody tr")], row = rows.indexOf(cell.parentElement);
  const next = rows[row + step[0]]?.cells[cell.cellIndex + step[1]]?.querySelector("input");
  if (!next) return;
  next.focus();
  next.click();
}

const filled = (text, values) => text.replace(/{(\w+)}/g, (all, name) => values[name] ?? all);

function choice(colour, position, name, own) {
  const label = document.createElement("label"), radio = document.createElement("input");
  Object.assign(radio, {type: "radio", name: "position", value: position, ariaLabel: name});
  label.className = colour;
  label.append(radio);
  if (own) {
    const word = document.createElement("span");
    Object.assign(word, {dir: "auto", textContent: own});
    label.append(word);
  }
  return label;
}

element.addEventListener("change", event => {
  qdemo.put("position", event.target.value);
  tell(event.target);
});
element.addEventListener("keydown", move);
element.addEventListener("focusin", event => event.target.matches("input") && tell(event.target));
element.addEventListener("pointerover", event => {
  const radio = radioOf(event);
  if (radio) radio.parentNode.title = radio.ariaLabel;  // over the cell, too
  tell(radio);
});
element.addEventListener("pointerleave", () => tell());
draw();
watch("value", draw);
