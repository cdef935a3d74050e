// All cards, and after them what has changed since: cards that go into their places, and what is
// added to a text. So gradio sends nothing twice.
let seen = "";

function show() {
  const text = props.value ?? "", news = document.createElement("template");
  const isMore = seen !== "" && text.startsWith(seen);
  news.innerHTML = isMore ? text.slice(seen.length) : text;
  seen = text;
  if (isMore) for (const part of [...news.content.children]) put(part);
  else element.replaceChildren(news.content);
  qdemo.cards.arrange();
}

function put(news) {
  if (news.dataset.format) return placeOf(news)?.querySelector(".caret")?.before(news.textContent);
  element.querySelector(".cards").style.setProperty("--widest", news.style.getPropertyValue("--widest"));
  for (const card of [...news.children]) {
    const before = placeOf(card);
    if (before?.hasAttribute("data-open")) qdemo.cards.open(card, true);
    before?.replaceWith(card);
  }
}

const placeOf = ({dataset}) =>
  [...element.querySelectorAll(".card")].find(card => card.dataset.format === dataset.format);

show();
watch("value", show);
