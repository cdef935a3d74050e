"""What is on screen before anyone has asked for anything.

That the outside is asked for nothing, here and on every other page, `listen` sees to.
"""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import watched
from tests.browser.steps import cards, leave_for, open_page, wait_for_charts


def test_the_example_is_there_and_says_that_it_was_computed_earlier(page):
    open_page(page)
    expect(page.locator("#verdict .note")).to_contain_text("An example, computed earlier (20")
    expect(page.locator("#verdict .more")).to_contain_text("times smaller than fp32")
    shown = cards(page)
    assert list(shown) == ["fp32", "fp16", "bf16", "int8"]
    assert all(card["state"] == "done" and card["output"] for card in shown.values())
    expect(page.locator("#ribbon input:checked")).to_have_count(1)
    expect(page.locator("#top .top")).to_have_count(4)
    expect(page.locator("#status")).to_have_text("")
    expect(page.locator("#again")).to_have_attribute(
        "href",
        "./#model=t5-tiny&formats=fp16,bf16,int8"
        "&input=Sort+these+words:+pig,+onion,+river,+wolf&run=1",
    )


def test_the_first_click_is_answered_though_the_charts_are_not_there_yet(browser, app):
    with watched(browser, app) as page:
        page.goto("/", wait_until="commit")
        page.locator("#compare").click()
        expect(page.locator("#status")).to_have_text("Done.")
        wait_for_charts(page)
        expect(page.locator("#verdict")).not_to_contain_text("An example, computed earlier")
        formats = ["fp32", "fp16", "bf16", "int8"]
        expect(page.locator("#memory-table tbody th")).to_have_text(formats)
        leave_for(page, "/about")
        page.go_back()
        expect(page.locator("#status")).to_have_text("Done.")
        wait_for_charts(page)


@pytest.mark.parametrize("asked", ["model=blip-tiny&formats=int8", "model=t5-tiny&formats=int3"])
def test_what_an_address_asks_for_is_not_kept_from_sight(browser, app, asked):
    with watched(browser, app) as page:
        page.goto(f"/#{asked}&run=1", wait_until="commit")
        page.wait_for_selector("html:not(.coming) #status", timeout=8000)
        expect(page.locator("#status")).to_have_text("Done.")
        wait_for_charts(page)


def test_back_brings_the_charts_of_a_page_that_was_left_before_they_came(browser, app):
    with watched(browser, app) as page:
        page.goto("/", wait_until="commit")
        expect(page.locator("#compare")).to_be_visible()
        leave_for(page, "/about")
        page.go_back()
        wait_for_charts(page)
