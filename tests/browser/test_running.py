"""While it runs: texts grow, and Stop stops."""

from playwright.sync_api import expect

from tests.browser.steps import (
    ask,
    card,
    cards,
    compare,
    open_page,
    said,
    start,
    tick,
    wait_until_through,
)

LONG = "What is the capital of France?"  # what int2 makes of it ends at the limit only
SLOW = ["int2", "int2-tensor", "int2+emb", "int2-tensor+emb", "int2-axis1", "int2-affine+emb"]
_RECORD = """name => {
  window.lengths = [];
  new MutationObserver(() => {
    const card = document.querySelector(`#cards .card.running[data-format="${name}"] .output`);
    const length = card ? card.textContent.length : 0;
    if (length && length != window.lengths.at(-1)) window.lengths.push(length);
  }).observe(
    document.querySelector("#cards"), {subtree: true, childList: true, characterData: true});
}"""


def set_length(page, tokens):
    page.get_by_role("button", name="More:").click()
    length = page.get_by_role("spinbutton", name="Longest answer")
    length.fill(str(tokens))
    length.press("Tab")


def through(page):
    return {name: one for name, one in cards(page).items() if one["state"] == "done"}


def test_the_text_of_a_card_grows_while_the_model_writes(shared):
    set_length(shared, 128)
    shared.evaluate(_RECORD, "int2")
    ask(shared, LONG, "int2")
    lengths = shared.evaluate("window.lengths")
    assert len(lengths) >= 2
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1] <= len(card(shared, "int2")["output"])


def test_stop_stops_a_comparison_that_has_hardly_begun(shared):
    # Long, as a short one, kept from before perhaps, can be over before Stop is pressed.
    open_page(shared, f"?formats=int8,int3,int2&max_tokens=127&input={LONG}")
    expect(shared.get_by_label("Prompt")).to_have_value(LONG)
    start(shared)
    shared.locator("#stop").click()
    wait_until_through(shared)
    tick(shared, "fp16")
    assert said(shared)[-1] == "Stopped."
    expect(shared.locator(".card.running, .card.waiting")).to_have_count(0)
    compare(shared)
    assert not any("of 4" in text for text in said(shared)), "the run that was stopped goes on"
    assert list(cards(shared)) == ["fp32", "fp16"]


def test_stop_keeps_what_is_through_and_a_new_comparison_works(shared):
    formats = ",".join(["int8", *SLOW]).replace("+", "%2B")
    open_page(shared, f"?formats={formats}&max_tokens=127&input={LONG}")
    expect(shared.get_by_label("Prompt")).to_have_value(LONG)
    start(shared)
    # Not by `expect`, which looks once a second: a format is done sooner.
    shared.wait_for_selector('.card.running[data-format="int2"]')
    expect(shared.locator("#compare")).to_be_disabled()
    before = through(shared)
    shared.locator("#stop").click()
    wait_until_through(shared)
    tick(shared, "fp16")
    assert said(shared)[-1] == "Stopped."
    assert list(before)[:2] == ["fp32", "int8"]
    assert through(shared).items() >= before.items()
    stopped = {name: one for name, one in cards(shared).items() if one["state"] != "done"}
    assert SLOW[-1] in stopped
    assert {one["state"] for one in stopped.values()} == {"stopped"}
    assert all("stopped before it finished" in one["output"] for one in stopped.values())
    expect(shared.locator("#memory-table tbody th")).to_have_text(list(through(shared)))
    expect(shared.locator("#stop")).to_be_disabled()
    compare(shared)
    assert not any("of 8" in text for text in said(shared)), "the run that was stopped goes on"
    assert {name: one["output"] for name, one in cards(shared).items()} == dict.fromkeys(
        ["fp32", "fp16"], "Paris"
    )
