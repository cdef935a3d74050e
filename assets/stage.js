// The stage: one idea a screen, for a room. All of it is in the page from the start, in a template, so
// that it goes on without a server; keys, a clicker or taps lead through it.
window.qdemoStage = (() => {
  const MOST = 8;  // rows that a room can read at once
  const LONGEST = 56;  // characters of an answer, as the stories have them
  const KEYS = {
    ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, Enter: 1, ".": 1,
    ArrowLeft: -1, ArrowUp: -1, PageUp: -1, Backspace: -1, ",": -1,
  };
  const guesses = {};  // what was guessed, by the story's key
  let stage = null, at = 0;
  let turned = null;  // the story that the page was turned to, where the stage begins then

  const steps = () => [...stage.querySelectorAll("section")].filter(
    step => step.dataset.step !== "page" || document.querySelector("#cards .card .output"));
  const key = step => `${step.dataset.story ?? ""} ${step.dataset.step}`;

  function build() {
    stage = document.querySelector("#stage-template").content.firstElementChild.cloneNode(true);
    document.body.append(stage);
    stage.addEventListener("close", left);
    stage.addEventListener("click", clicked);
    at = Number(qdemo.recall("stage")) || 0;
  }

  const paint = () => stage.classList.toggle("dark", qdemoHead.isDark());

  function enter() {
    if (!document.body || !document.querySelector("#stage-template")) return;
    if (!stage) build();
    if (stage.open) return;
    for (const shown of document.querySelectorAll(":popover-open")) shown.hidePopover();
    document.documentElement.classList.add("stage");
    paint();
    stage.showModal();  // which makes the page behind it inert
    const begins = steps().findIndex(step => step.dataset.story === turned);
    turned = null;
    go(begins < 0 ? 0 : begins - at);
    stage.focus();
  }

  function left() {
    document.documentElement.classList.remove("stage");
    document.dispatchEvent(new CustomEvent("stage-left", {detail: steps()[at].dataset.story}));
    const query = new URLSearchParams(location.search);
    if (!query.has("stage")) return;
    query.delete("stage");
    history.replaceState(history.state, "", location.pathname + (query.size ? `?${query}` : "") + location.hash);
  }

  const toggle = () => stage?.open ? stage.close() : enter();

  function go(by) {
    const all = steps();
    at = Math.max(0, Math.min(all.length - 1, at + by));
    for (const step of stage.querySelectorAll("section")) step.hidden = step !== all[at];
    stage.querySelector('[data-go="-1"]').disabled = at === 0;
    stage.querySelector('[data-go="1"]').disabled = at === all.length - 1;
    if (all[at].dataset.step === "page") show(all[at]);
    if (!stage.contains(document.activeElement) || document.activeElement.disabled) stage.focus();
    qdemo.keep(at, "stage");
    tell();
  }

  function tell() {
    for (const [story, guess] of Object.entries(guesses)) {
      const told = stage.querySelectorAll(`[data-story="${story}"] [data-told]`);
      for (const one of told) one.hidden = one.dataset.told !== (guess.isRight ? "yes" : "no");
      for (const button of stage.querySelectorAll(`[data-story="${story}"] [data-guess]`)) {
        button.setAttribute("aria-pressed", button.dataset.guess === guess.choice);
      }
    }
  }

  function guess(button) {
    const {story} = button.closest("[data-story]").dataset;
    guesses[story] = {choice: button.dataset.guess, isRight: button.dataset.right === "yes"};
    go(1);
  }

  // --- what the page shows now, in rows as those of the stories

  function make(name, text, className = "") {
    const made = document.createElement(name);
    made.textContent = text;
    if (className) made.className = className;
    return made;
  }

  function show(step) {
    const cards = [...document.querySelectorAll("#cards .card")], label = step.querySelector(".label");
    const parts = [...document.querySelectorAll("#verdict :is(.asked > *, .how)")].map(part => part.textContent.trim());
    const [model, asked, how] = parts;
    step.querySelector(".before").textContent = [model, asked].join(": ") + (how ? ` (${how})` : "");
    step.querySelector(".rows").replaceChildren(...cards.slice(0, MOST).map(row));
    const note = document.querySelector("#verdict .note")?.textContent.trim();
    const {now, stale, more, busy} = label.dataset;
    const whose = document.querySelector("#status .busy") ? busy : note || (document.body.classList.contains("stale") ? stale : now);
    label.textContent = whose.replace(/\.$/, "") + (cards.length > MOST ? `; ${more}` : "");
  }

  function row(card) {
    const made = make("li", "", "row"), bar = make("div", "", "bar"), bytes = make("i", "");
    const width = card.querySelector(".bar i")?.style.width;
    made.style.setProperty("--colour", card.style.getPropertyValue("--colour"));
    made.style.setProperty("--share", (parseFloat(width) || 0) / 100);
    bar.append(bytes);
    made.append(
      make("h3", card.dataset.format), answer(card.querySelector(".output .figures, .output.reason strong") ?? card.querySelector(".output")),
      make("p", card.querySelector(".size b")?.textContent ?? "", "number"), bar);
    return made;
  }

  function answer(output) {
    const made = make("p", "", "answer");
    const parts = [...output?.childNodes ?? []].map(part => [part.nodeName, part.textContent.replace(/\s+/g, " ")]);
    const whole = parts.map(([, text]) => text).join("");
    const word = whole.lastIndexOf(" ", LONGEST);  // half a word would be another one
    const end = whole.length <= LONGEST ? whole.length : word > LONGEST / 2 ? word : LONGEST;
    let room = end;
    for (const [name, all] of parts) {
      const text = all.slice(0, room);
      room -= text.length;
      if (text) made.append(name === "MARK" ? make("mark", text) : text);
    }
    if (end < whole.length) made.append("…");
    return made;
  }

  // --- keys and taps

  function clicked(event) {
    const button = event.target.closest("button, a");
    if (button?.dataset.guess !== undefined) return guess(button);
    if (button?.dataset.go === "leave" || button?.href) return stage.close();
    if (button) return go(Number(button.dataset.go));
    const place = event.clientX / innerWidth;  // a tap on an edge of the screen
    if (place > 0.7) go(1);
    else if (place < 0.3) go(-1);
  }

  const isTyping = element => element.isContentEditable
    || element.matches?.("textarea, select, input:not([type=checkbox], [type=radio], [type=range], [type=button])");

  function pressed(event) {
    if (!event.key || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    if (event.key.toLowerCase() === "s" && !event.repeat && !isTyping(event.target)) {
      event.preventDefault();
      return toggle();
    }
    if (!stage?.open) return;
    const isPressed = event.target.closest?.("#stage :is(button, a)") && [" ", "Enter"].includes(event.key);
    const by = {Home: -at, End: steps().length - 1 - at}[event.key] ?? KEYS[event.key];
    const choice = steps()[at].querySelectorAll("[data-guess]")[Number(event.key) - 1];
    if (isPressed || (by === undefined && !choice)) return;
    event.preventDefault();
    if (choice) guess(choice);
    else go(by);
  }

  // What is shown of the page follows it.
  new MutationObserver(changes => {
    if (!stage?.open) return;
    const step = steps()[at];
    if (step?.dataset.step !== "page") return;
    const isOfPage = ({target}) => (target.nodeType === 1 ? target : target.parentElement)?.closest("#cards, #verdict, #status");
    if (changes.some(isOfPage)) show(step);
  }).observe(document.documentElement, {childList: true, subtree: true, characterData: true, attributeFilter: ["class"]});

  document.addEventListener("keydown", pressed);
  document.addEventListener("story-turned", ({detail}) => { turned = detail; });
  new MutationObserver(() => stage && paint()).observe(document.body, {attributeFilter: ["class"]});
  if (new URLSearchParams(location.search).get("stage") === "1") enter();

  return {toggle, where: () => key(steps()[at])};
})();
