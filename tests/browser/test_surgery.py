"""Layer surgery: a layer of the map goes back and its card is there, an answer is repaired, and at
twelve formats it is said why not."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.steps import ask, card, cards, open_page, start, wait_until_through

QUESTION = "What is 59 + 64?"


@pytest.fixture
def asked(shared):
    ask(shared, QUESTION, "int3")
    return shared


def shown(page, name):
    """What the figures of a card are, by their names."""
    found = card(page, name)
    return float(found["size"].split()[0]), float(found["KL from fp32"].split()[0])


def worst(page, format):
    """The cell of the matrix that a format hurts most."""
    row = page.locator(f'#map-drawn tr[data-format="{format}"]')
    decibels = row.get_attribute("data-db").split(" ")
    known = [(float(one), at) for at, one in enumerate(decibels) if one]
    return row.locator("td:not(.span)").nth(min(known)[1])


def press(page, name):
    page.locator("#map-drawn .operations").get_by_role("button", name=name).click()


def test_the_worst_layer_goes_back_and_its_card_comes_into_view(asked):
    worst(asked, "int3").click()
    start(asked, lambda: press(asked, "back to fp32"))
    wait_until_through(asked)
    *_, name = cards(asked)
    assert re.fullmatch(r"int3~[\w.]+=fp32", name)
    (size, kl), (before, far) = shown(asked, name), shown(asked, "int3")
    assert size > before
    assert kl < far
    there = asked.locator(f'.card[data-format="{name}"]')
    expect(there).to_be_in_viewport()
    expect(there).to_be_focused()
    expect(there.locator("h3")).to_contain_text("int3 (")
    expect(asked.locator(f'#formats input[name="{name}"]')).to_be_checked()
    asked.go_back()
    expect(there).to_have_count(0)
    expect(asked.locator("#status")).to_have_text("Done.")


def test_a_repair_brings_the_answer_back_and_says_which_layer_it_takes(asked):
    button = asked.get_by_role("button", name=re.compile("bring fp32's answer back in int3$"))
    start(asked, button.click)
    told = asked.locator("#repair-told .repaired")
    expect(told).to_contain_text(re.compile("int3 says what fp32 says: 1 layer of 55, and no"))
    repaired = asked.locator('.card.done[data-format^="int3~"]')
    expect(repaired).to_have_count(1)
    expect(asked.locator("#status")).to_have_text("Done.")
    name = repaired.get_attribute("data-format")
    assert card(asked, name)["output"] == card(asked, "fp32")["output"] == "123"
    assert shown(asked, name)[0] > shown(asked, "int3")[0]
    ask(asked, "What is the capital of Italy?", "int3")
    expect(told).to_be_hidden()
    expect(asked.locator(".repair")).to_have_count(0)  # both say Rome


def test_at_twelve_formats_it_is_said_that_there_is_no_room(shared):
    formats = ["int3", *(f"int3~decoder.block.0.layer.{i}.{name}=fp32" for i, name in (
        (0, "SelfAttention.q"), (0, "SelfAttention.k"), (0, "SelfAttention.v"),
        (0, "SelfAttention.o"), (1, "EncDecAttention.q"), (1, "EncDecAttention.k"),
        (1, "EncDecAttention.v"), (1, "EncDecAttention.o"), (2, "DenseReluDense.wi_0"),
        (2, "DenseReluDense.wi_1"), (2, "DenseReluDense.wo")))]  # fmt: skip
    open_page(shared, f"#model=t5-tiny&formats={','.join(formats)}&input=Hello&run=1")
    expect(shared.locator(".card.done")).to_have_count(13)
    expect(shared.locator("#status")).to_have_text("Done.")
    assert shared.evaluate("document.body.scrollWidth <= innerWidth")
    worst(shared, "int3").click()
    press(shared, "this one alone")
    expect(shared.locator("#map-drawn .refused")).to_contain_text("At most 12 formats at a time")
    shared.locator('#map-drawn tr[data-format="int3"] td.me').first.click()
    press(shared, "back to fp32")
    expect(shared.locator("#map-drawn .refused")).to_contain_text("is fp32 in int3 already")
