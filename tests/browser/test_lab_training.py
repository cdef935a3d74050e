"""Training through the rounding, on the page of linear quantization."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import WIDE
from tests.browser.lab_steps import lines, open_lab, slide, wait_until_drawn_anew

THROUGH = "int2, trained through rounding"
AFTER = "int2, rounded after training"


@pytest.fixture(scope="module")
def linear(tab):
    """The page, opened once for both tests."""
    tab.set_viewport_size(WIDE)
    open_lab(tab, "linear")
    return tab


def wait_until_trained(page):
    expect(page.locator("#train")).to_be_enabled()
    page.wait_for_function(
        """name => document.querySelector("#training-chart .js-plotly-plot")?.data
          .find(line => line.name == name)?.y.length == 200""",
        arg=THROUGH,
    )


def test_training_through_rounding_beats_rounding_after(linear):
    wait_until_trained(linear)
    before = lines(linear, "training-chart")
    slide(linear, "train-seed", 1)
    linear.locator("#train").click()
    wait_until_drawn_anew(linear, "training-chart", before)
    wait_until_trained(linear)
    found = dict(lines(linear, "training-chart"))
    assert found[THROUGH][-1] < found[AFTER][-1]
    assert len(dict(lines(linear, "flips-chart"))["integers that changed"]) == 200
    shown = linear.locator("#train-integers td").all_text_contents()
    assert len(shown) == 64
    assert {int(text) for text in shown} <= {-1, 0, 1}


_STOP = """name => {  // in the page, so that the training has no time to come to its end
  const stop = document.querySelector("#train-stop");
  const plot = document.querySelector("#training-chart .js-plotly-plot");
  const line = plot?.data.find(line => line.name == name);
  if (stop.disabled || !plot || line?.y.length == 200) return false;
  stop.click();
  return true;
}"""


def steps_when_stopped(page):
    """Of a training of another seed; a fast machine may be through before it hears of Stop."""
    wait_until_trained(page)
    slide(page, "train-seed", 1)
    page.locator("#train").click()
    page.wait_for_function(_STOP, arg=THROUGH)
    expect(page.locator("#train")).to_be_enabled()
    expect(page.locator("#train-stop")).to_be_disabled()
    return len(dict(lines(page, "training-chart")).get(THROUGH, []))


def test_stop_stops_the_training(linear):
    assert any(steps_when_stopped(linear) < 200 for _ in range(8))
    linear.locator("#train").click()
    wait_until_trained(linear)
