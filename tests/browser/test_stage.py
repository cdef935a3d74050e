"""The stage: from a cold start by a clicker alone, with the server gone, and readable for all."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from qdemo.views.telling import stories
from tests.browser.conftest import WIDE, watched
from tests.browser.steps import open_page

STORIES = stories()
STEPS = [f"{story.key} {step}" for story in STORIES for step in ("guess", "rows", "after")]
SIZES = ((1920, 1080), (1536, 864), (1366, 768), (1280, 720), (390, 844))
_SIZES_OF_TEXT = """() => [...document.querySelectorAll("#stage *")].flatMap(element => {
  const text = [...element.childNodes].some(node => node.nodeType == 3 && node.data.trim());
  const isLarge = element.closest(".answer, .number") !== null;
  return text && element.checkVisibility()
    ? [[parseFloat(getComputedStyle(element).fontSize), isLarge, element.textContent.trim()]] : [];
})"""
_CUT = """() => [...document.querySelectorAll("#stage, #stage *")].flatMap(element => {
  if (!element.checkVisibility()) return [];
  const box = element.getBoundingClientRect();
  const isOut = box.left < -1 || box.top < -1
    || box.right > innerWidth + 1 || box.bottom > innerHeight + 1;
  const isCut = element.clientWidth && element.scrollWidth > element.clientWidth + 1
    || element.matches(".row, .shown, .guess, .lesson, section, dialog, .answer")
      && element.scrollHeight > element.clientHeight + 1;
  return isOut || isCut ? [element.outerHTML.slice(0, 120)] : [];
})"""
_OVERLAP = """() => {
  const boxes = [...document.querySelectorAll(
      "#stage :is(header, h2, .guess > *, .row, .lesson > *, .label, nav)")]
    .filter(element => element.checkVisibility() && !element.closest(".guess h2, .lesson h2 *"))
    .map(element => [element, element.getBoundingClientRect()]);
  return boxes.flatMap(([one, a], i) => boxes.slice(i + 1).flatMap(([other, b]) =>
    !one.contains(other) && a.left < b.right - 1 && b.left < a.right - 1
      && a.top < b.bottom - 1 && b.top < a.bottom - 1
      ? [[one.outerHTML.slice(0, 60), other.outerHTML.slice(0, 60)]] : []));
}"""


def where(page):
    return page.evaluate("qdemoStage.where()").strip()


def walk(page, key="PageDown"):
    """Each step from this on, by a key of a clicker."""
    yield (now := where(page))
    while True:
        page.keyboard.press(key)
        before, now = now, where(page)
        if now == before:
            return
        yield now


@pytest.fixture(scope="module")
def stage(tab):
    """The stage over a page that is ready, at its first step."""
    tab.set_viewport_size(WIDE)
    open_page(tab, "?stage=1")
    tab.emulate_media(reduced_motion="reduce")
    tab.keyboard.press("Home")
    yield tab
    tab.emulate_media(reduced_motion="no-preference", color_scheme=None)
    tab.keyboard.press("Home")
    tab.keyboard.press("Escape")


def test_from_a_cold_start_a_clicker_leads_through_all_stories(browser, app):
    with watched(browser, app) as page:
        page.goto("/?stage=1", wait_until="commit")
        expect(page.locator("#stage")).to_be_visible()
        assert list(walk(page))[: len(STEPS)] == STEPS


def test_with_the_server_gone_they_run_to_the_end(browser, app):
    with watched(browser, app) as page:
        open_page(page)
        page.context.set_offline(True)
        page.keyboard.press("s")
        assert list(walk(page)) == [*STEPS, "page"]
        for step in walk(page, "PageUp"):
            if step == "breaks guess":
                loaded = "img => img.complete && img.naturalWidth > 0"
                assert page.locator("#stage img:visible").evaluate(loaded)
        expect(page.locator("#stage .label:visible")).to_have_text("What do you think?")
        page.context.set_offline(False)


def test_all_can_be_read_from_the_last_row(stage):
    stage.set_viewport_size(WIDE)
    stage.keyboard.press("Home")
    small = {}
    for step in walk(stage):
        told = stage.evaluate(_SIZES_OF_TEXT)
        assert told
        if not step.endswith("guess"):
            assert any(is_large for _, is_large, _ in told), step
        small[step] = [(px, text) for px, large, text in told if px < (40 if large else 20)]
    assert {step: found for step, found in small.items() if found} == {}


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_nothing_is_cut_and_nothing_lies_on_another(stage, size):
    stage.set_viewport_size({"width": size[0], "height": size[1]})
    stage.keyboard.press("Home")
    found = {step: (stage.evaluate(_CUT), stage.evaluate(_OVERLAP)) for step in walk(stage)}
    assert {step: faults for step, faults in found.items() if faults != ([], [])} == {}


def test_no_answer_ends_in_half_a_word(stage):
    told = stage.evaluate("""() => [...document.querySelectorAll("#stage .row .answer")]
      .map(answer => answer.textContent)""")
    assert any(answer.endswith("that's…") for answer in told)
    assert not any(answer.endswith(("steep…", "capita…")) for answer in told)


_SWITCH = """dark => {
  const button = document.querySelector("#theme");
  if ((button.ariaPressed === "true") !== dark) button.click();
}"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_serious_on_any_kind_of_step(stage, theme):
    stage.set_viewport_size(WIDE)
    stage.evaluate(_SWITCH, theme == "dark")
    found, seen = {}, set()
    stage.keyboard.press("Home")
    for step in walk(stage):
        if step.split()[-1] in seen and not step.startswith(("breaks", "overflow")):
            continue
        seen.add(step.split()[-1])
        found[step] = [
            (violation["id"], node["html"], node["failureSummary"])
            for violation in Axe().run(stage).response["violations"]
            if violation["impact"] in ("serious", "critical")
            for node in violation["nodes"]
        ]
    assert seen == {"guess", "rows", "after", "page"}
    assert {step: faults for step, faults in found.items() if faults} == {}
    assert stage.evaluate("document.querySelector('#stage').className") == (
        "dark" if theme == "dark" else ""
    )
    stage.evaluate(_SWITCH, False)


def test_a_key_guesses_and_the_next_screen_says_whether_it_was_right(stage):
    stage.set_viewport_size(WIDE)
    stage.keyboard.press("Home")
    for key, told in (
        ("1", "You guessed it: all three."),
        ("2", "Not what you thought: all three."),
    ):
        stage.keyboard.press("Home")
        stage.keyboard.press(key)
        assert where(stage) == "agree rows"
        expect(stage.locator("#stage h2:visible")).to_have_text(told, use_inner_text=True)
    stage.keyboard.press("Home")
    pressed = stage.locator("#stage [aria-pressed=true]:visible")
    expect(pressed).to_have_text("2 two")


def test_keys_of_clickers_and_taps_on_the_edges_go_on_and_back(stage):
    stage.set_viewport_size(WIDE)
    for on, back in (
        ("ArrowRight", "ArrowLeft"),
        ("Space", "PageUp"),
        (".", ","),
        ("Enter", "ArrowUp"),
    ):
        stage.keyboard.press("Home")
        stage.keyboard.press(on)
        assert where(stage) == STEPS[1], on
        stage.keyboard.press(back)
        assert where(stage) == STEPS[0], back
    stage.mouse.click(1800, 500)
    assert where(stage) == STEPS[1]
    stage.mouse.click(40, 500)
    assert where(stage) == STEPS[0]
    stage.keyboard.press("End")
    assert where(stage) == "page"


def test_escape_leaves_and_where_one_was_stays(shared):
    shared.set_viewport_size(WIDE)
    shared.evaluate("scrollTo(0, 500)")
    scrolled = shared.evaluate("scrollY")
    assert scrolled > 0
    shared.keyboard.press("s")
    expect(shared.locator("html")).to_have_class("stage")
    shared.keyboard.press("Home")
    for _ in range(4):
        shared.keyboard.press("PageDown")
    shared.keyboard.press("Escape")
    expect(shared.locator("#stage")).to_be_hidden()
    expect(shared.locator("html")).not_to_have_class("stage")
    assert shared.evaluate("scrollY") == scrolled
    expect(shared.locator("#stories .story:visible")).to_have_attribute(
        "data-story", STORIES[1].key
    )
    shared.keyboard.press("s")
    assert where(shared) == STEPS[4]
    shared.keyboard.press("s")
    expect(shared.locator("#stage")).to_be_hidden()


def test_the_stage_begins_with_the_story_that_the_page_was_turned_to(shared):
    later = shared.locator('#stories [data-turn="1"]:visible')
    for _ in range(2):
        later.click()
    story = shared.locator("#stories .story:visible").get_attribute("data-story")
    shared.locator("body").press("s")
    assert where(shared) == f"{story} guess"
    shared.keyboard.press("Escape")
    expect(shared.locator("#stage")).to_be_hidden()


def test_who_types_is_not_led_to_the_stage(shared):
    prompt = shared.get_by_label("Prompt")
    prompt.fill("")
    prompt.press_sequentially("is s")
    expect(prompt).to_have_value("is s")
    expect(shared.locator("#stage[open]")).to_have_count(0)


def test_the_last_screen_has_what_is_on_the_page(shared):
    shared.evaluate("document.activeElement.blur()")
    shared.keyboard.press("s")
    shared.keyboard.press("End")
    rows = shared.locator("#stage .row:visible")
    expect(rows.locator("h3")).to_have_text(shared.locator("#cards .card h3").all_inner_texts())
    expect(shared.locator("#stage .label:visible")).to_contain_text("computed")
    model, question = (shared.locator(f"#verdict .asked {part}") for part in (".model", "q"))
    told = f"{model.text_content()}: {question.text_content()}"
    expect(shared.locator("#stage .before:visible")).to_have_text(told)
    shared.keyboard.press("Escape")


def test_what_a_term_means_is_closed_and_the_keys_are_the_stage_s(shared):
    shared.locator("#verdict button.term").first.click()
    expect(shared.locator("#term-told")).to_be_visible()
    shared.keyboard.press("s")
    expect(shared.locator("#term-told")).to_be_hidden()
    shared.keyboard.press("Home")
    assert where(shared) == STEPS[0]
    shared.keyboard.press("Escape")
    expect(shared.locator("#stage")).to_be_hidden()
