"""The line of stories on the Compare page: a guess is tapped, it runs, what came out is told."""

from playwright.sync_api import expect

from qdemo.views.telling import stories
from tests.browser.conftest import watched
from tests.browser.steps import card, cards, open_page, start, wait_until_through

STORIES = stories()


def line(page):
    return page.locator("#stories")


def shown(page):
    return line(page).locator(".story:visible")


def turn_to(page, number):
    """Bring the story of that number, which counts from 0."""
    while line(page).locator('[data-turn="-1"]').is_enabled():
        line(page).locator('[data-turn="-1"]').click()
    for _ in range(number):
        line(page).locator('[data-turn="1"]').click()


def test_the_page_opens_on_the_first_story_whose_answer_is_on_screen(shared):
    first = STORIES[0]
    expect(shown(shared)).to_contain_text(
        f"Story 1 of {len(STORIES)}: {first.title}.", use_inner_text=True
    )
    expect(shown(shared)).to_contain_text(first.after, use_inner_text=True)
    boxes = shared.locator("#formats input:checked")
    assert [box.get_attribute("name") for box in boxes.all()] == list(cards(shared))[1:]
    assert [row.name for row in first.shown.rows] == list(cards(shared))


def test_a_guess_runs_the_story_and_is_told_to_be_wrong_or_right(shared):
    turn_to(shared, 1)
    story = STORIES[1]
    expect(shown(shared)).to_contain_text(story.question, use_inner_text=True)
    expect(shown(shared)).not_to_contain_text(story.after, use_inner_text=True)
    guess = shown(shared).get_by_role("button", name=story.answers[0], exact=True)
    start(shared, guess.click)
    wait_until_through(shared)
    assert card(shared, "int3")["marked"] == ["river,"]
    expect(shown(shared)).to_contain_text(
        f"Not what you thought: {story.answers[story.right]}.", use_inner_text=True
    )
    expect(shown(shared)).to_contain_text(story.after, use_inner_text=True)
    turn_to(shared, 5)
    start(shared, shown(shared).get_by_role("button", name="yes", exact=True).click)
    wait_until_through(shared)
    expect(shown(shared)).to_contain_text("You guessed it.", use_inner_text=True)
    assert card(shared, "int3-g64")["output"] == card(shared, "fp32")["output"]


def test_a_story_is_shown_without_a_guess_and_with_its_picture(shared):
    turn_to(shared, 2)
    start(shared, shown(shared).get_by_role("link", name="just show it").click)
    expect(shown(shared)).to_contain_text(STORIES[2].after, use_inner_text=True)
    assert [row.name for row in STORIES[2].shown.rows] == list(cards(shared))
    expect(shared.locator("#picture img")).to_be_visible()
    expect(shown(shared)).not_to_contain_text("You guessed it.", use_inner_text=True)


def test_beside_another_comparison_a_story_can_be_shown_again(shared):
    turn_to(shared, 0)
    expect(shown(shared).get_by_role("button", name="Look at it")).to_have_count(0)
    start(shared, shown(shared).get_by_role("link", name="show it again").click)
    wait_until_through(shared)
    assert [row.name for row in STORIES[0].shown.rows] == list(cards(shared))
    expect(shown(shared).get_by_role("button", name="Look at it")).to_be_visible()
    expect(shown(shared).get_by_role("link", name="show it again")).to_have_count(0)


def test_what_no_model_answers_goes_on_where_it_is_computed(shared):
    turn_to(shared, 4)
    shown(shared).get_by_role("button", name="none").click()
    expect(shown(shared)).to_contain_text("Not what you thought: all seven.", use_inner_text=True)
    link = shown(shared).get_by_role("link", name=STORIES[4].shown.onward)
    expect(link).to_have_attribute("href", STORIES[4].shown.address)


def test_a_story_runs_before_the_page_is_ready(browser, app):
    with watched(browser, app) as page:
        page.goto("/", wait_until="commit")
        first_paint = page.locator(".stories").first
        first_paint.locator('[data-turn="1"]').click()
        page.locator('.stories .story:visible [data-guess="2"]').first.click()
        expect(page.locator("#status")).to_have_text("Done.")
        expect(shown(page)).to_contain_text("You guessed it.", use_inner_text=True)
        assert list(cards(page)) == ["fp32", "int8", "int3"]


def test_the_line_is_one_line_and_stays_as_high(page):
    page.set_viewport_size({"width": 1366, "height": 768})
    open_page(page)
    heights = set()
    for number in range(len(STORIES)):
        turn_to(page, number)
        heights.add(page.evaluate("document.querySelector('.stories').offsetHeight"))
    assert heights == {44}
