"""The formula, the choice of the scale and the levels, with their numbers."""

import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qdemo import Scheme
from qdemo.lab.by_hand import block, by_hand, choice
from qdemo.numerics.blocks import to_blocks
from tests.lab.test_by_hand import matrices
from tests.strategies import values


def number(pattern, line):
    return float(re.search(pattern, line)[1])


def worked_out(found, row, column):
    """The q that the formula of one weight leads to."""
    line = found.formula(row, column)[2]
    inner = re.fullmatch(r"q = clamp\((-?\d+)(?: \+ (\d+))?, (-?\d+), (\d+)\) = (-?\d+)", line)
    rounded, shift, low, high, q = (int(part or 0) for part in inner.groups())
    return min(max(rounded + shift, low), high), q


def test_the_formula_of_one_weight():
    found = by_hand(torch.tensor([[1.0, -4.0, 6.0, 7.0]]), Scheme.parse("int4"), 0.5)
    assert found.formula(0, 1) == [
        "w = -4, scale = 0.5",
        "w / scale = -8.0000, rounded -8",
        "q = clamp(-8, -7, 7) = -7",
        "ŵ = 0.5 · -7 = -3.5",
        "error = ŵ − w = +0.5",
    ]


def test_the_formula_of_one_weight_with_a_zero_point():
    found = by_hand(torch.tensor([[-1.0, 2.0]]), Scheme.parse("int2-affine"))
    assert found.formula(0, 1) == [
        "w = 2, scale = 1, zero_point = 1",
        "w / scale = 2.0000, rounded 2",
        "q = clamp(2 + 1, 0, 3) = 3",
        "ŵ = 1 · (3 − 1) = 2",
        "error = ŵ − w = +0",
    ]


@given(matrices(), st.data())
def test_every_formula_leads_to_the_integer_that_is_stored(case, data):
    found = by_hand(*case)
    at = (data.draw(st.integers(0, n - 1)) for n in found.w.shape)
    wanted, q = worked_out(found, *at)
    assert wanted == q


@pytest.mark.parametrize(
    ("rows", "scheme"),
    [([[-0.03, 0.06]], "int8"), ([[-1.12, -1.5872, 1.6768]], "int8-affine")],
)
def test_a_formula_halfway_between_two_integers_leads_to_the_one_that_is_stored(rows, scheme):
    found = by_hand(torch.tensor(rows), Scheme.parse(scheme))
    wanted, q = worked_out(found, 0, 0)
    assert wanted == q


def test_where_a_scale_comes_from():
    found = by_hand(torch.tensor([[1.0, -14.0], [3.5, 7.0]]), Scheme.parse("int4"))
    assert choice(found, 0, 0) == [
        "the largest |w| that shares this scale is 14",
        "qmax = 2^(4 − 1) − 1 = 7",
        "scale = 14 / 7 = 2",
    ]
    assert choice(found, 1, 0)[-1] == "scale = 7 / 7 = 1"
    cut = by_hand(found.w, found.scheme, 0.5)
    assert choice(cut, 0, 0)[-1] == "scale = 14 / 7 = 2, cut to 50% of it: 1"


def test_where_a_scale_and_a_zero_point_come_from():
    found = by_hand(torch.tensor([[-1.0, 2.0, 0.5]]), Scheme.parse("int2-affine"))
    text = "\n".join(choice(found, 0, 2))
    assert "is -1 … 2" in text
    assert text.endswith("= 1")
    assert number(r"\(2\^2 − 1\) = (\S+)", text) == 1
    positive = by_hand(torch.tensor([[1.0, 3.0]]), Scheme.parse("int2-affine"))
    assert choice(positive, 0, 0)[0] == "the range, widened to hold 0, is 0 … 3"


@given(matrices(), st.data())
def test_the_choice_tells_the_largest_weight_of_the_block(case, data):
    w, scheme = case
    found = by_hand(w, scheme)
    row, column = (data.draw(st.integers(0, n - 1)) for n in w.shape)
    marks = torch.zeros(w.shape)
    marks[row, column] = 1
    mine = to_blocks(marks, scheme.axis, scheme.group_size).any(1)
    mates = to_blocks(w, scheme.axis, scheme.group_size)[mine]
    first = choice(found, row, column)[0]
    if scheme.symmetric:
        assert first.endswith(f"{mates.abs().max().item():.6g}")
    else:
        low, high = min(mates.min().item(), 0.0), max(mates.max().item(), 0.0)
        assert first.endswith(f"{low:.6g} … {high:.6g}")


def test_a_row_of_an_equal_scale_and_zero_point_is_another_block():
    """Both rows have scale 1 and zero point 1: the second's −1.2 is not in the first's range."""
    w = torch.tensor([[-1.0, 2.0], [-1.2, 1.8]])
    found = by_hand(w, Scheme.parse("int2-affine"))
    assert choice(found, 0, 0)[0] == "the range, widened to hold 0, is -1 … 2"
    assert "cut to" not in choice(found, 0, 0)[1]
    assert block(found, 0, 0)[0] == [-1.0, 2.0]


@given(matrices())
def test_the_whole_range_is_never_called_cut(case):
    assert not any("cut to" in line for line in choice(by_hand(*case), 0, 0))


def test_the_scale_of_tiny_weights_is_not_called_cut():
    """The scale is kept at the smallest normal number, which no clipping did."""
    found = by_hand(torch.full((1, 2), 1e-38), Scheme.parse("int8"))
    assert not any("cut to" in line for line in choice(found, 0, 0))


def test_the_choice_and_the_formula_of_a_zero_matrix_name_one_scale():
    found = by_hand(torch.zeros(2, 2), Scheme.parse("int8"))
    told = choice(found, 0, 0)[-1]
    assert told.endswith(f"{found.scale[0, 0].item():.6g}")


@given(matrices(), st.data())
def test_the_levels_are_every_number_there_is(case, data):
    found = by_hand(*case)
    row, column = (data.draw(st.integers(0, n - 1)) for n in found.w.shape)
    weights, w_hat, levels = block(found, row, column)
    assert len(levels) == found.scheme.qmax - found.scheme.qmin + 1
    assert levels == sorted(levels)
    assert 0 in levels
    assert found.w[row, column].item() in weights
    assert len(weights) == len(w_hat)
    for value in w_hat:
        assert min(abs(value - level) for level in levels) <= 1e-5 * abs(value)


def test_the_weights_of_a_block_stand_beside_what_they_became():
    found = by_hand(torch.tensor([[1.0, 2.4, 3.0], [9.0, 1.0, 0.0]]), Scheme.parse("int3"))
    assert block(found, 0, 1)[0] == found.w[0].tolist()
    assert block(found, 0, 1)[1] == found.w_hat[0].tolist() == [1, 2, 3]
    assert block(found, 0, 1)[2] == [-3, -2, -1, 0, 1, 2, 3]


@pytest.mark.parametrize("text", ["int2", "int8", "int4-affine", "int4-tensor", "int4-axis1"])
@pytest.mark.parametrize("value", [0.0, 3.0, -3.0])
def test_one_element(text, value):
    found = by_hand(torch.tensor([[value]]), Scheme.parse(text))
    assert found.w_hat.item() == pytest.approx(value, abs=1e-6)
    assert len(found.formula(0, 0)) == 5
    assert len(choice(found, 0, 0)) == 3
    assert block(found, 0, 0)[0] == [value]


def test_zeros_stay_zeros():
    for text in ("int2", "int8-affine", "int4-tensor", "int3-axis1"):
        found = by_hand(values("zeros", (3, 4), 0), Scheme.parse(text))
        assert not found.w_hat.any()
        assert not found.clipped.any()
