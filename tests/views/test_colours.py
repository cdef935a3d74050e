"""One colour a format: told apart, seen on light and on dark, the same whatever else is shown."""

import pytest

from qdemo.spec.formats import GRIDS
from qdemo.ui.own_format import FORMATS
from qdemo.views.cards import cards
from qdemo.views.colours import FAMILIES, INK, MARKS, OTHER, colour, contrast, of_line
from tests.views.documents import compared

LIGHT, DARK, DARK_CARD = "#ffffff", "#0b1120", "#1e293b"
FORMS = ("{}", "{}-g64", "{}-tensor", "{}-affine", "{}+emb", "{}@bf16")


@pytest.mark.parametrize("grid", GRIDS)
def test_each_grid_has_a_family(grid):
    assert grid in FAMILIES


def every():
    found = [*FAMILIES.values(), OTHER, INK, *MARKS]
    for grid in GRIDS:
        for form in FORMS:
            try:
                found.append(colour(form.format(grid)))
            except ValueError:
                continue
    return found


def test_all_stand_out_from_both_backgrounds():
    low = [(one, ground) for one in every() for ground in (LIGHT, DARK, DARK_CARD)
           if contrast(one, ground) < 3]  # fmt: skip
    assert low == []


def test_contrast_is_that_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


def test_a_format_has_its_colour_whatever_else_is_shown():
    few, many = (
        {card.format: card.colour for card in cards(compared(formats))}
        for formats in (("int3",), ("fp16", "bf16", "int3"))
    )
    assert few["int3"] == many["int3"] == colour("int3")
    assert of_line("int3, rounded after training") == colour("int3")
    assert of_line("every number") == INK


def test_those_that_are_offered_differ():
    shown = ["fp32", *FORMATS]
    assert len(set(map(colour, shown))) == len(shown)


METHODS = (
    "int2", "int2-mse", "int2-g64", "int2-g64-affine", "int2-g64-affine-mse-gptq", "nf4",
    "nf4-g64-dq", "nf4-g64-gptq", "mxfp4", "mxfp8", "nvfp4", "q4_0", "q4_k", "q8_0", "int4",
    "int4-g64", "int4-g64-affine", "int4-g64-hqq", "int4-g64-gptq", "int4-g64-awq", "int4-g64-rot",
    "int8", "int8a8", "int8a8-sq0.5", "llm.int8",
)  # fmt: skip


def test_methods_on_a_format_differ_from_it_and_each_other_and_stand_out():
    found = list(map(colour, METHODS))
    assert len(set(found)) == len(found)
    assert all(contrast(one, ground) >= 3 for one in found for ground in (LIGHT, DARK, DARK_CARD))
