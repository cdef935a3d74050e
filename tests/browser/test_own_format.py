"""A format of one's own is put together under More."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.steps import ask, card, choose, problem


@pytest.fixture(scope="module")
def more(shared):
    shared.get_by_role("button", name="More:").click()
    return shared


def add(page):
    page.get_by_role("button", name="Add to formats").click()


def test_an_impossible_format_says_why_at_the_formats_and_adds_nothing(more):
    boxes = more.locator("#formats").get_by_role("checkbox")
    before = boxes.count()
    choose(more, "Weights in", "fp8_e4m3")
    more.get_by_label("affine (with zero point)").check()
    add(more)
    expect(problem(more, "formats")).to_contain_text("fp8_e4m3")
    expect(problem(more, "formats")).to_be_in_viewport()
    assert boxes.count() == before
    choose(more, "Weights in", "int4")
    add(more)
    expect(problem(more, "formats")).to_have_count(0)
    expect(more.locator("#formats").get_by_label("int4-g32-affine")).to_be_checked()


def test_a_format_of_ones_own_is_added_ticked_and_run(more):
    choose(more, "Weights in", "int3")
    choose(more, "One scale for", "a group of 64")
    more.get_by_label("affine (with zero point)").check()
    more.get_by_label("Quantize the embeddings too").check()
    choose(more, "Computing in", "bf16")
    add(more)
    own = more.locator("#formats").get_by_label("int3-g64-affine+emb@bf16")
    expect(own).to_be_checked()
    ask(more, "What is 59 + 64?", "int3-g64-affine+emb@bf16")
    assert card(more, "int3-g64-affine+emb@bf16")["state"] == "done"
    expect(more.locator("#again")).to_have_attribute(
        "href", re.compile(r"formats=int3-g64-affine%2Bemb@bf16&")
    )


def test_a_codebook_is_added_ticked_and_run(more):
    choose(more, "Weights in", "nf4")
    choose(more, "One scale for", "a group of 64")
    more.get_by_label("symmetric", exact=True).check()
    more.get_by_label("Quantize the embeddings too").uncheck()
    choose(more, "Computing in", "fp32")
    add(more)
    expect(more.locator("#formats").get_by_label("nf4-g64")).to_be_checked()
    ask(more, "What is 59 + 64?", "nf4-g64")
    assert card(more, "nf4-g64")["output"] == card(more, "fp32")["output"] == "123"
