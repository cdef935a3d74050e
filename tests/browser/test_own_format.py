"""A format of one's own is put together under More."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.steps import (
    add,
    ask,
    card,
    choose,
    compose,
    composed,
    no_answers,
    open_more,
    problem,
    start,
    tick,
)

BEST = "int2-g64-affine-mse-gptq"
_SHINING_THROUGH = """() => {
  const over = document.querySelector('#more > [data-testid="accordion-content"]');
  const box = over.getBoundingClientRect();
  return [...document.querySelectorAll("[data-testid=block-info]")].flatMap(name => {
    const at = name.getBoundingClientRect(), x = at.left + at.width / 2, y = at.top + at.height / 2;
    const isUnder = x > box.left && x < box.right && y > box.top && y < box.bottom;
    return isUnder && name.checkVisibility() && !over.contains(name)
      ? [[name.textContent.trim(), over.contains(document.elementFromPoint(x, y))]] : [];
  });
}"""


@pytest.fixture(scope="module")
def more(shared):
    open_more(shared)
    return shared


def test_no_name_of_what_is_below_shines_through(more):
    wide = more.viewport_size
    more.set_viewport_size({"width": 780, "height": 900})
    more.evaluate("scrollTo(0, 0)")
    assert ["Formats, beside fp32, the reference", True] in more.evaluate(_SHINING_THROUGH)
    more.set_viewport_size(wide)


def test_a_codebook_with_quantized_scales_is_put_together_by_clicks(more):
    more.get_by_label("codebooks").check()
    expect(composed(more)).to_have_value("nf4-g64")
    expect(more.get_by_label("zero point (-affine)")).to_be_hidden()
    more.get_by_label("scales in 8 bits (-dq)").check()
    expect(composed(more)).to_have_value("nf4-g64-dq")
    expect(more.locator("#own-told")).to_contain_text("4.127 bits a weight")
    add(more)
    expect(more.locator("#formats").get_by_label("nf4-g64-dq")).to_be_checked()


def test_a_method_says_what_it_takes_and_what_fits_is_offered(more):
    more.get_by_label("integers").check()
    expect(composed(more)).to_have_value("int4-g64-dq")
    more.get_by_label("scales in 8 bits (-dq)").uncheck()
    choose(more, "Stored in", "int2")
    more.get_by_label("zero point (-affine)").check()
    choose(more, "Scales found by", "search (-mse)")
    more.get_by_label("make up for errors (-gptq)").check()
    expect(composed(more)).to_have_value(BEST)
    expect(more.locator("#own-told")).to_contain_text("fitted to calibration inputs")
    add(more)
    expect(more.locator("#formats").get_by_label(BEST)).to_be_checked()


def test_both_are_compared_with_fp32_and_the_seconds_are_told_before(more):
    ask(more, "Sort these words: pig, onion, river, wolf", "nf4-g64-dq", BEST)
    said = " ".join(more.evaluate("window.said"))
    assert re.search(rf"To find {BEST} takes about \d s, once for this model", said)
    assert card(more, BEST)["output"] == card(more, "fp32")["output"]
    assert card(more, BEST)["bits a weight"] == "2.625 bits"
    assert card(more, "nf4-g64-dq")["bits a weight"] == "4.128 bits"  # of rows of 192
    expect(more.locator("#again")).to_have_attribute("href", re.compile(f"nf4-g64-dq,{BEST}&"))


def test_one_that_is_stopped_while_it_is_found_keeps_the_rest(more):
    tick(more, "int8")
    compose(more, "int2-awq-gptq")
    expect(more.locator("#formats").get_by_label("int2-awq-gptq")).to_be_checked()
    more.locator("#prompt textarea").fill("What is 59 + 64?")
    start(more)
    expect(more.locator("#status")).to_contain_text(re.compile(r"int2-awq-gptq: layer \d+ of 55"))
    more.locator("#stop").click()
    more.wait_for_function("window.through")
    assert card(more, "int8")["state"] == "done"
    assert card(more, "int2-awq-gptq")["state"] == "stopped"


def test_a_bad_combination_says_why_at_its_control_and_adds_nothing(more):
    boxes = more.locator("#formats").get_by_role("checkbox")
    before = boxes.count()
    compose(more, "nf4-affine")
    expect(problem(more, "own")).to_contain_text("nf4 is a codebook, which has no affine form")
    assert boxes.count() == before
    compose(more, "int3-g64-affine+emb@bf16")
    expect(problem(more, "own")).to_have_count(0)
    expect(more.get_by_label("embeddings too (+emb)")).to_be_checked()  # the controls follow
    ask(more, "What is 59 + 64?", "int3-g64-affine+emb@bf16")
    assert card(more, "int3-g64-affine+emb@bf16")["state"] == "done"


def test_what_is_clicked_before_an_answer_comes_is_not_undone_by_it(more):
    compose(more, "int2-g64")
    expect(more.get_by_label("embeddings too (+emb)")).not_to_be_checked()
    with no_answers(more):
        more.get_by_label("zero point (-affine)").check()
        choose(more, "Scales found by", "search (-mse)")
        more.get_by_label("make up for errors (-gptq)").check()
        add(more)
    expect(composed(more)).to_have_value(BEST)
    expect(more.locator("#own-told")).to_contain_text("fitted to calibration inputs")
    expect(more.locator("#formats").get_by_label(BEST)).to_be_checked()


def test_what_is_typed_after_a_click_stands_and_is_added(more):
    with no_answers(more):
        more.get_by_label("embeddings too (+emb)").check()
        compose(more, "nf4-g64-dq@bf16")
    expect(more.get_by_label("codebooks")).to_be_checked()
    expect(composed(more)).to_have_value("nf4-g64-dq@bf16")
    expect(more.locator("#formats").get_by_label("nf4-g64-dq@bf16")).to_be_checked()


def test_a_click_right_after_typing_is_one_on_what_was_typed(more):
    with no_answers(more):
        composed(more).fill("fp4bnb")
        more.get_by_label("make up for errors (-gptq)").check()
    expect(composed(more)).to_have_value("fp4bnb-g64-gptq")
    expect(more.get_by_label("codebooks")).to_be_checked()


def test_what_is_ticked_while_one_is_added_stays_ticked(more):
    tick(more, "int8")
    with no_answers(more):
        compose(more, "int6")
        compose(more, "int7")
        tick(more, "fp16", "int8")
    for name in ("int7", "int6", "fp16", "int8"):
        expect(more.locator("#formats").get_by_label(name, exact=True)).to_be_checked()
