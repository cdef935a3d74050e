// The line of stories on the Compare page: a guess is tapped, the comparison runs by the page's address,
// and what came out is told. It is drawn twice, in the first paint and by gradio: both look the same.
(() => {
  const all = [];  // the keys of the stories, in their order
  const told = {};  // of each: what was guessed, and whether what came out may be said
  let at = 0, known = null;  // the address of what the page shows

  // Whole ones: a browser shows a page while it comes.
  const lines = () => [...document.querySelectorAll(".stories")].filter(
    line => line.querySelector('[data-turn="1"]'));

  function draw() {
    for (const line of lines()) {
      const parts = [...line.querySelectorAll(".story")];
      if (!all.length) all.push(...parts.map(part => part.dataset.story));
      line.dataset.drawn = "";
      line.querySelector('[data-turn="-1"]').disabled = at === 0;
      line.querySelector('[data-turn="1"]').disabled = at === all.length - 1;
      for (const part of parts) drawn(part);
    }
  }

  // The first has its answer on the page already.
  function drawn(part) {
    const {guess, isThrough} = told[part.dataset.story] ?? {isThrough: part.dataset.story === all[0]};
    const find = selector => part.querySelector(selector);
    part.hidden = part.dataset.story !== all[at];
    const isRun = part.dataset.runs !== undefined;  // then what came out is told when it has come out
    const isTold = Boolean(isThrough || (guess !== undefined && !isRun));
    find(".ask").hidden = find(".choices").hidden = isTold;
    find(".after").hidden = !isTold;
    const isRight = guess === part.dataset.right;
    find('[data-told="yes"]').hidden = !isTold || guess === undefined || !isRight;
    find('[data-told="no"]').hidden = !isTold || guess === undefined || isRight;
    const isElsewhere = known !== null && isRun && known !== addressOf(part);
    if (isRun) [find(".look").hidden, find(".again").hidden] = [isElsewhere, !isElsewhere];
  }

  const bare = address => address.replace(/&run=1$/, "");
  const addressOf = part => bare(new URL(part.querySelector(".run").href).hash.slice(1));

  function tell(story, more) {
    told[story] = {...told[story], ...more};
    draw();
  }

  // A story's question is asked as a link asks it. Before the page is ready, it is what the page opens with.
  function run(part) {
    const {hash} = new URL(part.querySelector(".run").href);
    if (!document.querySelector("#restore")) history.pushState(null, "", hash);
    else if (location.hash === hash) window.dispatchEvent(new PopStateEvent("popstate"));
    else location.hash = hash;
  }

  document.addEventListener("click", event => {
    const line = event.target.closest(".stories"), button = event.target.closest("button, a");
    if (!line || !button) return;
    const part = line.querySelector(".story:not([hidden])"), {story, runs} = part.dataset;
    if (button.dataset.turn) {
      at = Math.max(0, Math.min(all.length - 1, at + Number(button.dataset.turn)));
      draw();
      document.dispatchEvent(new CustomEvent("story-turned", {detail: all[at]}));
    } else if ("look" in button.dataset) {
      document.querySelector("#ribbon")?.scrollIntoView({block: "center"});
    } else if (button.dataset.guess !== undefined) {
      if (runs !== undefined) run(part);
      tell(story, {guess: button.dataset.guess});
    } else if (button.classList.contains("run") && runs !== undefined) {
      event.preventDefault();
      run(part);
    }
  });

  // Who leaves the stage is where the stage was.
  document.addEventListener("stage-left", ({detail: story}) => {
    if (!all.includes(story)) return;
    at = all.indexOf(story);
    draw();
  });

  // What the page shows, once a comparison is through.
  function shown() {
    if (document.querySelector("#status .busy")) return null;
    try { return JSON.parse(document.querySelector("#held :is(textarea, input)").value).address; } catch { return null; }
  }

  // Where it shows what a story asks, whoever has asked it, a click, Back or a link, that story is told.
  new MutationObserver(() => {
    if (lines().some(line => line.dataset.drawn === undefined)) draw();
    const address = shown();
    if (!address || bare(address) === known) return;
    const isFirst = known === null;
    known = bare(address);
    const part = [...document.querySelectorAll(".story[data-runs]")].find(one => addressOf(one) === known);
    if (!part) return draw();
    if (!isFirst || location.hash.length > 1) at = all.indexOf(part.dataset.story);
    tell(part.dataset.story, {isThrough: true});
  }).observe(document.documentElement, {childList: true, subtree: true, attributeFilter: ["class"]});

  draw();
})();
