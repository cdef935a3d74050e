from math import prod

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qdemo import Scheme, quantize_tensor, weight_error
from qdemo.compress.kernels import quantized_linear
from qdemo.measure import weights
from qdemo.numerics import blocks
from qdemo.numerics.blocks import from_blocks, scale_shape, to_blocks
from qdemo.numerics.casting import count_cast
from tests.strategies import schemes, shapes


@given(shapes, st.data())
def test_blocks_and_back(shape, data):
    scheme = data.draw(schemes(shape))
    x = torch.arange(prod(shape)).reshape(shape)
    blocks = to_blocks(x, scheme.axis, scheme.group_size)
    assert blocks.shape[0] == prod(scale_shape(shape, scheme.axis, scheme.group_size))
    assert torch.equal(from_blocks(blocks, shape, scheme.axis), x)


def test_a_row_a_column_and_a_group():
    x = torch.arange(8).reshape(2, 4)
    assert to_blocks(x, 0).tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert to_blocks(x, 1).tolist() == [[0, 4], [1, 5], [2, 6], [3, 7]]
    assert to_blocks(x, 0, 2).tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_rows_and_groups_need_no_copy():
    x = torch.zeros(4, 6)
    for axis, group_size in ((None, None), (0, None), (0, 3), (1, None)):
        assert to_blocks(x, axis, group_size).data_ptr() == x.data_ptr()


def test_a_ragged_last_group_is_refused_with_a_hint():
    x = torch.zeros(3, 512)  # 3 · 512 is divisible by 48: rows must not flow into each other
    says = "group_size 48 does not divide the row length 512; use a divisor such as 32"
    with pytest.raises(ValueError, match=says):
        to_blocks(x, 0, 48)


def test_a_row_shorter_than_the_group_is_one_group():
    assert to_blocks(torch.zeros(3, 6), 0, 64).shape == (3, 6)
    assert scale_shape((3, 6), 0, 64) == (3, 1)
    assert scale_shape((3, 0), 0, 64) == (3, 1)


def test_a_prime_row_has_no_divisor_to_offer():
    with pytest.raises(ValueError, match="leave group_size out"):
        to_blocks(torch.zeros(2, 7), 0, 4)


def test_a_missing_axis_is_named():
    with pytest.raises(ValueError, match=r"axis 2 does not exist in a tensor of shape \(2, 3\)"):
        to_blocks(torch.zeros(2, 3), 2)


@pytest.mark.parametrize("text", ["int8-affine", "int4-g8", "nf4-g8", "e2m1", "fp8_e4m3"])
def test_where_there_is_no_fp64_sums_are_made_on_the_cpu(text, monkeypatch):
    """As on an Apple GPU; here only the way there is taken."""
    w, scheme = torch.randn(20, 16), Scheme.parse(text)
    q, counted = quantize_tensor(w, scheme), count_cast(w, "fp16")
    error = weight_error(w, q)
    monkeypatch.setattr(blocks, "has_fp64", lambda device: False)
    monkeypatch.setattr(weights, "has_fp64", lambda device: False)
    again = quantize_tensor(w, scheme)
    assert torch.equal(again.dequantize(), q.dequantize())
    assert weight_error(w, again).sum_sq_error == error.sum_sq_error
    assert count_cast(w, "fp16") == counted


@pytest.mark.parametrize(
    "text", ["int8", "int8-affine", "int4-g8-affine", "int3", "nf4-g8", "e2m1", "fp8_e4m3",
             "int4-axis1", "int8-tensor", "int4-axis1-g4"]
)  # fmt: skip
def test_nothing_is_made_on_another_device(text):
    """A meta tensor can't be combined with one on the CPU, and nothing of it can be looked at."""
    q = quantize_tensor(torch.empty(40, 64, device="meta"), Scheme.parse(text))
    ids = torch.empty(3, dtype=torch.long, device="meta")
    assert all(tensor.is_meta for tensor in q.tensors.values())
    assert q.dequantize().is_meta
    assert q.rows(ids).is_meta
    assert q.rows(slice(3, 20)).is_meta
    for rows in (1, 4, 100):
        x = torch.empty(rows, 64, device="meta")
        assert quantized_linear(x, q, None).is_meta
