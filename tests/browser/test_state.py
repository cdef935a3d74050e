"""Nothing that a person had on screen is lost, and nothing of another's is shown in its place:
over restarts, dropped connections, reloads, Back and other visitors, and behind a proxy."""

import json
from contextlib import ExitStack

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from qdemo.spec.document import as_json
from qdemo.ui.held import example
from tests.browser.conftest import COMPLAINTS, WIDE, listen, started, watched
from tests.browser.proxy import PREFIX, proxied
from tests.browser.steps import (
    ask,
    cards,
    choose,
    choose_blip,
    compare,
    leave_for,
    report,
    start,
    tick,
    upload,
    wait_for_charts,
    wait_until_through,
)

QUESTION = "What is 40 + 2?"
SECRET = "zebra violin quartz"  # a prompt that nobody else has
WAYS = {
    "direct": ({}, {}),
    "kept": ({"prefix": PREFIX}, {"GRADIO_ROOT_PATH": PREFIX}),
    "stripped": ({"prefix": PREFIX, "strips": True}, {"GRADIO_ROOT_PATH": PREFIX}),
}
NINE = ["int8", "int4", "int3", "int2", "int2-tensor", "int2+emb", "int2-axis1", "int2-affine"]
SLOW = ("-m", "tests.browser.slow_app", "0.03")
LOST = "The server no longer has this comparison"
GRADIO_S_OWN = ("network error", "Connection errored out", "Failed to load resource", "AbortError",
                "Failed to fetch")  # fmt: skip


def forgive():
    """Take away what gradio and the browser say themselves of a connection that broke off."""
    COMPLAINTS[:] = [one for one in COMPLAINTS if not any(word in one for word in GRADIO_S_OWN)]


class Site:
    """The app behind a proxy, and how it is restarted. Its models take 30 ms more for a token, so
    that there is time to die in."""

    def __init__(self, way, folder, **more):
        self._stack, self._folder = ExitStack(), folder
        before, environment = WAYS[way]
        self._environment = environment | more
        self._begin()
        self.proxy = self._stack.enter_context(proxied(self._url, **before))

    def _begin(self):
        self.log = self._folder / "log"
        output = self._stack.enter_context(self.log.open("ab"))
        app = started(*SLOW, output=output, **self._environment)
        self._url, self._process = self._stack.enter_context(app)

    def restart(self):
        self._process.kill()
        self._process.wait()
        self._begin()
        self.proxy.point_to(self._url)

    def close(self):
        self._stack.close()


directly_too = pytest.mark.parametrize("site", list(WAYS), indirect=True)
one_way = pytest.mark.parametrize("site", ["kept"], indirect=True)
"""Of what has nothing to do with addresses: a lost server, and what is refused, are the same behind
any proxy."""


@pytest.fixture(scope="module", params=["kept", "stripped"])
def site(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    site = Site(request.param, folder, GRADIO_TEMP_DIR=str(folder / "files"))
    yield site
    site.close()


@pytest.fixture
def page(browser, site):
    with browser.new_context(viewport=WIDE) as context:
        context.set_default_timeout(60_000)
        origin = site.proxy.url.removesuffix(PREFIX)
        listen(context, origin)
        page = context.new_page()
        page.goto(f"{site.proxy.url}/")
        wait_for_charts(page)
        yield page
        forgive()


def is_done(page):
    expect(page.locator("#status")).to_have_text("Done.")


def outputs(page):
    return {name: one["output"] for name, one in cards(page).items()}


def is_asked(page, prompt, *formats):
    """The question and the ticks are these."""
    expect(page.get_by_label("Prompt")).to_have_value(prompt)
    page.wait_for_function(
        """wanted => JSON.stringify(
             [...document.querySelectorAll("#formats input:checked")].map(box => box.name).sort()
           ) === JSON.stringify(wanted)""",
        arg=sorted(formats),
    )


@directly_too
def test_after_a_restart_a_file_is_what_is_on_screen_one_click_later(page, site, tmp_path):
    ask(page, QUESTION, "fp16", "int8")
    page.get_by_label("Prompt").fill("Something else by now")
    before = outputs(page)
    site.restart()
    page.locator("#take-json").click()
    expect(page.locator("#lost")).to_contain_text(LOST)
    assert outputs(page) == before  # what is on screen stays
    with page.expect_download() as coming:
        page.locator("#lost .recompute").click()
    coming.value.save_as(tmp_path / "file.json")
    document = json.loads((tmp_path / "file.json").read_text())
    assert document["input"] == QUESTION
    assert [result["output"] for result in document["results"]] == ["42"] * 3
    expect(page.locator("#lost .problem")).to_have_count(0)
    is_asked(page, "Something else by now", "fp16", "int8")
    assert report(page, tmp_path) == document  # it is held again


@one_way
def test_after_a_restart_the_ribbon_and_the_layers_show_nothing_of_another(page, site):
    ask(page, QUESTION, "int8")
    site.restart()
    page.locator('#ribbon [data-format="int8"] input[value="1"]').click()
    expect(page.locator("#top-lost")).to_contain_text(LOST)
    expect(page.locator("#top h3")).to_contain_text("token 1")  # what is on screen stays
    choose(page, "Layer", "encoder.block.0.layer.0.SelfAttention.q.weight")
    expect(page.locator("#parameter-lost")).to_contain_text(LOST)
    page.locator("#top-lost .recompute").click()
    is_done(page)
    expect(page.locator(".problem")).to_have_count(0)
    expect(page.locator("#ribbon input:checked")).to_have_attribute("value", "0")


@directly_too
def test_a_reload_and_back_from_another_page_bring_everything_back(page, site):
    ask(page, QUESTION, "int8", "int3")
    before = outputs(page)
    page.reload()
    is_done(page)
    is_asked(page, QUESTION, "int8", "int3")
    assert outputs(page) == before
    leave_for(page, f"{site.proxy.url}/about")
    expect(page.locator("h1")).to_have_text("About qdemo")
    page.go_back()
    is_done(page)
    is_asked(page, QUESTION, "int8", "int3")
    assert outputs(page) == before
    leave_for(page, f"{site.proxy.url}/about")
    page.get_by_role("link", name="Compare", exact=True).click()
    is_done(page)
    is_asked(page, QUESTION, "int8", "int3")


@one_way
def test_a_question_that_was_not_asked_yet_is_kept_beside_the_results_of_another(page, site):
    ask(page, QUESTION, "int8")
    page.get_by_label("Prompt").fill("Translate to German: Tuesday")
    expect(page.locator(".stale-note")).to_be_visible()
    page.reload()
    is_done(page)
    is_asked(page, "Translate to German: Tuesday", "int8")
    assert outputs(page) == {"fp32": "42", "int8": "42"}
    expect(page.locator(".stale-note")).to_be_visible()


@one_way
@pytest.mark.parametrize("refused", ["", "a b c d " * 300], ids=["empty", "too many tokens"])
def test_a_refused_question_takes_nothing_away(page, site, tmp_path, refused):
    ask(page, QUESTION, "int8")
    page.get_by_label("Prompt").fill(refused)
    page.locator("#compare").click()
    expect(page.locator("#problem-prompt .problem")).to_be_visible()
    page.reload()
    is_done(page)
    is_asked(page, refused, "int8")
    assert outputs(page) == {"fp32": "42", "int8": "42"}
    assert report(page, tmp_path)["input"] == QUESTION
    page.go_back()
    is_asked(page, QUESTION, "int8")
    is_done(page)


def test_a_link_that_is_refused_leaves_the_example_what_it_is(page, site, tmp_path):
    leave_for(page, f"{site.proxy.url}/about")
    leave_for(page, f"{site.proxy.url}/#input={'a+b+c+d+' * 200}&run=1")
    expect(page.locator("#problem-prompt .problem")).to_contain_text("at most 512 are read")
    wait_for_charts(page)
    expect(page.locator(".stale-note")).to_be_visible()
    assert report(page, tmp_path) == as_json(example())


def test_back_leads_to_the_question_before(page):
    ask(page, QUESTION, "int8")
    ask(page, "Translate to German: Tuesday", "fp16")
    page.go_back()
    expect(page.locator("#verdict q")).to_have_text(QUESTION)
    is_done(page)
    is_asked(page, QUESTION, "int8")
    page.go_forward()
    expect(page.locator("#verdict q")).to_have_text("Translate to German: Tuesday")
    is_asked(page, "Translate to German: Tuesday", "fp16")
    is_done(page)
    for _ in range(2):
        page.go_back()
    expect(page.locator("#verdict .note")).to_contain_text("An example")
    is_asked(page, "Sort these words: pig, onion, river, wolf", "fp16", "bf16", "int8")
    expect(page.locator(".stale-note")).to_be_hidden()


@one_way
def test_a_proxy_that_dies_in_the_middle_of_nine_formats(page, site):
    page.goto(f"{site.proxy.url}/#formats={','.join(NINE).replace('+', '%2B')}&max_tokens=32")
    is_asked(page, "Sort these words: pig, onion, river, wolf", *NINE)
    page.get_by_label("Prompt").fill("What is the capital of France?")
    page.locator("#compare").click()
    page.wait_for_selector('.card.done[data-format="int4"]')  # five seconds are left
    assert page.locator("#status .running").count() == 1
    site.proxy.die()
    page.wait_for_timeout(5000)
    site.proxy.live()
    expect(page.locator(".card.done")).to_have_count(9)
    is_done(page)
    is_asked(page, "What is the capital of France?", *NINE)
    assert outputs(page)["fp32"] == "Paris"


@one_way
def test_an_uploaded_picture_of_three_megabytes_comes_back(page, site, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (1100, 1000, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.png")
    assert (tmp_path / "large.png").stat().st_size > 3_000_000
    choose_blip(page)
    upload(page, tmp_path / "large.png")
    tick(page, "int8")
    compare(page)
    expect(page.locator("#verdict q")).to_contain_text("the uploaded file, 1000 × 1100 pixels")
    site.restart()  # its uploads are deleted
    page.reload()
    is_done(page)
    expect(page.locator("#picture img")).to_be_visible()
    expect(page.locator("#verdict q")).to_contain_text("a smaller copy of the uploaded file, 930 ×")


def test_a_small_uploaded_picture_comes_back_as_it_was(page, site, tmp_path):
    Image.linear_gradient("L").convert("RGB").save(tmp_path / "small.png")
    choose_blip(page)
    upload(page, tmp_path / "small.png")
    tick(page, "fp16")
    compare(page)
    asked, before = page.locator("#verdict q").text_content(), outputs(page)
    assert asked.startswith("the uploaded file, 256 × 256 pixels")
    page.reload()
    is_done(page)
    expect(page.locator("#verdict q")).to_have_text(asked)
    assert outputs(page) == before


def test_no_log_holds_a_prompt(page, site, tmp_path):
    ask(page, SECRET, "int8")
    report(page, tmp_path)
    page.reload()
    is_done(page)
    page.get_by_label("Prompt").fill(f"{SECRET} " * 900)
    page.locator("#compare").click()
    expect(page.locator("#problem-prompt .problem")).to_contain_text("at most 4,000 are read")
    leave_for(page, f"{site.proxy.url}/about")
    page.go_back()
    wait_for_charts(page)
    written = [*site.proxy.log, site.log.read_text()]
    assert any("GET" in line for line in written)
    for word in SECRET.split():
        assert not [line for line in written if word in line]


def test_the_keyboard_is_faster_than_the_answers(shared):
    ask(shared, "Sort these words: pig, onion, river, wolf", "int8")
    shared.locator("#ribbon input").first.focus()
    for _ in range(5):
        shared.keyboard.press("ArrowRight")
    expect(shared.locator("#top h3")).to_contain_text("token 6")
    shared.wait_for_timeout(500)  # what is still on its way
    chosen = shared.locator("#ribbon input:checked")
    assert "token 6 " in chosen.get_attribute("aria-label")
    expect(shared.locator("#top h3")).to_contain_text("token 6")


def test_a_changed_question_dims_the_results_and_says_so(shared):
    ask(shared, QUESTION, "int8")
    note = shared.locator(".stale-note")
    expect(note).to_be_hidden()
    shared.get_by_label("Prompt").fill("What is 40 + 3?")
    expect(note).to_be_visible()
    assert shared.locator("#cards").evaluate("e => getComputedStyle(e).opacity") < "0.6"
    shared.get_by_label("Prompt").fill(QUESTION)
    expect(note).to_be_hidden()
    tick(shared, "int8", "fp16")  # the question is the same
    expect(note).to_be_hidden()
    choose_blip(shared)
    expect(note).to_be_visible()


def test_the_first_click_keeps_what_the_example_shows(browser, app):
    with watched(browser, app) as page:
        page.goto("/")
        wait_for_charts(page)
        before = outputs(page)
        start(page)
        wait_until_through(page)
        is_done(page)
        assert outputs(page) == before
        assert list(before) == ["fp32", "fp16", "bf16", "int8"]
