"""The lab at both sizes, light and dark: nothing hangs out, axe is content."""

import pytest
from playwright.sync_api import expect

from tests.browser.lab_steps import open_lab
from tests.browser.steps import choose, problem
from tests.browser.test_looks import LOOKS, faults_in


@pytest.fixture(scope="module", params=LOOKS)
def found(request, tab):
    """What is found wrong in each state of the pages, in both themes, on one walk through them."""
    size, theme = LOOKS[request.param]
    tab.set_viewport_size(size)
    return {
        f"{state}, {shade}": faults_in(tab, shade)
        for state in walk(tab, f"?__theme={theme}")
        for shade in ("light", "dark")
    }


def walk(page, theme):
    """Bring each page into the states that have a look of their own, and name them."""
    open_lab(page, "formats", theme)
    yield "formats"
    page.locator("#scale").get_by_role("textbox").fill("none")
    expect(problem(page, "value")).to_be_visible()
    yield "formats, a mistake"
    open_lab(page, "casting", theme)
    choose(page, "Model", "blip-tiny")
    page.locator("#measure").click()
    expect(page.locator("#cast-peaks tbody tr")).to_have_count(10)
    yield "casting, measured"
    open_lab(page, "linear", theme)
    expect(page.locator("#training-chart .main-svg").first).to_be_visible()
    yield "linear"
    page.locator("#train").click()
    expect(page.locator("#train-line [role=status]")).to_contain_text("Right on")
    yield "linear, trained"
    page.locator("#matrix textarea").fill("\n".join(["0.123 " * 16] * 12) + "\nnone")
    expect(problem(page, "matrix")).to_be_visible()
    yield "linear, a mistake"
    page.locator("#matrix textarea").fill("\n".join(["0.123 " * 16] * 12))
    expect(page.locator("#grids td")).to_have_count(4 * 12 * 16)
    yield "linear, the largest matrix"
    open_lab(page, "methods", theme)
    yield "methods"
    page.locator("#matrix textarea").fill("\n".join(["0.123 " * 16] * 12))
    expect(page.locator("#scales-table tbody tr")).to_have_count(12)
    yield "methods, the largest matrix"


def test_nothing_sticks_out_sideways(found):
    assert {state: outside for state, (outside, _) in found.items() if outside} == {}


def test_axe_finds_nothing_serious(found):
    assert {state: serious for state, (_, serious) in found.items() if serious} == {}
