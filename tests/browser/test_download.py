"""A model that is not here: brought from a stand-in for the Hub, while the page shows how far."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import serving, watched
from tests.browser.steps import cards, open_more, open_page, problem
from tests.hub import Hub
from tests.hub_checkpoints import FLAN, write_tiny_t5
from tests.hub_client import environment

LINK = f"?model={FLAN}&formats=int8&input=one%20two&max_tokens=3"


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hub")
    write_tiny_t5(folder)
    with Hub({FLAN: folder}) as hub:
        yield hub


@pytest.fixture(scope="module")
def page(browser, hub, tmp_path_factory):
    cache = tmp_path_factory.mktemp("cache")
    with serving("app.py", **environment(hub, cache)) as url, watched(browser, url) as page:
        yield page


def status(page):
    return page.locator("#status")


def done(page):
    expect(status(page)).to_have_text("Done.")
    assert list(cards(page)) == ["fp32", "int8"]


def test_a_download_is_shown_stopped_and_taken_up_again(page, hub):
    hub.slow(25_000)
    open_page(page, LINK)
    expect(page.get_by_role("combobox", name="Model")).to_have_value(
        f"{FLAN} · text to text · download 308 MB"
    )
    page.locator("#compare").click()
    expect(status(page).locator("progress")).to_be_visible()
    expect(status(page)).to_contain_text(f"Downloading {FLAN}")
    expect(status(page)).to_contain_text(" MB/s, ")
    expect(page.locator(".card").first).to_contain_text("onion")  # the example is still there
    page.locator("#stop").click()
    expect(status(page)).to_have_text("Stopped.")
    expect(page.locator("#compare")).to_be_enabled()
    hub.slow(None)
    page.locator("#compare").click()
    done(page)
    assert any(asked and asked not in ("bytes=0-", "bytes=0-100000")
               for asked in hub.asked("model.safetensors"))  # fmt: skip
    expect(page.get_by_role("combobox", name="Model")).to_have_value(
        f"{FLAN} · text to text · downloaded"
    )


def test_a_model_that_the_hub_does_not_have_is_told_at_the_chooser(page):
    open_page(page, LINK.replace("small", "base"))
    page.locator("#compare").click()
    expect(problem(page, "model")).to_have_text("the Hub has no public model google/flan-t5-base")
    expect(page.locator("#compare")).to_be_enabled()


def test_what_is_here_needs_no_hub_and_is_not_computed_twice(page, hub):
    hub.down()
    open_page(page, f"{LINK}&run=1")
    done(page)
    expect(page.locator("#verdict .note")).to_contain_text("fp32 and int8 were computed earlier")
    open_more(page)
    page.get_by_label("Compute again what was computed before").check()
    page.locator("#compare").click()
    expect(page.locator("#verdict .note")).to_have_count(0)
    done(page)


def test_without_a_hub_what_is_not_here_is_told(page):
    open_page(page, LINK.replace("small", "base"))
    page.locator("#compare").click()
    expect(problem(page, "model")).to_contain_text("the Hub gives no answer")
