"""Scales and zero points that are searched for, beside other libraries' and by their laws."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qdemo import Scheme, choose_qparams, quantize_tensor
from qdemo.numerics import blocks as pieces
from qdemo.numerics import kquants
from qdemo.numerics.grids import grid_of
from qdemo.numerics.qtensor import blocks_of
from qdemo.numerics.ranges import POWER, SHRINKINGS, Rounder, half_quadratic, narrowed
from qdemo.spec.formats import GRIDS
from tests.oracles import oracle
from tests.strategies import EVERY, values


@pytest.mark.parametrize("bits", [8, 4, 3, 2])
def test_hqq_is_the_library_s(bits):
    w, name = oracle("weight"), f"hqq/int{bits}-g64"
    scale, zero = half_quadratic(w.reshape(-1, 64), 2**bits - 1)
    q = (w.reshape(-1, 64) / scale + zero).round().clamp(0, 2**bits - 1)
    assert torch.equal(q, oracle(f"{name}/codes"))
    assert torch.allclose(scale, oracle(f"{name}/scale"), rtol=1e-6)
    assert torch.allclose(((q - zero) * scale).reshape(w.shape), oracle(name), rtol=0, atol=1e-6)


def columns(scale, zero):
    """Beside the blocks that they are of."""
    return scale.reshape(-1, 1), None if zero is None else zero.reshape(-1, 1)


def mean_error(blocks, scale, zero, qmax):
    q = (blocks / scale + zero).round().clamp(0, qmax)
    return ((q - zero) * scale - blocks).abs().mean(dtype=torch.float64).item()


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("scale", [1e-6, 1, 1e3])
def test_hqq_is_better_than_the_range_that_it_begins_with(bits, scale):
    blocks = values("normal", (64, 64), bits) * scale
    before = mean_error(blocks, *half_quadratic(blocks, 2**bits - 1, steps=0), 2**bits - 1)
    assert mean_error(blocks, *half_quadratic(blocks, 2**bits - 1), 2**bits - 1) < before


@pytest.mark.parametrize("kind", ["zeros", "constant", "negative constant"])
def test_hqq_has_blocks_of_one_value_exactly(kind):
    blocks = values(kind, (3, 8), 0)
    scale, zero = half_quadratic(blocks, 15)
    q = (blocks / scale + zero).round().clamp(0, 15)
    assert torch.allclose((q - zero) * scale, blocks, rtol=1e-6, atol=0)


def test_hqq_has_steps_as_small_as_they_need_to_be():
    blocks = values("normal", (4, 64), 1) * 1e-5  # where hqq's own steps are 1/20000
    scale, zero = half_quadratic(blocks, 15)
    assert mean_error(blocks, scale, zero, 15) < 0.1 * blocks.abs().mean()


def test_hqq_of_nothing_and_of_too_much():
    assert [x.shape for x in half_quadratic(torch.zeros(0, 4), 3)] == [(0, 1), (0, 1)]
    with pytest.raises(ValueError, match=r"wider than torch\.float32 can hold"):
        half_quadratic(torch.tensor([[-3e38, 3e38]]), 3)
    with pytest.raises(ValueError, match="wider"):
        half_quadratic(torch.tensor([[float("nan"), 1.0]]), 3)


def test_hqq_halves_what_outliers_do_to_the_others():
    """|w − ŵ|^0.7 cares about the many, so a large weight is given up."""
    w = values("outlier", (8, 64), 3).clamp(-9, 9) * 3
    plain = mean_error(w, *half_quadratic(w, 3, steps=0), 3)
    assert mean_error(w, *half_quadratic(w, 3), 3) < plain


def brute(blocks, rounder, scale, zero):
    """The definition, factor by factor in fp64."""
    best, found = torch.full_like(scale, torch.inf).double(), scale.clone()
    for factor in SHRINKINGS:
        tried = scale * torch.tensor(factor)
        error = (rounder(blocks, tried, zero)[1] - blocks).double() / scale
        total = error.abs().pow(POWER).sum(1, keepdim=True)
        better = total < best * (1 - 1e-6)
        best, found = torch.where(better, total, best), torch.where(better, tried, found)
    return found, best


@given(
    grid=st.sampled_from(EVERY), affine=st.booleans(), seed=st.integers(0, 2**31),
    kind=st.sampled_from(["normal", "outlier", "mixed sizes", "zero rows", "tiny"]),
    granularity=st.sampled_from([(None, None), (0, None), (0, 8), (1, None), (1, 3)]),
)  # fmt: skip
def test_the_narrowed_range_is_the_best_of_forty_on_every_grid(
    grid, affine, seed, kind, granularity
):
    scheme = Scheme(grid, not (affine and GRIDS[grid].kind == "integer"), *granularity)
    w = values(kind, (6, 24), seed)
    blocks, (scale, zero) = blocks_of(w, scheme), columns(*choose_qparams(w, scheme))
    rounder = Rounder.of(scheme)
    found = narrowed(blocks, rounder, scale, zero)
    assert found.shape == scale.shape
    assert (found > 0).all()
    assert (found <= scale * 1.0001).all()
    error = (rounder(blocks, found, zero)[1] - blocks).double() / scale
    wanted = brute(blocks, rounder, scale, zero)[1]
    assert (error.abs().pow(POWER).sum(1, keepdim=True) <= wanted * 1.001 + 1e-9).all()


def test_shrinkings_are_forty_down_to_0_22():
    assert len(SHRINKINGS) == 40
    assert (SHRINKINGS[0], round(SHRINKINGS[-1], 9)) == (1, 0.22)


def test_a_narrowed_range_clips_an_outlier_at_two_bits():
    w = torch.cat([torch.full((1, 63), 0.3), torch.ones(1, 1)], 1)
    found = narrowed(w, Rounder.of(Scheme("int2")), torch.ones(1, 1))
    assert 0.25 < found.item() < 0.4


def test_numbers_are_rounded_as_those_of_a_quantized_tensor():
    for scheme in map(Scheme.parse, ("int4-g8", "int3-g8-affine", "nf4-g8", "fp8_e4m3-g8", "e2m1")):
        w = values("normal", (4, 24), 5)
        scale, zero = choose_qparams(w, scheme)
        codes, found = Rounder.of(scheme)(blocks_of(w, scheme), *columns(scale, zero))
        held = quantize_tensor(w, scheme)
        assert torch.equal(codes.reshape(w.shape).float(), held.data.float())
        assert torch.equal(found.reshape(w.shape), held.dequantize())


def test_limits_can_be_handed_in():
    rounder = Rounder(grid_of(GRIDS["int4"]), -8, 7)
    codes, found = rounder(torch.tensor([-9.0, 9.0]), torch.tensor(1.0))
    assert (codes.tolist(), found.tolist()) == ([-8, 7], [-8, 7])


@pytest.mark.parametrize("scheme", [Scheme("int3"), Scheme("int3", axis=None), Scheme("nf4")])
def test_pieces_change_nothing(scheme, monkeypatch):
    """Blocks that are cut, and several of them, where a piece is far smaller than usual."""
    blocks = blocks_of(values("outlier", (7, 50), 3), scheme)
    scale = columns(*choose_qparams(blocks, Scheme(scheme.grid)))[0]
    whole = narrowed(blocks, Rounder.of(scheme), scale), half_quadratic(blocks, 7)
    for size in (16, 120):
        monkeypatch.setattr(pieces, "TILE", size)
        assert torch.equal(narrowed(blocks, Rounder.of(scheme), scale), whole[0])
        for found, wanted in zip(half_quadratic(blocks, 7), whole[1], strict=True):
            assert torch.allclose(found, wanted, rtol=1e-4)


@pytest.mark.parametrize("text", ["q2_k", "q3_k", "q4_k", "q6_k", "nvfp4", "q4_1", "nf4-g64-dq"])
def test_pieces_change_no_code(text, monkeypatch):
    w = values("outlier", (7, 256), 3)
    whole = quantize_tensor(w, Scheme.parse(text))
    monkeypatch.setattr(pieces, "TILE", 120)
    monkeypatch.setattr(kquants, "_TILE", 120)
    found = quantize_tensor(w, Scheme.parse(text))
    assert all(torch.equal(found.tensors[role], held) for role, held in whole.tensors.items())
    assert torch.equal(found.dequantize(), whole.dequantize())
