// Each cell of the ribbon becomes a choice with a name, which is as long for every one of hundreds.
function draw() {
  const {dataset: words} = element.querySelector(".ribbon");
  const steps = words.steps.split(" ").map(Number);
  const sizeOf = kl => Number(kl.replaceAll(",", ""));  // thousands are set apart for who reads them
  const stepOf = kl => kl ? steps.filter(step => sizeOf(kl) >= step).length : steps.length;
  const tokens = [...element.querySelectorAll("thead th")].slice(1).map(head => head.textContent);
  for (const row of element.querySelectorAll("tbody tr")) {
    for (const [i, cell] of [...row.querySelectorAll("td")].entries()) {
      const [own, {kl}] = [cell.textContent, cell.dataset];
      const told = {format: row.dataset.format, position: i + 1, token: tokens[i], own};
      told.kl = kl ? filled(words.nats, {kl}) : words.none;
      const name = filled(own ? words.other : words.same, told);
      cell.replaceChildren(choice(`kl${stepOf(kl)}`, i, name, own));
    }
  }
  const first = element.querySelector("input");  // whatever was chosen before
  if (first) first.checked = true;
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

element.addEventListener("change", event => qdemo.put("position", event.target.value));
draw();
watch("value", draw);
