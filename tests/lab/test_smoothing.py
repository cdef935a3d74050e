import pytest
import torch
from torch import nn

from qdemo.compress.building import build
from qdemo.compress.quantizing import quantize_weight
from qdemo.compress.transforms import RATIOS
from qdemo.lab import rotating
from qdemo.lab.inputs import inputs, known
from qdemo.lab.smoothing import ALIKE, THRESHOLDS, smoothing, splits
from qdemo.spec.step import Step
from qdemo.spec.variant import Variant

LOUD = 20.0


@pytest.fixture(scope="module")
def w():
    return torch.randn(6, 8, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def x():
    return inputs(8, ALIKE, LOUD)


def error(y, wanted):
    return ((y - wanted).double().norm() / wanted.double().norm()).item()


def rounded(w, qmax):
    """Integers times the scale of each row, from the definition."""
    scale = w.abs().amax(1, keepdim=True) / qmax
    return (w / scale).round().clamp(-qmax, qmax) * scale


def model_of(w, name, x):
    """That variant of one layer."""
    layer = nn.Linear(w.shape[1], w.shape[0], bias=False)
    layer.weight.data = w.clone()
    return build(nn.Sequential(layer), Variant.parse(name), {"0": known(x)})


def test_awq_is_its_formula(w, x):
    found = smoothing(w, "awq", 3, LOUD)
    assert [one.alpha for one in found.every] == list(RATIOS)
    for one in found.every:
        s = x.abs().mean(0).pow(one.alpha)
        s = s / (s.max() * s.min()).sqrt()
        assert torch.allclose(one.s, s, rtol=1e-5)
        assert torch.allclose(one.inputs, x.abs().amax(0) / s, rtol=1e-5)
        assert torch.allclose(one.weights, w.abs().amax(0) * s, rtol=1e-5)
        y = x @ (rounded(w * s, 3) / s).T
        assert one.error == pytest.approx(error(y, x @ w.T), rel=1e-3)
    assert found.plain == pytest.approx(error(x @ rounded(w, 3).T, x @ w.T), rel=1e-3)
    assert found.best.error < found.plain / 2


def test_awq_chooses_as_models_do(w, x):
    found = smoothing(w, "awq", 3, LOUD)
    held = quantize_weight(w, Step.parse("int3-awq"), known(x)).tensors["column_scale"]
    assert torch.allclose(1 / held, found.best.s, rtol=1e-5)


def test_smoothquant_is_its_formula(w, x):
    found = smoothing(w, "sq", 3, LOUD)
    for one in found.every:
        s = x.abs().amax(0).pow(one.alpha) / w.abs().amax(0).pow(1 - one.alpha)
        assert torch.allclose(one.s, s, rtol=1e-5)
        y = rounded(x / s, 127) @ rounded(w * s, 127).T
        assert one.error == pytest.approx(error(y, x @ w.T), rel=2e-2)
    assert found.best.error < found.plain / 2


@torch.no_grad()
def test_smoothquant_is_what_a_model_computes(w, x):
    y = model_of(w, "int8a8-sq0.5", x)(x)
    found = smoothing(w, "sq", 3, LOUD)
    assert found.at(0.5).alpha == 0.5
    assert found.at(0.5).error == pytest.approx(error(y, x @ w.T), rel=2e-2)
    plain = model_of(w, "int8a8", x)(x)
    assert found.plain == pytest.approx(error(plain, x @ w.T), rel=2e-2)


@torch.no_grad()
def test_llm_int8_is_what_a_model_computes(w, x):
    y = model_of(w, "llm.int8", x)(x)
    found = splits(w, LOUD)
    assert found.at(6.0).error == pytest.approx(error(y, x @ w.T), rel=2e-2)
    assert torch.equal(found.inputs, x.abs().amax(0))


def test_each_threshold_sets_aside_what_reaches_it(w, x):
    found = splits(w, LOUD)
    assert [one.threshold for one in found.every] == list(THRESHOLDS)
    for one in found.every:
        assert torch.equal(one.outliers, (x.abs() >= one.threshold).any(0))
        rest = x * (x.abs() < one.threshold)
        scale = rest.abs().amax(1, keepdim=True).clamp(min=1e-30) / 127
        kept = torch.where(one.outliers, x, (rest / scale).round() * scale)
        y = kept @ rounded(w, 127).T
        assert one.error == pytest.approx(error(y, x @ w.T), rel=2e-2)
    assert found.floats == pytest.approx(error(x @ rounded(w, 127).T, x @ w.T), rel=1e-3)
    assert found.floats < found.at(6.0).error < found.plain


def hadamard(size):
    found = torch.ones(1, 1)
    while len(found) < size:
        found = torch.cat([torch.cat([found, found], 1), torch.cat([found, -found], 1)])
    return found / size**0.5


@pytest.mark.parametrize(("columns", "size"), [(8, 8), (6, 2), (5, 1), (16, 16)])
def test_a_rotation_is_signs_and_a_hadamard_matrix(columns, size):
    w = torch.randn(4, columns, generator=torch.Generator().manual_seed(1))
    found = rotating.rotated(w, 4, 8.0)
    assert found.size == size
    row = found.before.row
    assert row.abs().max() == pytest.approx(8 * w.abs().max().item())
    back = (found.after.row.reshape(-1, size) @ hadamard(size)).reshape(-1)
    assert torch.allclose(back.abs(), row.abs(), atol=1e-4)
    assert found.after.row.norm() == pytest.approx(row.norm().item(), rel=1e-5)


@pytest.mark.parametrize("times", [1.0, 8.0, 20.0])
def test_both_sides_are_what_models_are_quantized_with(w, times):
    own = w.clone()
    row, column = divmod(int(w.abs().argmax()), 8)
    own[row, column] *= times
    found = rotating.rotated(w, 4, times)
    assert found.row == row
    for side, name in ((found.before, "int4"), (found.after, "int4-rot")):
        apart = (quantize_weight(own, Step.parse(name)).dequantize() - own).double()
        assert side.rms == pytest.approx(apart.square().mean().sqrt().item(), rel=1e-5)
        x = inputs(8).double()
        wanted = (x @ apart.T).norm() / (x @ own.double().T).norm()
        assert side.output_error == pytest.approx(wanted.item(), rel=1e-4)
        scale = side.row.abs().max() / 7
        assert torch.allclose(side.w_hat, (side.row / scale).round() * scale, atol=1e-4)


def test_an_outlier_is_what_a_rotation_is_for(w):
    small, large = rotating.rotated(w, 4, 1.0), rotating.rotated(w, 4, 8.0)
    assert large.after.absmax < large.before.absmax / 2
    assert large.after.rms < large.before.rms
    assert small.after.rms > 0.8 * small.before.rms
