"""The design system as it is painted: on every page, at every size, light and dark."""

import re

import pytest
from playwright.sync_api import expect

from qdemo.views.colours import colour
from tests.browser.conftest import WIDE, watched
from tests.browser.design import COLOURS, CUT, PAGES, SIZES, TEXTS, WATCH
from tests.browser.steps import breaking_off, compare, leave_for

SMALLEST = 14
"""px, at 1920."""

STILL = 0.02
"""A layout shift that nobody sees."""

PHONE = SIZES["phone"]
HELD = "!document.documentElement.classList.contains('coming')"
DRAWN = """() => [...document.querySelectorAll(".chart")].every(
  chart => !chart.checkVisibility() || chart.querySelector(".main-svg"))"""
OPEN = """
const attach = Element.prototype.attachShadow, remove = Element.prototype.remove;
Element.prototype.attachShadow = function (how) {
  const shadow = attach.call(this, how);
  if (this.id === "first-paint") window.first = shadow;
  return shadow;
};
Element.prototype.remove = function () {
  if (this.id === "first-paint") {
    const box = element => {
      const {x, y, width, height} = element.getBoundingClientRect();
      return [x, y, width, height];
    };
    window.places = [...window.first.querySelectorAll("[id]")]
      .filter(element => element.checkVisibility() && document.getElementById(element.id))
      .map(element => [element.id, box(element), box(document.getElementById(element.id))]);
  }
  return remove.call(this);
};
"""
"""Notes where the first paint had each thing, and where gradio has it, when the one goes."""


def come(page, path):
    """Open a page and wait until all that it begins with is drawn."""
    leave_for(page, path)
    page.wait_for_function(HELD)
    if path == "/":
        expect(page.locator("#map-drawn table").first).to_be_visible()
    page.wait_for_function(DRAWN)


@pytest.mark.parametrize("size", [WIDE, SIZES["1366"], PHONE], ids=["wide", "1366", "phone"])
@pytest.mark.parametrize("path", PAGES)
def test_nothing_moves_once_it_is_painted(browser, app, path, size):
    with watched(browser, app) as page:
        page.set_viewport_size(size)
        page.add_init_script(WATCH)
        page.add_init_script(OPEN)
        come(page, path)
        moved = page.evaluate("window.moved")
        assert sum(by for by, _ in moved) < STILL, moved
        off = [
            (name, before, after)
            for name, before, after in page.evaluate("window.places")
            if max(abs(a - b) for a, b in zip(before[:2], after[:2], strict=True)) > 6
            and before[1] < size["height"]
        ]
        assert off == []


@pytest.mark.parametrize("path", PAGES)
def test_no_text_is_too_small_and_nothing_is_cut(page, path):
    come(page, path)
    assert [text for text in page.evaluate(TEXTS) if text[0] < SMALLEST] == []
    found = {}
    for name, size in SIZES.items():
        page.set_viewport_size(size)
        found[name] = page.evaluate(CUT)
    assert found == {name: [] for name in SIZES}


def test_a_format_has_one_colour_everywhere(page):
    seen = {}
    for path in PAGES:
        come(page, path)
        for name, shown in page.evaluate(COLOURS):
            if named := re.fullmatch(r"(fp16|bf16|int\d|fp8_e\dm\d)", name):
                seen.setdefault(named[1], set()).add(shown)
    assert len(seen) >= 6
    assert seen == {name: {colour(name)} for name in seen}


def background(page):
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_the_theme_that_one_chose_stays(browser, app):
    with breaking_off(), watched(browser, app) as page:
        come(page, "/about")
        switch = page.get_by_role("button", name="Dark colours")
        expect(switch).to_have_attribute("aria-pressed", "false")
        light = background(page)
        switch.click()
        expect(switch).to_have_attribute("aria-pressed", "true")
        dark = background(page)
        assert dark != light
        page.get_by_role("navigation", name="Pages").get_by_text("Casting").click()
        page.wait_for_url("**/casting")
        page.wait_for_function(HELD)
        assert background(page) == dark
        page.reload()
        page.wait_for_function(HELD)
        expect(switch).to_have_attribute("aria-pressed", "true")
        assert background(page) == dark
        leave_for(page, "/about?__theme=light")
        page.wait_for_function(HELD)
        assert background(page) == light
        page.get_by_role("navigation", name="Pages").get_by_text("Casting").click()
        page.wait_for_url("**/casting")
        page.wait_for_function(HELD)
        assert background(page) == light


def test_the_dark_is_there_at_the_first_paint(browser, app):
    """And not only once gradio's scripts have run: here they never come."""
    with watched(browser, app) as page:
        page.route(
            "**/assets/*.js", lambda route: route.fulfill(body="", content_type="text/javascript")
        )
        page.add_init_script("localStorage.setItem('qdemo theme', 'dark')")
        page.goto("/linear")
        assert page.evaluate("document.body.classList.contains('dark')")
        assert page.locator("#first-paint").is_visible()


@pytest.mark.parametrize("path", ["/", "/linear", "/about"])
def test_the_sections_stay_and_say_where_one_is(page, path):
    come(page, path)
    bar = page.get_by_role("navigation", name="On this page")
    links = bar.get_by_role("link")
    assert links.count() >= 4
    expect(links.first).to_have_attribute("aria-current", "location")
    before = page.url
    page.emulate_media(reduced_motion="reduce")
    for link in links.all()[1:-1]:
        link.click()
        expect(link).to_have_attribute("aria-current", "location")
        top = page.locator(f"[id='{link.get_attribute('data-section')}']").bounding_box()["y"]
        assert top >= page.locator("#head").bounding_box()["height"]
        expect(bar).to_be_in_viewport()
    assert page.url == before
    page.emulate_media(reduced_motion="no-preference")


def test_the_bars_leave_room_for_the_page(page):
    come(page, "/")
    page.set_viewport_size({"width": 1366, "height": 768})
    assert page.locator("#head .head-bar").bounding_box()["height"] <= 52
    page.set_viewport_size(PHONE)
    assert page.locator("#sections").bounding_box()["height"] <= 44


@pytest.mark.parametrize("path", PAGES)
def test_who_asked_for_less_motion_gets_none(page, path):
    page.emulate_media(reduced_motion="reduce")
    come(page, path)
    assert page.evaluate("document.getAnimations().length") == 0
    page.emulate_media(reduced_motion="no-preference")


WHERE = """() => {
  const charts = document.querySelector("#charts");
  window.tops = [];
  (function look() {
    window.tops.push(charts.getBoundingClientRect().top + scrollY);
    requestAnimationFrame(look);
  })();
}"""


def test_what_stands_below_stays_while_a_comparison_runs(page):
    come(page, "/")
    page.evaluate(WHERE)
    compare(page)
    tops = page.evaluate("window.tops")
    assert max(tops) - min(tops) < 60  # the line that says that this is an example goes
