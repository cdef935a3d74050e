"""A page among many: its place in the queue is shown, and that there is none is told."""

import re

import httpx2
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import COMPLAINTS, serving, watched
from tests.browser.steps import cards, open_page

SLOW = ["t5-tiny", ["int2+emb", "int2-tensor", "int2-axis1"], "x", None, "", 128, True]


@pytest.fixture(scope="module")
def page(browser):
    """Of a server of its own: who has asked here is not waited for."""
    with serving("app.py") as url, watched(browser, url) as page:
        yield page
    forgive()  # that answers broke off as the page was left


def forgive():
    """Take away what gradio says in the console of a refusal and of answers that break off."""
    of_gradio = re.compile("503|AbortError|Connection errored")
    COMPLAINTS[:] = [one for one in COMPLAINTS if not of_gradio.search(one)]


def ask(page):
    """Somebody else asks for a comparison of some seconds; the status of the answer."""
    call = f"{page.url.partition('?')[0]}gradio_api/call/compare"
    return httpx2.post(call, json={"data": SLOW}, trust_env=False).status_code


def test_the_place_in_the_queue_is_shown(page):
    open_page(page)
    assert [ask(page) for _ in range(4)] == [200] * 4
    page.locator("#compare").click()
    expect(page.locator("#status")).to_contain_text(re.compile(r"queue: \d/\d"))


def test_a_full_queue_is_told_and_the_page_stays_of_use(page):
    open_page(page)
    before = cards(page)
    while ask(page) == 200:
        pass
    page.locator("#compare").click()
    expect(
        page.get_by_text("This application is currently busy. Please try again.")
    ).to_be_visible()
    assert cards(page) == before
    expect(page.locator("#compare")).to_be_enabled()
    forgive()
