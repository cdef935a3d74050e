// All cards, and after them what has changed since: cards that go into their places, and what is
// added to a text. So gradio sends nothing twice.
let seen = "";

function show() {
  const text = props.value ?? "", news = document.createElement("template");
  const isMore = seen !== "" && text.startsWith(seen);
  news.innerHTML = isMore ? text.slice(seen.length) : text;
  seen = text;
  const others = isMore ? [...news.content.children].map(put) : [whole(news.content)];
  if (others.some(Boolean)) qdemo.cards.arrange();
}

// Other cards: of those that were open before, what is inside stays open. True, as it is of `put` where
// a card is another.
function whole(cards) {
  const open = [...element.querySelectorAll(".card[data-open]")].map(card => card.dataset.format);
  element.replaceChildren(cards);
  for (const card of element.querySelectorAll(".card")) {
    if (open.includes(card.dataset.format)) qdemo.cards.open(card, true);
  }
  return true;
}

function put(news) {
  if (news.dataset.format) {
    placeOf(news)?.querySelector(".caret")?.before(news.textContent);
    return false;
  }
  element.querySelector(".cards").style.setProperty("--widest", news.style.getPropertyValue("--widest"));
  for (const card of [...news.children]) {
    const before = placeOf(card);
    if (before?.hasAttribute("data-open")) qdemo.cards.open(card, true);
    before?.replaceWith(card);
  }
  return true;
}

const placeOf = ({dataset}) =>
  [...element.querySelectorAll(".card")].find(card => card.dataset.format === dataset.format);

show();
watch("value", show);
