"""Training through the rounding, on the page of linear quantization."""

import pytest
from playwright.sync_api import expect

from qdemo.lab.training import FP32_STEPS, STEPS, lessons
from tests.browser.conftest import WIDE
from tests.browser.lab_steps import lines, open_lab, slide

THROUGH = "int2, trained through rounding"
AFTER = "int2, rounded after training"


@pytest.fixture(scope="module")
def linear(tab):
    """The page, opened once for all tests."""
    tab.set_viewport_size(WIDE)
    open_lab(tab, "linear")
    return tab


def train(page):
    page.locator("#train").click()
    expect(page.locator("#train-line [role=status]")).to_contain_text("Right on")
    expect(page.locator("#train")).to_be_enabled()


def test_before_training_there_are_the_points_alone(linear):
    expect(linear.locator("#spirals figure")).to_have_count(3)
    expect(linear.locator("#spirals figcaption")).to_contain_text(["not yet"] * 3)
    expect(linear.locator("#spirals image")).to_have_count(0)
    expect(linear.locator("#train-line")).to_contain_text("press Train")


def test_training_through_rounding_beats_rounding_after(linear):
    slide(linear, "train-seed", 1)
    expect(linear.locator("#train-line")).to_contain_text("press Train")
    train(linear)
    found = dict(lines(linear, "training-chart"))
    assert len(found["fp32"]) == FP32_STEPS
    assert len(found[THROUGH]) == len(found[AFTER]) == STEPS
    assert found[THROUGH][-1] < found[AFTER][-1]
    assert len(dict(lines(linear, "flips-chart"))["integers that changed"]) == STEPS
    shown = linear.locator("#train-integers td").all_text_contents()
    assert len(shown) == 64
    assert {int(text) for text in shown} <= {-1, 0, 1}


def test_each_panel_says_what_was_learned(linear):
    *_, last = lessons(2, 1)
    told = [f"{100 * way.accuracy:.1f}".removesuffix(".0") for way in last.learned.values()]
    expect(linear.locator("#spirals figcaption span")).to_contain_text(
        [f"{share}% right" for share in told]
    )
    expect(linear.locator("#spirals image")).to_have_count(3)


_STOP = """name => {  // in the page, so that the training has no time to come to its end
  const stop = document.querySelector("#train-stop");
  const plot = document.querySelector("#training-chart .js-plotly-plot");
  const line = plot?.data.find(line => line.name == name);
  if (stop.disabled || !plot || line?.y.length == 200) return false;
  stop.click();
  return true;
}"""


def test_stop_stops_the_training(linear):
    slide(linear, "train-seed", 2)
    expect(linear.locator("#train-line")).to_contain_text("press Train")
    linear.locator("#train").click()
    linear.wait_for_function(_STOP, arg=THROUGH)
    expect(linear.locator("#train")).to_be_enabled()
    expect(linear.locator("#train-stop")).to_be_disabled()
    assert len(dict(lines(linear, "training-chart")).get(THROUGH, [])) < STEPS
    train(linear)
    assert len(dict(lines(linear, "training-chart"))[THROUGH]) == STEPS


_WATCH = """spirals => {  // every picture that is shown meanwhile
  window.seen = new Set();
  const look = () => window.seen.add(spirals.querySelectorAll("image").length + spirals.innerText);
  new MutationObserver(look).observe(spirals, {childList: true, subtree: true, attributes: true});
}"""


def test_less_motion_shows_the_end_alone(linear):
    linear.emulate_media(reduced_motion="reduce")
    slide(linear, "train-seed", 1)
    expect(linear.locator("#spirals image")).to_have_count(0)
    linear.locator("#spirals").evaluate(_WATCH)
    train(linear)
    linear.emulate_media(reduced_motion="no-preference")
    expect(linear.locator("#spirals image")).to_have_count(3)
    assert [text[0] for text in linear.evaluate("[...seen]") if text[0] != "0"] == ["3"]
