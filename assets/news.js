// Cards that have changed, one after the other: each goes into its place, the others stay as they are.
let seen = "";
watch("value", () => {
  const text = props.value ?? "", news = document.createElement("template");
  news.innerHTML = text.startsWith(seen) ? text.slice(seen.length) : text;
  seen = text;
  for (const card of news.content.querySelectorAll(".card")) {
    const old = document.querySelector(`#cards .card[data-format="${card.dataset.format}"]`);
    if (!old) continue;
    old.className = card.className;
    old.replaceChildren(...card.childNodes);
  }
});
