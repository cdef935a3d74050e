"""What a browser refuses for us, and what odd text and odd files may not do to the page."""

import io

import pytest
from PIL import Image, ImageChops
from playwright.sync_api import expect

from tests.bombs import BOMBS
from tests.browser.conftest import COMPLAINTS, WIDE
from tests.browser.steps import (
    ask,
    card,
    cards,
    choose_blip,
    compare,
    leave_for,
    open_page,
    problem,
    remove_picture,
    tick,
    upload,
)

PHONE = {"width": 390, "height": 844}
INJECTED = """async () => {
  window.ran = [];
  const put = (name, values) =>
    document.body.append(Object.assign(document.createElement(name), values));
  put("div", {innerHTML: "<img src=data:, onerror='ran.push(`a handler`)'>"});
  put("script", {textContent: "ran.push('a script')"});
  put("script", {src: "data:text/javascript,ran.push('a script from elsewhere')"});
  put("iframe", {srcdoc: "<script>parent.ran.push('a frame')</scr" + "ipt>"});
  put("a", {href: "javascript:ran.push('an address')", id: "injected"});
  document.querySelector("#injected").click();
  await fetch("https://example.com/").then(() => ran.push("a request"), () => {});
  await new Promise(done => setTimeout(done, 500));
  return ran;
}"""
PILED = "e" + "\u0301\u0323\u0489" * 60
ODD = {
    "right to left": "\u202e\u2067What is 2 + 3?",
    "nothing seen": "\u200b\u200d\u2060" * 100 + "x",
    "control characters": "a\0b\x07c\x1b[31md\x7f\x85e",
    "piled marks": "a" + "\u0301" * 3900,
    "piled words": (PILED + " ") * 20,
}


def expected_complaints():
    """What the browser has said of an attempt, which is then no complaint of the test."""
    found = COMPLAINTS.copy()
    COMPLAINTS.clear()
    return found


LAST = {
    "": "#weights-chart .main-svg",
    "formats": "#dots-chart .main-svg",
    "casting": "#course-blip table",
    "linear": "#training-chart .main-svg",
    "about": ".prose-page table",
}
"""What comes last on each page."""


@pytest.mark.parametrize("name", list(LAST))
def test_nothing_that_is_put_into_a_page_runs(page, name):
    leave_for(page, f"/{name}")
    expect(page.locator(LAST[name]).last).to_be_visible()
    assert expected_complaints() == []
    assert page.evaluate(INJECTED) == []
    said = expected_complaints()
    assert len(said) >= 5
    assert all("Content Security Policy" in line for line in said)


@pytest.mark.parametrize("name", list(ODD))
def test_a_prompt_of_odd_characters_is_compared_and_the_page_keeps_its_shape(page, name):
    open_page(page)
    ask(page, ODD[name], "int8")
    assert {one["state"] for one in cards(page).values()} == {"done"}
    for size in (WIDE, PHONE):
        page.set_viewport_size(size)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_too_many_piled_marks_are_refused_as_what_they_are(shared):
    shared.get_by_label("Prompt").fill("a" + "\u0301" * 4500)
    shared.locator("#compare").click()
    says = "the prompt has 4,501 characters; at most 4,000 are read"
    expect(problem(shared, "prompt")).to_have_text(says)


PLACES = (".asked", ".output", ".ribbon thead th:nth-child(2)", ".ribbon td span", ".top .token",
          ".tops h3", ".reading")  # fmt: skip
_MARK = """(element, text) => {
  element.textContent = text;
  element.scrollIntoView({block: "center"});
  const {left, top, right, bottom} = element.getBoundingClientRect();
  return [left, top, right, bottom];
}"""


def open_with_words(page):
    """The page with a format that writes other words, which stand on the ribbon."""
    open_page(page)
    ask(page, "Sort these words: pig, onion, river, wolf", "int3")
    expect(page.locator(".ribbon td span").first).to_be_visible()


def test_piled_marks_are_not_drawn_over_what_is_beside_them(page):
    open_with_words(page)
    page.add_style_tag(content="* { font-family: 'DejaVu Sans' !important }")  # piles them up high
    # Each time: a chart that is still being drawn changes the picture once.
    drawn = [place for place in PLACES if all(is_drawn_over(page, place) for _ in range(3))]
    assert drawn == []


def is_drawn_over(page, place):
    """Whether marks in one element change the picture of the page outside of it."""
    shots = []
    for text in ("aaa", "a" + "\u0301" * 200 + "aa"):
        left, top, right, bottom = page.locator(place).first.evaluate(_MARK, text)
        with Image.open(io.BytesIO(page.screenshot())) as shot:
            shots.append(shot.convert("RGB"))
        shots[-1].paste("white", (int(left), int(top), int(right) + 1, int(bottom) + 1))
    return ImageChops.difference(*shots).getbbox() is not None


def test_text_from_outside_runs_in_its_own_direction(page):
    open_with_words(page)
    for place in (".asked bdi", *PLACES[1:5]):
        found = page.locator(place).first.evaluate(
            """element => {
              element.textContent = "\u0645\u0644\u062e\u0635";
              const style = getComputedStyle(element);
              return [style.direction, style.unicodeBidi];
            }"""
        )
        assert found == ["rtl", "isolate"], place


def test_a_bomb_is_refused_at_the_picture_and_the_page_lives_on(page, tmp_path):
    open_page(page)
    choose_blip(page)
    for name in ("huge.png", "picture.svg", "truncated.jpg"):
        content, says = BOMBS[name]
        (tmp_path / name).write_bytes(content)
        upload(page, tmp_path / name)
        page.locator("#compare").click()
        expect(problem(page, "picture"), name).to_contain_text(says)
    page.locator("#scene").click()
    tick(page, "int8")
    compare(page)
    assert card(page, "int8")["state"] == "done"


def test_a_file_of_more_than_twenty_megabytes_is_told(page, tmp_path):
    open_page(page)
    choose_blip(page)
    remove_picture(page)
    (tmp_path / "large.png").write_bytes(bytes(20 * 2**20 + 1))
    page.locator("#picture input[type=file]").set_input_files(tmp_path / "large.png")
    expect(page.get_by_text("exceed the maximum allowed size of 20.0 Mb")).to_be_visible()
    expected_complaints()  # gradio asks how far the upload is that it has not begun
