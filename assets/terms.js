// A term is a button: pressed, what it means stands beside it until Esc or a press elsewhere. Each
// definition stands once in the page.
(() => {
  const MARGIN = 8;  // pixels between what is shown and the window
  const told = JSON.parse(document.querySelector("#terms").textContent);
  let shown = null;  // the button that it is shown for
  let held = null;  // the one it was shown for when a press began, which has closed it by the click

  const box = document.createElement("div");
  Object.assign(box, {id: "term-told", popover: "auto", tabIndex: -1, role: "dialog"});
  box.setAttribute("aria-labelledby", "term-name");
  const isOpen = () => box.matches(":popover-open");

  function line(kind, text, id) {
    const made = document.createElement(kind);
    made.textContent = text;
    if (id) made.id = id;
    return made;
  }

  function show(button) {
    const {name, means, also} = told.terms[button.dataset.term] ?? {};
    if (!name) return;
    const lines = [line("strong", name, "term-name"), line("p", means)];
    if (also) lines.push(line("p", told.also.replace("{names}", also)));
    if (told.page) lines.push(Object.assign(line("a", told.all), {href: told.page}));
    box.replaceChildren(...lines);
    if (!box.isConnected) document.body.append(box);
    shown = button;
    button.focus();  // where the keyboard is again afterwards; not every browser does it by itself
    box.showPopover({source: button});
    place();
    box.focus({preventScroll: true});
  }

  // Under the button, or over it where there is no room; never outside the window.
  function place() {
    const at = shown.getBoundingClientRect(), {offsetWidth: width, offsetHeight: height} = box;
    const room = document.documentElement.clientWidth - width - MARGIN;
    const under = at.bottom + MARGIN / 2, over = at.top - height - MARGIN / 2;
    const top = under + height + MARGIN <= innerHeight || over < MARGIN ? under : over;
    box.style.left = `${scrollX + Math.max(MARGIN, Math.min(at.left, room))}px`;
    box.style.top = `${scrollY + top}px`;
  }

  function close() {
    box.hidePopover();
    shown?.focus({preventScroll: true});
  }

  document.addEventListener("pointerdown", () => { held = isOpen() ? shown : null; }, true);
  document.addEventListener("click", event => {
    const button = event.target.closest?.("button.term");
    if (!button) return;
    event.stopPropagation();
    const again = button === held;
    held = null;
    if (!again) show(button);
  }, true);
  window.addEventListener("keydown", event => {  // before whatever else Esc would leave
    if (event.key !== "Escape" || !isOpen()) return;
    event.preventDefault();
    event.stopPropagation();
    close();
  }, true);
  window.addEventListener("resize", () => isOpen() && box.hidePopover());
})();
