"""A page among many: its place in the line is seen, Stop leaves it, and that it is full is told."""

import re
from contextlib import ExitStack

import httpx
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import serving, watched
from tests.browser.steps import cards, compare, open_page, said, start, tick, wait_until_through

QUESTION = "What is 40 + 2?"
SORT = "Sort these words: pig, onion, river, wolf"
PLACES = 16


@pytest.fixture(scope="module")
def site():
    """A server of its own: who has asked elsewhere is not waited for."""
    with serving("-m", "tests.browser.slow_app", "0.3") as url:
        yield url


@pytest.fixture
def tabs(browser, site):
    """Three people, each with a question and a format."""
    with ExitStack() as stack:
        pages = [stack.enter_context(watched(browser, site)) for _ in range(3)]
        for page in pages:
            open_page(page)
            page.get_by_label("Prompt").fill(SORT)
            tick(page, "int8")
        yield pages


def status(page):
    return page.locator("#status")


def waits(page, count):
    expect(status(page)).to_have_text(
        f"{count} ahead of you. “{SORT}” is in the line; Stop leaves it."
    )


def test_ones_place_is_seen_and_stop_leaves_the_line(tabs):
    first, second, third = tabs
    shown = cards(second)
    for page in tabs:
        start(page)
        expect(page.locator("#stop")).to_be_enabled()
        expect(status(page)).to_contain_text("are done" if page is first else "ahead of you")
    waits(second, 1)
    waits(third, 2)
    second.locator("#stop").click()
    wait_until_through(second)
    expect(status(second)).to_have_text("You left the line; nothing was computed.")
    assert cards(second) == shown
    expect(second.locator("#compare")).to_be_enabled()
    waits(third, 1)
    expect(first.locator(".card.running")).to_have_count(1)  # it goes on
    first.locator("#stop").click()
    wait_until_through(first)
    wait_until_through(third)
    expect(status(third)).to_have_text("Done.")
    assert {one["state"] for one in cards(third).values()} == {"done"}
    compare(second)  # who has left comes back


def test_stopped_is_not_failed(tabs):
    page = tabs[0]
    page.get_by_label("Prompt").fill(QUESTION)  # which nobody has asked, so nothing is kept of it
    start(page)
    page.wait_for_selector('.card.running[data-format="fp32"] .output')
    page.locator("#stop").click()
    wait_until_through(page)
    assert said(page)[-1] == "Stopped."
    assert {one["state"] for one in cards(page).values()} == {"stopped"}
    expect(page.locator("#cards")).to_contain_text("stopped before it finished")
    expect(page.locator("#cards")).not_to_contain_text("fail")
    expect(page.locator("#verdict")).not_to_contain_text("fail")


def test_a_full_line_is_told_and_the_page_stays_of_use(tabs, site):
    first, second, _ = tabs
    tick(first, "int8", "int4-g64", "int3")
    start(first)
    expect(status(first)).to_contain_text("are done")
    call = f"{site}/gradio_api/call/compare"
    data = ["t5-tiny", ["int8"], QUESTION, None, "", 1, False, "chat", 0, 0]
    with ExitStack() as stack:
        for _ in range(PLACES):
            event = httpx.post(call, json={"data": data}, trust_env=False).json()["event_id"]
            answer = stack.enter_context(httpx.stream("GET", f"{call}/{event}", trust_env=False))
            assert answer.status_code == 200
        before = cards(second)
        start(second)
        expect(status(second)).to_have_text(
            re.compile(r"All 16 places are taken; try again in about \d+ s\.")
        )
        assert cards(second) == before
        expect(second.locator("#compare")).to_be_enabled()
        first.locator("#stop").click()
        wait_until_through(first)
    compare(second)
