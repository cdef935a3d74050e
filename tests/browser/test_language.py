"""A language model on the page: a message, a text to go on with, one to score, drawn tokens; and
one that is typed, looked up, and downloaded."""

import json

import pytest
from playwright.sync_api import expect

from tests import causal_folder
from tests.browser.conftest import WIDE, serving, watched
from tests.browser.steps import (
    card,
    cards,
    choose,
    compare,
    download,
    leave_for,
    open_more,
    open_page,
    problem,
    report,
    start,
    tick,
    wait_for_charts,
    wait_until_through,
)
from tests.hub import Hub
from tests.hub_client import environment

LOCAL, TYPED = "small-llama", "someone/small-neox"
TEXT = "The wolf and the pig went to the river. Hello, my name is Hugo."
LINK = f"#model={LOCAL}&formats=int8&input=Hello"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = causal_folder.write(tmp_path_factory.mktemp("neox"), "gpt_neox")
    with Hub({TYPED: folder}) as hub:
        hub.licences[TYPED] = "apache-2.0"
        yield hub


@pytest.fixture(scope="module")
def server(hub, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / LOCAL
    folder.mkdir()
    causal_folder.write(folder, "tied llama", chat=True)
    hosted = {"QDEMO_MODELS": f"causal:{folder}", "QDEMO_HUB": "any"}
    cache = tmp_path_factory.mktemp("cache")
    with serving("app.py", **hosted, **environment(hub, cache)) as url:
        yield url


@pytest.fixture(scope="module")
def opened(browser, server):
    with watched(browser, server) as page:
        open_page(page)
        yield page


@pytest.fixture
def page(opened):
    opened.set_viewport_size(WIDE)
    return opened


def prompt(page):
    return page.get_by_label("Prompt")


def read_as(page, how):
    page.locator("#read_as").get_by_label(how, exact=True).check()


def asked_again(page, query):
    """Open an address as a new page does."""
    leave_for(page, "about:blank")
    leave_for(page, f"/{query}")
    wait_for_charts(page)


def more(page):
    """Open what is chosen seldom."""
    if not page.locator("#temperature").is_visible():
        open_more(page)
    return page.locator("#temperature input[type=number]"), page.locator("#seed").get_by_role(
        "textbox"
    )


def test_a_language_model_offers_its_own_examples_and_ways_to_read(page):
    expect(page.locator("#read_as")).to_be_hidden()
    expect(page.get_by_text("Translate to German: Tuesday")).to_be_visible()
    before = prompt(page).bounding_box()
    choose(page, "Model", LOCAL)
    expect(page.locator("#read_as")).to_be_visible()
    assert prompt(page).bounding_box() == before  # nothing has moved
    expect(page.get_by_text("Translate to German: Tuesday")).to_be_hidden()
    expect(page.get_by_text("Why is the sky blue? Answer in two sentences.")).to_be_visible()
    read_as(page, "text to go on with")
    expect(page.get_by_text("Once upon a time, there was a little fox who")).to_be_visible()
    expect(page.get_by_text("Why is the sky blue? Answer in two sentences.")).to_be_hidden()
    read_as(page, "chat")


def test_a_message_is_answered_and_a_text_gone_on_with(page):
    open_page(page)
    choose(page, "Model", LOCAL)
    prompt(page).fill("Hello, my name is")
    tick(page, "fp16", "int8")
    compare(page)
    chat = card(page, "fp32")["output"]
    expect(page.locator("#verdict details.read summary")).to_contain_text("read as")
    expect(page.locator("#verdict .how")).to_have_count(0)
    read_as(page, "text to go on with")
    expect(page.locator("body.stale")).to_have_count(1)  # it would be another question
    compare(page)
    assert card(page, "fp32")["output"] != chat
    expect(page.locator("#verdict .how")).to_have_text("gone on with")
    assert "&read_as=text&run=1" in page.url
    read_as(page, "chat")
    expect(page.locator("body.stale")).to_have_count(1)
    read_as(page, "text to go on with")
    expect(page.locator("body.stale")).to_have_count(0)


def test_a_text_is_scored(page, tmp_path):
    asked_again(page, f"#model={LOCAL}&formats=int8,int2&input={TEXT}&read_as=score")
    compare(page)
    expect(page.locator("#verdict .sentences")).to_contain_text("Perplexity is ")
    expect(page.locator("#verdict .how")).to_have_text("scored")
    expect(page.locator(".card .output .figures").first).to_contain_text("perplexity")
    assert TEXT in card(page, "fp32")["output"]
    assert card(page, "fp32")["marked"] == []
    assert card(page, "int2")["marked"] != []
    expect(page.locator(".loss svg").first).to_be_visible()
    expect(page.locator("#ribbon thead")).to_contain_text("the text")
    page.locator("#ribbon input[value='5']").first.check(force=True)
    expect(page.locator("#top h3")).to_contain_text("where the text has")
    expect(page.locator("#top .kl").first).to_contain_text("loss")
    document = report(page, tmp_path)
    assert document["read_as"] == "score"
    html = download(page, "html", tmp_path).read_text(encoding="utf-8")
    assert "The text was scored, and nothing answered." in html
    assert html.count('class="drawn wide"') == 4  # of three sections, and the loss


def test_a_scored_text_fits_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    expect(page.locator(".loss svg.narrow")).to_be_visible()
    expect(page.locator(".loss svg.wide")).to_be_hidden()


def test_tokens_are_drawn_and_the_same_ones_again(page):
    open_page(page)
    choose(page, "Model", LOCAL)
    prompt(page).fill("Hello")
    tick(page, "int8")
    heat, seed = more(page)
    heat.fill("0.7")
    heat.blur()
    seed.fill("3")
    compare(page)
    drawn = cards(page)
    expect(page.locator("#verdict .how")).to_have_text("temperature 0.7, seed 3")
    assert page.url.endswith("&temperature=0.7&seed=3&run=1")
    address = page.url.partition("/#")[2]
    seed.fill("4")
    expect(page.locator("body.stale")).to_have_count(1)
    compare(page)
    assert cards(page)["fp32"]["output"] != drawn["fp32"]["output"]
    page.go_back()
    expect(page.locator("#verdict .how")).to_have_text("temperature 0.7, seed 3")
    expect(page.locator("#status")).to_have_text("Done.")
    assert cards(page)["fp32"]["output"] == drawn["fp32"]["output"]
    asked_again(page, f"#{address}")
    expect(page.locator("#status")).to_have_text("Done.")
    shown = cards(page)
    assert {name: one["output"] for name, one in shown.items()} == {
        name: one["output"] for name, one in drawn.items()
    }
    heat, seed = more(page)
    expect(heat).to_have_value("0.7")
    expect(seed).to_have_value("3")


@pytest.mark.parametrize(
    ("query", "field", "why"),
    [
        ("&temperature=9", "temperature", "temperature is 9.0, expected 0 to 5"),
        ("&temperature=1&seed=-1", "seed", "seed is -1, expected a whole number"),
        ("&read_as=poem", "read_as", "expected one of chat, text, score"),
    ],
)
def test_what_can_t_be_is_said_at_its_control(page, query, field, why):
    asked_again(page, LINK + query)
    expect(problem(page, field)).to_contain_text(why)


def test_a_wrong_seed_is_said_at_its_control_until_it_is_put_right(page):
    asked_again(page, f"{LINK}&temperature=1&seed=7")
    _, seed = more(page)
    seed.fill("seven")
    page.locator("#compare").click()
    expect(problem(page, "seed")).to_contain_text("seed is 'seven', no number that it can be")
    seed.fill("8")
    expect(page.locator("#problem-seed")).to_be_hidden()


# --- one that is in no list


def look_up(page, text):
    line = page.locator("#another-text").locator("input, textarea")
    if not line.is_visible():
        page.locator("#another").get_by_role("button").first.click()
    line.fill(text)
    page.get_by_role("button", name="Look it up").click()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("../../etc/passwd", "is no name of a model"),
        ("nobody/nothing", "nobody/nothing"),
        ("<img src=x onerror=alert(1)>", "<img src=x onerror=alert(1)>"),
        ("", "unknown model ''"),
    ],
)
def test_what_is_no_model_is_said_where_it_is_typed(page, text, why):
    look_up(page, text)
    expect(problem(page, "another")).to_contain_text(why)
    expect(page.get_by_role("button", name="Look it up")).to_be_enabled()


def test_a_model_is_typed_told_stopped_and_compared(page, hub):
    open_page(page)
    look = page.get_by_role("button", name="Look it up")
    look_up(page, TYPED)
    told = page.locator("#another-told")
    expect(told).to_contain_text(f"{TYPED} is chosen.")
    for fact in ("language model, GPTNeoXForCausalLM", "when you press Compare", "apache-2.0",
                 "stored as fp32", "are free", "smaller than fp32"):  # fmt: skip
        expect(told).to_contain_text(fact)
    assert hub.asked("model.safetensors") != ["bytes=0-"]
    assert look.bounding_box()["y"] < told.bounding_box()["y"]
    expect(page.get_by_role("combobox", name="Model")).to_have_value(
        f"{TYPED} · language model · download 0 MB"
    )
    expect(page.locator("#read_as")).to_be_visible()
    prompt(page).fill("Hello")
    tick(page, "int8")
    hub.slow(25_000)
    page.locator("#compare").click()
    expect(told).to_be_hidden()  # or it would lie over the bar
    expect(page.locator("#status progress")).to_be_visible()
    page.locator("#stop").click()
    expect(page.locator("#status")).to_have_text("Stopped.")
    hub.slow(None)
    compare(page)
    assert list(cards(page)) == ["fp32", "int8"]
    expect(page.get_by_role("combobox", name="Model")).to_have_value(
        f"{TYPED} · language model · downloaded"
    )
    assert json.dumps(TYPED)[1:-1] in page.url.replace("%2F", "/")


def test_a_link_leads_to_a_typed_model(browser, server):
    with watched(browser, server) as page:
        open_page(page, f"#model={TYPED}&formats=int8&input=Hello&run=1")
        expect(page.locator("#status")).to_have_text("Done.")
        expect(page.locator("#verdict .model")).to_have_text(TYPED)


def test_an_example_of_a_language_model_is_compared_by_one_click(page):
    asked_again(page, LINK)
    expect(page.locator("#read_as")).to_be_visible()
    start(page, page.get_by_text("What is 12 + 30?").click)
    wait_until_through(page)
    expect(page.locator("#verdict q")).to_have_text("What is 12 + 30?")
