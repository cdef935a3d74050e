import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qdemo import lab
from qdemo.compress.quantizing import quantize_weight
from qdemo.lab.found_ranges import moving, search
from qdemo.spec.step import Step
from tests.strategies import values

KINDS = ("normal", "uniform", "outlier", "constant", "negative", "zeros")


@st.composite
def rows(draw):
    return values(draw(st.sampled_from(KINDS)), (draw(st.integers(2, 16)),), draw(seeds))


seeds = st.integers(0, 1000)


@given(rows(), st.integers(2, 4))
def test_each_range_is_tried_as_it_is_defined(w, bits):
    found, qmax = search(w, f"int{bits}"), 2 ** (bits - 1) - 1
    whole = max(w.abs().max().item() / qmax, torch.finfo(torch.float32).tiny)
    assert found.shares == pytest.approx([1 - i / 50 for i in range(40)])
    for i in (0, 7, 23, 39):
        scale = torch.tensor(whole, dtype=torch.float32) * found.shares[i]
        q = (w / scale).round().clamp(-qmax, qmax)
        error = (scale * q - w).double().abs()
        assert found.squares[i] == pytest.approx(error.square().sum().item(), rel=1e-3, abs=1e-9)
        assert found.powers[i] == pytest.approx(error.pow(2.4).sum().item(), rel=1e-3, abs=1e-9)


@given(rows(), st.sampled_from(lab.RANGED))
def test_what_is_chosen_is_what_models_are_quantized_with(w, grid):
    found = search(w, grid)
    step = Step.parse(f"{grid}-axis0-mse" if grid.startswith("nf") else f"{grid}-mse")
    assert torch.equal(found.narrow, quantize_weight(w[None], step).dequantize()[0])
    at = found.shares.index(found.chosen)
    assert found.powers[at] <= min(found.powers) * (1 + 1e-3) + 1e-9
    assert found.squares[found.shares.index(found.best_square)] == min(found.squares)


def hqq(w, bits, steps):
    """z of each row after so many steps, as the definition has it, and the mean error before."""
    low, high = w.amin(1, keepdim=True), w.amax(1, keepdim=True)
    k = (2**bits - 1) / (high - low)
    z, means = -low * k, []
    for _ in range(steps + 1):
        q = (w * k + z).round().clamp(0, 2**bits - 1)
        r = (q - z) / k
        means.append((w - r).abs().double().mean().item())
        e = (w - r).sign() * ((w - r).abs() - (w - r).abs().pow(-0.3) / 10).clamp(min=0)
        last, z = z, (q - (w - e) * k).mean(1, keepdim=True)
    return last[:, 0], means


@settings(max_examples=30)
@given(seeds, st.integers(2, 4))
def test_zero_points_move_as_they_are_defined(seed, bits):
    w = torch.randn(5, 8, generator=torch.Generator().manual_seed(seed))
    found = moving(w, bits)
    for step, zeros in enumerate(found.zero_points):
        wanted, means = hqq(w, bits, step)
        assert torch.allclose(zeros, wanted, atol=2e-4)
        assert found.means[step] == pytest.approx(means[-1], rel=1e-3)
    assert len(found.zero_points) == len(found.means) == len(found.rms)


@settings(max_examples=30)
@given(seeds, st.integers(2, 4))
def test_the_last_zero_points_are_what_models_are_quantized_with(seed, bits):
    w = torch.randn(5, 8, generator=torch.Generator().manual_seed(seed))
    found = moving(w, bits)
    q = quantize_weight(w, Step.parse(f"int{bits}-hqq"))
    assert torch.equal(q.zero_point, found.zero_points[-1])
    error = (q.dequantize() - w).double()
    assert found.rms[-1] == pytest.approx(error.square().mean().sqrt().item())
