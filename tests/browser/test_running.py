"""While it runs: texts grow, and Stop stops."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import serving, watched
from tests.browser.steps import (
    ask,
    card,
    cards,
    compare,
    open_more,
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
    open_more(page)
    length = page.get_by_role("spinbutton", name="Longest answer")
    length.fill(str(tokens))
    length.press("Tab")


def through(page):
    return {name: one for name, one in cards(page).items() if one["state"] == "done"}


@pytest.fixture(scope="module")
def slow(browser):
    """Of a server whose models take their time: on a fast machine a format is done unseen."""
    with (
        serving("-m", "tests.browser.slow_app", "0.04") as url,
        watched(browser, url) as page,
    ):
        open_page(page)
        yield page


def test_the_text_of_a_card_grows_while_the_model_writes(slow):
    set_length(slow, 32)
    slow.evaluate(_RECORD, "int2")
    with slow.expect_response(lambda answer: "/queue/data?" in answer.url) as stream:
        ask(slow, LONG, "int2")
    assert stream.value.header_value("content-encoding") == "gzip"
    lengths = slow.evaluate("window.lengths")
    assert len(lengths) >= 3
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1] <= len(card(slow, "int2")["output"])


def test_stop_stops_a_comparison_that_has_hardly_begun(slow):
    open_page(slow, f"?formats=int8,int3,int2&max_tokens=64&input={LONG}")
    expect(slow.get_by_label("Prompt")).to_have_value(LONG)
    start(slow)
    slow.locator("#stop").click()
    wait_until_through(slow)
    tick(slow, "fp16")
    assert said(slow)[-1] == "Stopped."
    expect(slow.locator(".card.running, .card.waiting")).to_have_count(0)
    compare(slow)
    assert not any("of 4" in text for text in said(slow)), "the run that was stopped goes on"
    assert list(cards(slow)) == ["fp32", "fp16"]


def test_stop_keeps_what_is_through_and_a_new_comparison_works(slow):
    formats = ",".join(["int8", *SLOW]).replace("+", "%2B")
    open_page(slow, f"?formats={formats}&max_tokens=60&input={LONG}")
    expect(slow.get_by_label("Prompt")).to_have_value(LONG)
    start(slow)
    slow.wait_for_selector('.card.running[data-format="int2"]')
    expect(slow.locator("#compare")).to_be_disabled()
    before = through(slow)
    slow.locator("#stop").click()
    wait_until_through(slow)
    tick(slow, "fp16")
    assert said(slow)[-1] == "Stopped."
    assert list(before)[:2] == ["fp32", "int8"]
    assert through(slow).items() >= before.items()
    stopped = {name: one for name, one in cards(slow).items() if one["state"] != "done"}
    assert SLOW[-1] in stopped
    assert {one["state"] for one in stopped.values()} == {"stopped"}
    assert all("stopped before it finished" in one["output"] for one in stopped.values())
    expect(slow.locator("#memory-table tbody th")).to_have_text(list(through(slow)))
    expect(slow.locator("#stop")).to_be_disabled()
    compare(slow)
    assert not any("of 8" in text for text in said(slow)), "the run that was stopped goes on"
    assert {name: one["output"] for name, one in cards(slow).items()} == dict.fromkeys(
        ["fp32", "fp16"], "Paris"
    )
