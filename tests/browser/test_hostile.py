"""Prompts and model output that try to become part of the page appear as the text they are."""

from urllib.parse import parse_qs, urlencode

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import watched
from tests.browser.hostile_app import WORDS
from tests.browser.steps import (
    ask,
    card,
    cards,
    choose,
    download,
    leave_for,
    open_page,
    problem,
    wait_for_charts,
)

PROMPT = "<img src=x onerror=alert(1)> ${document.title} {{7*7}} <b>bold</b>"
SPECIAL = WORDS[:3]  # left out of an answer


@pytest.fixture(scope="module")
def hostile(browser, hostile_app):
    with watched(browser, hostile_app) as page:
        open_page(page)
        choose(page, "Model", "hostile")
        ask(page, "a", "int8", "int2")
        yield page


def assert_nothing_got_in(page):
    """No element was made of text. What would have run has run: `listen` heard no dialog."""
    texts = ".asked, .output, .token, .problem, .reading, .tops h3, .ribbon th, .ribbon td span"
    assert page.locator(f":is({texts}) :is(img, script, b, i)").count() == 0
    assert page.locator("img[src=x], img[src='x/onerror=alert(1)']").count() == 0


def words_of(text):
    return set(text.split())


def test_a_link_and_a_prompt_appear_as_text(page):
    leave_for(page, "/?model=<img src=x onerror=alert(1)>{{7*7}}&formats=${document.title}&run=1")
    expect(problem(page, "model")).to_contain_text("'<img src=x onerror=alert(1)>{{7*7}}'")
    expect(problem(page, "formats")).to_contain_text("'${document.title}'")
    wait_for_charts(page)
    assert_nothing_got_in(page)
    leave_for(page, f"/?{urlencode({'formats': 'int3', 'input': PROMPT, 'run': 1})}")
    expect(page.locator("#status")).to_have_text("Done.")
    expect(page.locator("#verdict q")).to_have_text(PROMPT)
    expect(page.get_by_label("Prompt")).to_have_value(PROMPT)
    again = parse_qs(page.locator("#again").get_attribute("href").removeprefix("./#"))
    assert again["input"] == [PROMPT]
    assert_nothing_got_in(page)


def test_the_answers_of_a_model_appear_as_text(hostile):
    answers = {name: one["output"] for name, one in cards(hostile).items()}
    assert list(answers) == ["fp32", "int8", "int2"]
    assert set().union(*map(words_of, answers.values())) == set(WORDS) - set(SPECIAL)
    assert card(hostile, "int2")["marked"]
    assert_nothing_got_in(hostile)


def test_the_tokens_of_a_model_appear_as_text(hostile):
    ribbon = hostile.locator("#ribbon thead th").all_text_contents()[1:]
    assert {"<script>alert(1)</script>", "<b>bold</b>", "${document.title}"} <= set(ribbon)
    hostile.locator('#ribbon [data-format="int8"] input[value="3"]').click()
    expect(hostile.locator("#top h3")).to_contain_text(f"writes {ribbon[3]} (token 4)")
    written = hostile.locator("#top .token").all_text_contents()
    assert len(written) == 15
    assert set(written) <= set(WORDS)
    reading = hostile.locator("#logits-reading").text_content()
    assert any(word in reading for word in WORDS)
    assert_nothing_got_in(hostile)


def test_a_point_of_the_chart_names_its_token_as_text(hostile):
    tokens = hostile.locator("#ribbon thead th").all_text_contents()[1:]
    points = hostile.locator("#logits-chart .scatterlayer .trace").first.locator(".point")
    for token, point in zip(tokens, points.all(), strict=True):
        point.hover(force=True)
        expect(hostile.locator("#logits-chart .hoverlayer .hovertext")).to_contain_text(token)
    assert_nothing_got_in(hostile)


def test_the_page_to_take_away_shows_it_as_text_too(hostile, browser, tmp_path):
    shown = cards(hostile)
    file = download(hostile, "html", tmp_path)
    with watched(browser, "file:") as page:
        page.goto(file.as_uri())
        assert cards(page) == shown
        expect(page.locator("svg[role=img]:visible").first).to_be_visible()
        assert_nothing_got_in(page)
