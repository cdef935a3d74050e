"""What can't be compared is said at its control; what was on screen stays."""

import pytest
from playwright.sync_api import expect

from tests.browser.steps import (
    ask,
    cards,
    compare,
    compose,
    open_more,
    problem,
    start,
    tick,
    wait_until_through,
)

HELLO = "Hello, my name is "
BAD = {
    "nothing": ("", ["fp16"], "prompt", "the prompt is empty; type something, or take an example"),
    "blanks": (" \n ", ["fp16"], "prompt", "the prompt is empty"),
    "600 words": ("word " * 600, ["fp16"], "prompt", "at most 512"),
    "4,500 letters": ("abcdefgh " * 500, ["fp16"], "prompt", "at most 4,000 are read"),
    "no formats": (HELLO, [], "formats", "choose at least one format to compare with fp32"),
}


@pytest.fixture(scope="module")
def page(shared):
    ask(shared, HELLO, "fp16")
    return shared


@pytest.mark.parametrize("name", BAD)
def test_it_is_told_at_its_control_and_the_cards_stay(page, name):
    prompt, formats, field, says = BAD[name]
    before = cards(page), page.locator("#verdict .sentences").inner_text()
    page.get_by_label("Prompt").fill(prompt)
    tick(page, *formats)
    page.locator("#compare").click()
    expect(problem(page, field)).to_contain_text(says)
    expect(page.locator(".problem")).to_have_count(1)
    expect(page.locator("#compare")).to_be_enabled()
    expect(page.locator("#status")).to_have_text("")
    assert (cards(page), page.locator("#verdict .sentences").inner_text()) == before
    expect(page.locator("#charts")).to_be_visible()


def test_once_it_is_mended_it_runs_and_nothing_is_complained_of(page):
    tick(page)
    page.locator("#compare").click()
    expect(problem(page, "formats")).to_be_visible()
    ask(page, HELLO, "bf16")
    expect(page.locator(".problem")).to_have_count(0)
    assert list(cards(page)) == ["fp32", "bf16"]
    compare(page)


def test_what_is_put_right_is_no_longer_complained_of(page):
    """At once, and not at the next Compare."""
    tick(page)
    page.locator("#compare").click()
    expect(problem(page, "formats")).to_be_visible()
    tick(page, "fp16")
    expect(page.locator(".problem")).to_have_count(0)
    page.get_by_label("Prompt").fill("")
    page.locator("#compare").click()
    expect(problem(page, "prompt")).to_be_visible()
    page.get_by_label("Prompt").fill(HELLO)
    expect(problem(page, "prompt")).to_be_hidden()
    page.get_by_label("Prompt").fill("")
    page.locator("#compare").click()
    expect(problem(page, "prompt")).to_be_visible()  # the same is said again
    ask(page, HELLO, "fp16")
    expect(page.locator(".problem")).to_have_count(0)


def test_a_click_is_not_lost_while_what_was_refused_comes_to_its_end(page):
    tick(page, "fp16")
    for _ in range(3):
        page.get_by_label("Prompt").fill("")
        page.locator("#compare").click()
        expect(problem(page, "prompt")).to_be_visible()
        page.get_by_label("Prompt").fill(HELLO)
        compare(page)


def test_a_double_click_asks_once(page):
    sent = []
    page.on("request", lambda one: "/queue/join" in one.url and sent.append(one.post_data_json))
    page.get_by_label("Prompt").fill("What is 40 + 2?")
    start(page, page.locator("#compare").dblclick)
    wait_until_through(page)
    expect(page.locator("#status")).to_have_text("Done.")
    assert len([one for one in sent if one["data"][-2]]) == 1  # the others have no address


def test_a_thirteenth_format_is_refused_when_it_is_added(page):
    usual = ("fp16", "bf16", "int8", "int8+emb", "int4-g64", "int3", "int2", "fp8_e4m3")
    tick(page, *usual)
    open_more(page)
    for text in ("mxfp4", "nf4-g64", "q4_0", "q8_0"):
        compose(page, text)
        expect(page.locator("#formats").get_by_label(text, exact=True)).to_be_checked()
    expect(page.locator("#formats").get_by_role("checkbox", checked=True)).to_have_count(12)
    compose(page, "int5")
    expect(problem(page, "formats")).to_contain_text("At most 12 formats at a time")
    expect(page.locator("#formats").get_by_role("checkbox", checked=True)).to_have_count(12)
    boxes = page.locator("#formats")
    boxes.get_by_label("int2", exact=True).uncheck()
    expect(page.locator(".problem")).to_have_count(0)
    compose(page, "int5")
    expect(boxes.get_by_label("int5", exact=True)).to_be_checked()
    boxes.get_by_label("int2", exact=True).click()
    expect(problem(page, "formats")).to_contain_text("At most 12 formats at a time")
    expect(boxes.get_by_label("int2", exact=True)).not_to_be_checked()
    tick(page, "fp16")
    compose(page, "int5")
    expect(page.locator("#formats").get_by_role("checkbox", checked=True)).to_have_count(2)
    expect(page.locator(".problem")).to_have_count(0)
    page.locator("#more > button").click()
