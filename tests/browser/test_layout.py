"""How the answers stand: all in the first screen, under or beside each other, two on a phone."""

import pytest
from playwright.sync_api import expect

from tests.browser.steps import leave_for, tick, wait_for_charts

SIX = ("fp16", "bf16", "int8", "int3", "int2")
ASKED = f"#model=t5-tiny&formats={','.join(SIX)}&input=What+is+23+%2B+45%3F&run=1"
SCREENS = ((1920, 1080), (1536, 864), (1366, 768))  # the second is 1920 × 1080 at 125%
PHONE = {"width": 390, "height": 844}
TOPS = "all => all.map(card => card.getBoundingClientRect().top)"


@pytest.fixture(scope="module")
def six(tab):
    leave_for(tab, "/about")
    leave_for(tab, f"/{ASKED}")
    wait_for_charts(tab)
    expect(tab.locator("#cards .card.done")).to_have_count(6)
    yield tab
    tab.evaluate("localStorage.clear()")


@pytest.mark.parametrize(("width", "height"), SCREENS)
def test_six_answers_are_in_the_first_screen(six, width, height):
    six.set_viewport_size({"width": width, "height": height})
    six.evaluate("scrollTo(0, 0)")
    lowest = six.locator("#cards .card").last.bounding_box()
    assert lowest["y"] + lowest["height"] <= height


def test_many_stand_under_each_other_and_their_words_line_up(six):
    six.set_viewport_size({"width": 1366, "height": 768})
    starts = six.locator("#cards .output").evaluate_all(
        "all => all.map(one => one.getBoundingClientRect().left)"
    )
    assert len(set(starts)) == 1
    assert len(set(six.locator("#cards .card").evaluate_all(TOPS))) == 6


def test_one_chooses_columns_and_finds_them_again(six):
    six.set_viewport_size({"width": 1920, "height": 1080})
    columns = six.locator("#layout").get_by_role("button", name="columns")
    columns.click()
    expect(columns).to_have_attribute("aria-pressed", "true")
    assert len(set(six.locator("#cards .card").evaluate_all(TOPS))) == 2
    six.reload()
    wait_for_charts(six)
    expect(six.locator("#layout").get_by_role("button", name="columns")).to_have_attribute(
        "aria-pressed", "true"
    )
    six.locator("#layout").get_by_role("button", name="rows").click()
    expect(six.locator("#cards .card.done")).to_have_count(6)
    assert len(set(six.locator("#cards .card").evaluate_all(TOPS))) == 6


def test_a_card_has_more_to_say(six):
    card = six.locator('#cards .card[data-format="int8"]')
    expect(card.locator("dl")).to_be_hidden()
    card.get_by_role("button", name="More on int8").press("Enter")
    expect(card.locator("dl")).to_be_visible()
    card.get_by_role("button", name="More on int8").press("Enter")
    expect(card.locator("dl")).to_be_hidden()


def test_on_a_phone_the_two_that_are_chosen_stand_side_by_side(six):
    six.set_viewport_size(PHONE)
    shown = six.locator("#cards .card:visible")
    expect(shown).to_have_count(2)
    six.locator("#layout").get_by_role("combobox", name="Left").select_option("int2")
    six.locator("#layout").get_by_role("combobox", name="Right").select_option("bf16")
    boxes = {one.get_attribute("data-format"): one.bounding_box() for one in shown.all()}
    assert set(boxes) == {"int2", "bf16"}
    assert boxes["int2"]["x"] + boxes["int2"]["width"] <= boxes["bf16"]["x"]
    assert boxes["int2"]["y"] == boxes["bf16"]["y"]
    assert six.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_a_token_of_a_strip_is_chosen_on_the_ribbon(six):
    six.set_viewport_size({"width": 1366, "height": 768})
    six.locator('#cards .card[data-format="int2"] .strip i').nth(1).click()
    expect(six.locator("#ribbon input:checked")).to_have_value("1")


def test_few_stand_beside_each_other(six):
    six.set_viewport_size({"width": 1920, "height": 1080})
    six.evaluate("() => { localStorage.clear(); delete document.documentElement.dataset.layout; }")
    tick(six, "int8")
    six.locator("#compare").click()
    expect(six.locator("#cards .card.done")).to_have_count(2)
    assert len(set(six.locator("#cards .card").evaluate_all(TOPS))) == 1
