"""Quantizing by loops gives what torch's general way gives, bit for bit."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qdemo import Scheme, quantize_tensor
from qdemo.loops import machine
from qdemo.numerics import fast
from tests.loops.machines import MACHINES, become
from tests.strategies import INTEGERS, KINDS, values


def both_ways(x, scheme, monkeypatch):
    ours = quantize_tensor(x, scheme)
    with monkeypatch.context() as patch:
        patch.setattr(machine, "machine", lambda: None)
        return ours, quantize_tensor(x, scheme)


@given(
    text=st.sampled_from(INTEGERS),
    symmetric=st.booleans(),
    axis=st.sampled_from((None, 0, 1)),
    shape=st.tuples(st.integers(1, 6), st.sampled_from((16, 48, 64, 160))),
    group_size=st.sampled_from((None, 16)),
    kind=st.sampled_from(KINDS),
    name=st.sampled_from(list(MACHINES)),
    seed=st.integers(0, 99),
)
@settings(max_examples=200, deadline=None)
def test_bit_for_bit(text, symmetric, axis, shape, group_size, kind, name, seed):
    group_size = group_size if axis == 0 else None
    scheme = Scheme(text, symmetric, axis, group_size)
    x = values(kind, shape, seed)
    with pytest.MonkeyPatch.context() as patch:
        become(name, patch)
        ours, theirs = both_ways(x, scheme, patch)
    for role, wanted in theirs.tensors.items():
        found = ours.tensors[role]
        assert found.dtype == wanted.dtype
        assert torch.equal(found, wanted), role


@pytest.mark.parametrize("odd", [torch.inf, -torch.inf, torch.nan])
@pytest.mark.parametrize("place", [0, 17, 63, 64 * 40 - 1])
def test_what_is_not_finite_is_refused_all_the_same(odd, place):
    x = torch.randn(40, 64)
    x.view(-1)[place] = odd
    with pytest.raises(ValueError, match="1 of 2560 values are NaN or infinite"):
        quantize_tensor(x, Scheme("int8"))


def test_large_blocks_are_shared_among_threads(monkeypatch):
    x = torch.randn(2050, 512)
    for text in ("int8", "int4-g64", "int8-tensor", "int8-affine"):
        ours, theirs = both_ways(x, Scheme.parse(text), monkeypatch)
        assert all(torch.equal(ours.tensors[role], theirs.tensors[role]) for role in ours.tensors)


@pytest.mark.parametrize(
    "blocks",
    [torch.randn(4, 24), torch.randn(4, 32).double(), torch.randn(4, 64)[:, ::2],
     torch.randn(0, 32), torch.randn(4, 32).half(), torch.randn(32),
     torch.randn(4, 32, device="meta")],
)  # fmt: skip
def test_what_does_not_fit_reaches_no_loop(blocks):
    assert fast.ranges(blocks) is None
    scale = torch.ones(len(blocks), 1)
    assert fast.integers(blocks, scale, None, -127, 127, torch.int8) is None


def test_scales_that_do_not_fit_reach_no_loop():
    blocks = torch.randn(4, 32)
    for scale in (torch.ones(4), torch.ones(3, 1), torch.ones(4, 1).double()):
        assert fast.integers(blocks, scale, None, -127, 127, torch.int8) is None
    zeros = torch.zeros(4, 1)
    assert fast.integers(blocks, torch.ones(4, 1), zeros, 0, 255, torch.uint8) is None
    assert fast.integers(blocks, torch.ones(4, 1), None, -7, 7, torch.int16) is None
