// How the answers stand: under or beside each other, as one likes; what more a card has to say; and
// on a phone which two of them. In the page from its first paint on.
(window.qdemo ??= {}).cards = (() => {
  const KEY = "qdemo layout";
  const CELLS = 128;  // of a strip
  const find = selector => document.querySelector(selector);
  const all = selector => [...document.querySelectorAll(selector)];
  const kept = (() => { try { return localStorage; } catch { return null; } })();
  let shownPair = [null, null], chosen = [null, null];  // the formats that stand side by side where there is no room for more

  const layout = root => find("html").dataset.layout ?? (root.querySelector(".results.many") ? "rows" : "columns");

  function choose(name, root = document) {
    if (name) find("html").dataset.layout = name;
    for (const button of root.querySelectorAll(".layout button")) {
      button.ariaPressed = String(button.dataset.layout === layout(root));
    }
  }

  function open(card, isOpen) {
    card.toggleAttribute("data-open", isOpen);
    const button = card.querySelector("button.open");
    if (button) button.ariaExpanded = String(isOpen);
  }

  // Two that are there: those chosen before, else fp32 and the first that says something else.
  function pair(cards) {
    const names = cards.map(card => card.dataset.format);
    const other = cards.findIndex(card => card.querySelector("mark"));
    const usual = [names[0], names[other > 0 ? other : names.length - 1]];
    return chosen.map((name, i) => names.includes(name) ? name : usual[i]);
  }

  // A cell a token; of a long text one for several, which is as the worst of them.
  function cells(steps) {
    const together = Math.ceil(steps.length / CELLS);
    return Array.from({length: Math.ceil(steps.length / together)}, (_, i) => {
      const some = steps.slice(i * together, (i + 1) * together), worst = some.toSorted().at(-1);
      const cell = Object.assign(document.createElement("i"), {className: `kl${worst}`});
      cell.dataset.at = i * together + some.indexOf(worst);
      return cell;
    });
  }

  // What is the same on every card is not sent with each: cells of a strip, and terms as buttons.
  function draw(results) {
    for (const strip of results.querySelectorAll(".strip:empty")) {
      strip.append(...cells([...strip.dataset.steps]));
    }
    for (const part of results.querySelectorAll("[data-term]:not(.term)")) {
      const button = Object.assign(document.createElement("button"), {type: "button", className: "term"});
      button.dataset.term = part.dataset.term;
      part.removeAttribute("data-term");
      button.append(...part.childNodes);
      part.append(button);
    }
  }

  function arrange(root = document) {
    for (const results of root.querySelectorAll(".results")) {
      draw(results);
      const cards = [...results.querySelectorAll(".card")], [left, right] = shownPair = pair(cards);
      for (const card of cards) {
        card.toggleAttribute("data-chosen", [left, right].includes(card.dataset.format));
        card.style.order = card.dataset.format === left ? -1 : "";
      }
      for (const [i, select] of [...root.querySelectorAll(".layout select")].entries()) {
        const names = cards.map(card => card.dataset.format);
        if ([...select.options].map(one => one.value).join() !== names.join()) {
          const called = cards.map(card => card.querySelector("h3").textContent);
          select.replaceChildren(...names.map((name, at) => new Option(called[at], name)));
        }
        select.value = [left, right][i];
      }
    }
    const way = find("html").dataset.layout;  // the first paint has a root of its own
    if (root !== document && way) root.firstElementChild.dataset.layout = way;
    choose(null, root);
  }

  document.addEventListener("click", event => {
    const way = event.target.closest(".layout button");
    if (way) {
      choose(way.dataset.layout);
      try { kept?.setItem(KEY, way.dataset.layout); } catch {}
    }
    const card = event.target.closest(".card button.open")?.closest(".card");
    if (card) open(card, !card.hasAttribute("data-open"));
    const cell = event.target.closest(".strip i");
    if (cell) toToken(cell.dataset.at);
  });

  // A token of a strip is that of the ribbon, which has more room.
  function toToken(position) {
    find("#ribbon")?.scrollIntoView({block: "center"});
    find(`#ribbon input[value="${position}"]`)?.click();
  }

  // One that a person waits for is seen on a phone too, beside the one that was on the left.
  function bring(format) {
    chosen = [shownPair[0] === format ? null : shownPair[0], format];
    arrange();
  }

  document.addEventListener("change", event => {
    const select = event.target.closest(".layout select");
    if (!select) return;
    const [left, right] = all(".layout select"), before = shownPair;
    chosen = [left.value, right.value];
    if (left.value === right.value) chosen = select === left ? [left.value, before[0]] : [before[1], right.value];
    arrange();
  });

  let stored = null;
  try { stored = kept?.getItem(KEY); } catch {}
  if (["rows", "columns"].includes(stored)) find("html").dataset.layout = stored;
  return {arrange, bring, open};
})();
