import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qdemo import Scheme
from qdemo.lab import START
from qdemo.lab.by_hand import by_hand
from qdemo.lab.changes import around, only_change
from qdemo.lab.matrices import outlier_at, read, with_outlier

SHARED = {"int3": 7, "int3-tensor": 47, "int3-axis1": 5, "int3-g4": 3}
"""How many weights of the first matrix share the scale of one."""


@pytest.mark.parametrize("text", SHARED)
def test_the_neighbours_are_those_that_share_the_scale(text):
    found = by_hand(read(START), Scheme.parse(text))
    told = around(found, 2, 5)
    assert told.neighbours == SHARED[text]
    assert (told.weight, told.scale) == (found.w[2, 5].item(), found.scale[2, 5].item())
    assert told.zeros == int((found.q == 0).sum())


def test_an_outlier_stretches_the_scale_and_silences_its_row():
    w, scheme = read(START), Scheme.parse("int3")
    row, column = outlier_at(w)
    before = around(by_hand(w, scheme), row, column)
    after = around(by_hand(with_outlier(w), scheme), row, column)
    others = torch.cat([w[row, :column], w[row, column + 1 :]])
    assert after.scale == pytest.approx(20 * before.scale)
    assert before.silent == int((others.abs() < before.scale / 2).sum())
    assert after.silent == int((others.abs() < after.scale / 2).sum()) == 7
    assert after.rms > before.rms


def test_affine_weights_are_silent_where_they_come_back_as_zero():
    w = torch.tensor([[-1.0, 0.01, 2.0, 0.2]])
    found = by_hand(w, Scheme.parse("int2-affine"))
    assert around(found, 0, 0).silent == int((found.w_hat[0, 1:] == 0).sum()) == 2


@given(st.integers(0, 5), st.integers(0, 7), st.floats(3, 9, width=32))
def test_the_one_number_that_changed_is_found(row, column, number):
    w = read(START)
    after = w.clone()
    after[row, column] = number
    assert only_change(w, after) == (row, column)


def test_nothing_more_and_nothing_less_than_one_number():
    w = read(START)
    assert only_change(w, w.clone()) is None
    assert only_change(w, -w) is None
    assert only_change(w, w[:3]) is None
