"""Terms: each opens by keyboard, says what it means inside of the window, and closes again."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.steps import leave_for

PHONE = {"width": 390, "height": 844}

_EVERY = """() => {
  const told = JSON.parse(document.querySelector("#terms").textContent).terms;
  const box = () => document.querySelector("#term-told");
  const is_open = () => Boolean(box()?.matches(":popover-open"));
  const wrong = [];
  for (const button of document.querySelectorAll("button.term")) {
    if (!button.checkVisibility() || button.closest("#first-paint")) continue;
    button.scrollIntoView({block: "center"});
    button.focus();
    button.click();
    const {left, right, top, bottom} = box().getBoundingClientRect();
    const inside = left >= 0 && top >= 0 && right <= innerWidth && bottom <= innerHeight;
    const means = told[button.dataset.term]?.means;
    const is_said = means && is_open() && box().textContent.includes(means);
    dispatchEvent(new KeyboardEvent("keydown", {key: "Escape", cancelable: true}));
    const is_left = !is_open() && document.activeElement === button;
    if (!inside || !is_said || !is_left) {
      wrong.push([button.dataset.term, button.textContent, {inside, is_said, is_left}]);
    }
  }
  return wrong;
}"""
_TERMS = "all => new Set(all.map(one => one.dataset.term)).size"


@pytest.fixture
def told(shared):
    return shared.locator("#term-told")


def test_keys_open_and_close_a_term(shared, told):
    term = shared.locator('#logits-table .term[data-term="logit_kl_mean"]')
    for key in ("Enter", "Space"):
        term.focus()
        shared.keyboard.press(key)
        expect(told).to_be_visible()
        expect(told).to_contain_text("KL(P_ref ‖ P) a position, in nats")
        expect(told).to_contain_text("also called: KL divergence")
        expect(told).to_have_accessible_name("KL from fp32")
        shared.keyboard.press("Tab")
        expect(told.get_by_role("link", name="all terms")).to_be_focused()
        shared.keyboard.press("Escape")
        expect(told).to_be_hidden()
        expect(term).to_be_focused()


def test_a_press_elsewhere_closes_it_and_one_on_the_same_term(shared, told):
    term = shared.locator("#logits-table .term").first
    term.click()
    expect(told).to_be_visible()
    term.click()
    expect(told).to_be_hidden()
    term.click()
    shared.locator("#logits-reading").click()
    expect(told).to_be_hidden()


def test_axe_is_content_with_an_open_term(shared, told):
    shared.locator("#logits-table .term").first.click()
    expect(told).to_be_visible()
    found = Axe().run(shared).response["violations"]
    assert [one["id"] for one in found if one["impact"] in ("serious", "critical")] == []
    shared.keyboard.press("Escape")


@pytest.mark.parametrize("size", [None, PHONE], ids=["wide", "phone"])
def test_every_term_says_what_it_means_inside_of_the_window(shared, size):
    if size:
        shared.set_viewport_size(size)
    terms = shared.locator("button.term")
    assert terms.evaluate_all(_TERMS) > 20
    assert shared.evaluate(_EVERY) == []


def test_a_term_changes_nothing_of_what_is_around_it(shared):
    """Neither the height of the line that it stands in nor its letters."""
    assert (
        shared.locator("#cards dt:has(.term)").evaluate_all("""all => all.filter(dt => {
        const before = [dt.offsetHeight, dt.offsetWidth];
        const font = getComputedStyle(dt).font, own = getComputedStyle(dt.firstElementChild).font;
        const button = dt.firstElementChild;
        button.replaceWith(button.textContent);
        const after = [dt.offsetHeight, dt.offsetWidth];
        dt.replaceChildren(button);
        return font !== own || String(before) !== String(after);
    }).map(dt => dt.textContent)""")
        == []
    )


def test_all_terms_is_the_glossary_of_about(shared, told):
    keys = set(shared.locator("button.term").evaluate_all("all => all.map(a => a.textContent)"))
    shared.locator("#logits-table .term").first.click()
    leave_for(shared, f"/{told.get_by_role('link').get_attribute('href')}")
    glossary = shared.locator("#glossary")
    expect(glossary.get_by_role("row").first).to_be_visible()
    expect(glossary).to_be_in_viewport()
    assert glossary.get_by_role("row").count() > len(keys)


@pytest.mark.parametrize("path", ["linear", "casting", "formats"])
def test_terms_of_the_lab(page, path):
    leave_for(page, f"/{path}")
    expect(page.locator("button.term:visible").first).to_be_visible()
    assert page.evaluate(_EVERY) == []
