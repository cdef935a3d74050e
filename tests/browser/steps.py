"""What a person does on the Compare page, each in one step that waits until it has happened."""

import json
import time
from contextlib import contextmanager

from playwright.sync_api import expect

CHARTS = ("memory", "logits", "weights")
_WATCH = """() => {
  const status = document.querySelector("#status");
  window.said = [];
  window.watching?.disconnect();
  window.watching = new MutationObserver(() => {
    const line = status.querySelector(".status");
    if (line && line.textContent != window.said.at(-1)) window.said.push(line.textContent);
    window.begun ||= line?.classList.contains("busy");
    window.through = window.begun && !line?.classList.contains("busy");
  });
  window.begun = window.through = false;
  window.watching.observe(status, {subtree: true, childList: true, attributes: true});
}"""
_REDRAWN = """([chart, before]) => {
  const plot = document.querySelector(`#${chart}-chart .js-plotly-plot`);
  const now = plot.data.map(trace => [trace.name, trace.y]);
  return JSON.stringify(now) != JSON.stringify(before);
}"""
_CARDS = """all => all.map(card => ({
  format: card.dataset.format,
  state: [...card.classList].filter(name => name != "card").join(),
  output: card.querySelector(".output").textContent.trim(),
  marked: [...card.querySelectorAll("mark")].map(mark => mark.textContent),
  size: card.querySelector(".size")?.textContent.trim(),
  ...Object.fromEntries([...card.querySelectorAll("dl div")].map(
    pair => [pair.querySelector("dt").textContent, pair.querySelector("dd").textContent])),
}))"""


COMPLAINTS: list[str] = []
"""Of all pages; no test may leave one."""

STREAMS = set()
"""The requests through which answers of the queue come, of all pages."""


def leave_for(page, address):
    """Go to another page once the answers to this one are through: gradio breaks them off
    otherwise, and complains of that itself, as it does of one that was only asked for."""
    deadline = time.monotonic() + 60
    while any(stream.frame.page == page for stream in STREAMS) and time.monotonic() < deadline:
        page.wait_for_timeout(20)
    with breaking_off():
        page.goto(address)


@contextmanager
def breaking_off():
    """What gradio complains of meanwhile, as a page was left before its answers came, is nothing
    that a person sees."""
    before = len(COMPLAINTS)
    yield
    broken_off = ("AbortError", "Connection errored out")
    COMPLAINTS[before:] = [
        one for one in COMPLAINTS[before:] if not any(word in one for word in broken_off)
    ]


def open_page(page, query=""):
    """Wait for the charts: from then on the page takes clicks."""
    leave_for(page, f"/{query}")
    wait_for_charts(page)


def wait_for_charts(page):
    for name in CHARTS:
        expect(page.locator(f"#{name}-chart .main-svg").first).to_be_visible()
    expect(page.locator("#map-drawn table")).to_be_visible()


def start(page, press=None):
    """Press Compare. What the status says now, `Done.` perhaps, is of the run before."""
    page.evaluate(_WATCH)
    (press or page.locator("#compare").click)()


def wait_until_through(page):
    page.wait_for_function("window.through")


def said(page):
    """What the status has said since Compare was pressed, in its order."""
    return page.evaluate("window.said")


def compare(page):
    start(page)
    wait_until_through(page)
    expect(page.locator("#status")).to_have_text("Done.")


def ask(page, prompt, *formats):
    """Type a prompt, tick exactly these formats, and compare."""
    page.get_by_label("Prompt").fill(prompt)
    tick(page, *formats)
    compare(page)


def tick(page, *formats):
    boxes = page.locator("#formats").get_by_role("checkbox")
    for box in boxes.all():
        box.set_checked(box.get_attribute("name") in formats)


def choose(page, label, option):
    """Take the first option that has this text from a drop-down list."""
    page.get_by_role("combobox", name=label, exact=True).click()
    page.get_by_role("option").filter(has_text=option).first.click()


def open_more(page):
    """Open what is folded, and wait until gradio has given its parts their values once more, which
    it does a frame after they are there: until then it undoes what is typed."""
    page.get_by_role("button", name="More:").click()
    expect(composed(page)).to_be_visible()
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => setTimeout(done, 100)))")


def add(page):
    page.get_by_role("button", name="Add to formats").click()


def composed(page):
    """The text of the format that is being put together."""
    return page.locator("#own-text").locator("textarea, input")


def compose(page, text):
    """Type a format, and add it."""
    composed(page).fill(text)
    add(page)


def cards(page):
    """What every card shows, by format, all at one moment."""
    return {card.pop("format"): card for card in page.locator(".card").evaluate_all(_CARDS)}


def card(page, name):
    """What a format's card shows."""
    return cards(page)[name]


def problem(page, field):
    """The line at a control that says what is wrong with it."""
    return page.locator(f"#problem-{field} .problem")


def wait_until_redrawn(page, chart, before):
    """Wait until a chart's lines are others than `before`."""
    page.wait_for_function(_REDRAWN, arg=[chart, before])


def traces(page, chart):
    """The names and the heights of a chart's lines, as they are drawn now."""
    return page.locator(f"#{chart}-chart .js-plotly-plot").evaluate(
        "plot => plot.data.map(trace => [trace.name, trace.y])"
    )


@contextmanager
def no_answers(page):
    """What is asked meanwhile is answered at the end, as by a server that is far away."""
    asked = []
    page.route("**/gradio_api/run/**", lambda one: asked.append(one))
    yield
    deadline = time.monotonic() + 30
    while not asked and time.monotonic() < deadline:
        page.wait_for_timeout(20)
    assert asked
    page.route("**/gradio_api/run/**", lambda one: one.continue_())
    for one in asked:
        one.continue_()
    page.unroute("**/gradio_api/run/**")


def choose_blip(page):
    choose(page, "Model", "blip-tiny")
    expect(page.locator("#gallery")).to_be_visible()


def remove_picture(page):
    page.get_by_role("button", name="Remove Image").click()
    expect(page.locator("#picture img")).to_have_count(0)


def upload(page, file):
    """Bring a picture of one's own in the place of the one that is there."""
    remove_picture(page)
    page.locator("#picture input[type=file]").set_input_files(file)
    expect(page.locator("#picture img")).to_have_count(1)


def take_other_picture(page, press):
    """Press what brings another picture, and wait for it."""
    picture = page.locator("#picture img")
    before = picture.get_attribute("src")
    press()
    expect(picture).not_to_have_attribute("src", before)


def download(page, ending, folder):
    """Press the button of that kind of file; the file, under the name that it came by."""
    with page.expect_download() as coming:
        page.locator(f"#take-{ending}").click()
    file = folder / coming.value.suggested_filename
    coming.value.save_as(file)
    assert file.suffix == f".{ending}"
    return file


def report(page, folder):
    """The document of what is on screen, as it is taken away."""
    return json.loads(download(page, "json", folder).read_text(encoding="utf-8"))
