"""How long a click that only looks takes to the new picture, in a browser."""

import statistics
from itertools import cycle

from qdemo import lab

ROUNDS = 9
QUIET = 250  # ms without a change: the picture is there

ALL_THERE = "html:not(.coming) #weights-chart .main-svg"
"""The Compare page with its last chart."""

# From the event of the mouse or the keyboard to the last change of what shows the picture.
_WATCH = """names => {
  const seen = window.seen = {};
  for (const name of ["pointerdown", "keydown"])
    addEventListener(name, () => seen.began ??= performance.now(), {capture: true, once: true});
  const observer = new MutationObserver(() => { if (seen.began) seen.last = performance.now(); });
  const all = {subtree: true, childList: true, attributes: true, characterData: true};
  for (const name of names) observer.observe(document.getElementById(name), all);
}"""
_QUIET = "quiet => window.seen.last && performance.now() - window.seen.last > quiet"


def looked(page, act, *shown):
    """Milliseconds from the click in `act` to the last change of the elements named `shown`."""
    page.evaluate(_WATCH, list(shown))
    act()
    page.wait_for_function(_QUIET, arg=QUIET)
    return page.evaluate("window.seen.last - window.seen.began")


def _median(page, acts, *shown):
    """Of several, after a first that only warms up what both sides keep."""
    times = [looked(page, act, *shown) for act, _ in zip(acts, range(ROUNDS + 1), strict=False)]
    return statistics.median(times[1:])


def _options(page, label, texts):
    """One choice of a drop-down list after the other; opening the list is not what is timed."""
    for text in cycle(texts):
        page.get_by_role("combobox", name=label, exact=True).click()
        yield page.get_by_role("option").filter(has_text=text).first.click


def _cells(page, selector):
    """One cell after the other, from the second on: the first may be chosen."""
    count = page.locator(selector).count()
    for i in cycle([*range(1, count), 0]):
        yield page.locator(selector).nth(i).click


def _steps(page, name):
    """The arrow keys on a slider, to the right and back."""
    handle = page.locator(f"#{name} input[type=range]")
    for key in cycle(["ArrowRight"] * 3 + ["ArrowLeft"] * 3):
        handle.focus()
        yield lambda key=key: handle.press(key)


def _casts(page):
    """The formats that the dummy model can be cast to."""
    for name in cycle(lab.CASTS):
        yield page.locator("#cast-to").get_by_label(name).click


def looks(page, url):
    """What is clicked on each page, with the median of its milliseconds."""
    page.goto(url)
    page.wait_for_selector(ALL_THERE)
    weights = ("weights-chart", "weights-reading", "weights-table")
    layers = ("decoder.block.0", "lm_head", "encoder.block.1")
    yield "a layer of the error charts", _median(page, _options(page, "Layer", layers), *weights)
    yield "a token of the ribbon", _median(page, _cells(page, "#ribbon label"), "top")
    page.get_by_role("button", name="More:").click()
    names = ("int3 · 3 bits", "int8 · 8 bits", "int2 · 2 bits")
    yield "a part of the composer", _median(page, _options(page, "Stored in", names), "own-told")
    page.goto(f"{url}/formats")
    page.wait_for_selector("#dots-chart .main-svg")
    bits = _cells(page, "#strip button[data-column]")
    yield "/formats, a bit", _median(page, bits, "strip", "link")
    vector = ("dots-chart", "dots-table", "values-table")
    yield "/formats, another vector", _median(page, _steps(page, "seed"), *vector)
    page.goto(f"{url}/casting")
    page.wait_for_selector("#course-blip table")
    yield "/casting, a cast", _median(page, _casts(page), "cast-logits", "cast-dtypes")
    page.goto(f"{url}/linear")
    page.wait_for_selector("#course-flan table")
    matrix = ("grids", "steps", "staircase-chart", "clipping-chart", "by-hand-table", "link")
    yield "/linear, bits", _median(page, _steps(page, "bits"), *matrix)
    cells = _cells(page, "#grids section:first-child td button")
    yield "/linear, a weight", _median(page, cells, "grids", "steps", "staircase-chart")
    beside = _options(page, "A weight of t5-tiny", lab.LAYERS[::-1])
    yield "/linear, a layer", _median(page, beside, "beside-chart", "beside-table")
    page.goto(f"{url}/methods")
    page.wait_for_selector("#super-chart .main-svg")
    walk = ("gptq-numbers", "gptq-chart", "gptq-table", "gptq-line")
    yield "/methods, a column", _median(page, _steps(page, "gptq-column"), *walk)
    alpha = ("smoothing-chart", "alpha-chart", "smoothing-line")
    yield "/methods, another α", _median(page, _steps(page, "alpha"), *alpha)
