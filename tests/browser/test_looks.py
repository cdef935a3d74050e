"""At both sizes, light and dark, before and after a run: nothing hangs out, axe is content."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.conftest import WIDE
from tests.browser.steps import ask, choose_blip, compare, leave_for, open_page, problem, tick

PHONE = {"width": 390, "height": 844}
LONG = "What is the capital of France? " * 30  # int2's answer is long too: both have to scroll
LOOKS = {
    "wide, opened light": (WIDE, "light"),
    "phone, opened dark": (PHONE, "dark"),
}
_OUTSIDE = """() => {
  const width = document.documentElement.clientWidth;
  const scrolls = element => ["auto", "scroll"].includes(getComputedStyle(element).overflowX);
  const inScroller = element => element != document.body
    && (scrolls(element.parentElement) || inScroller(element.parentElement));
  const isOutside = element => {
    const range = document.createRange();
    range.selectNodeContents(element);  // text may be wider than the box that it is in
    const box = (element.childElementCount ? element : range).getBoundingClientRect();
    return box.width > 1 && box.height > 1 && (box.right > width + 1 || box.left < -1);
  };
  const found = [...document.body.querySelectorAll("*")].filter(element =>
    isOutside(element) && element.checkVisibility({opacityProperty: true, visibilityProperty: true})
    && !inScroller(element) && !element.closest(".js-plotly-plot, #js-plotly-tester"));
  return found.map(element => element.outerHTML.slice(0, 200));
}"""


@pytest.fixture(scope="module", params=LOOKS)
def found(request, tab):
    """What is found wrong in each state of the app, in both themes, on one walk through it."""
    size, theme = LOOKS[request.param]
    tab.set_viewport_size(size)
    return {
        f"{state}, {shade}": faults_in(tab, shade)
        for state in walk(tab, theme)
        for shade in ("light", "dark")
    }


def walk(page, theme):
    """Bring the page into each state that has a look of its own, and name it."""
    query = f"?__theme={theme}"
    open_page(page, query)
    expect(page.locator("body")).to_have_class("dark" if theme == "dark" else "")
    yield "the example"
    ask(page, LONG, "int8", "int2")
    tick(page)
    page.locator("#compare").click()
    expect(problem(page, "formats")).to_be_visible()
    yield "a prompt, then a mistake"
    choose_blip(page)
    tick(page, "int8", "int2")
    compare(page)
    yield "a picture"
    leave_for(page, f"/about{query}")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    yield "About"


def faults_in(page, theme):
    page.add_style_tag(content="* { transition: none !important }")  # no colours on their way
    if page.evaluate("document.body.classList.contains('dark')") != (theme == "dark"):
        page.get_by_role("button", name="Dark colours").click()
    return faults(page)


def faults(page):
    """What sticks out sideways, and what axe calls serious."""
    found = page.evaluate(_OUTSIDE)
    if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
        found.append("the page scrolls sideways")
    serious = [
        (violation["id"], node["html"], node["failureSummary"])
        for violation in Axe().run(page).response["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
    return found, serious


def test_nothing_sticks_out_sideways(found):
    assert {state: outside for state, (outside, _) in found.items() if outside} == {}


def test_axe_finds_nothing_serious(found):
    assert {state: serious for state, (_, serious) in found.items() if serious} == {}
