"""Linear quantization beside independent implementations: torch's and optimum-quanto's."""

import warnings

import pytest
import torch

from qdemo import Scheme, choose_qparams, quantize_tensor

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from optimum.quanto import AbsmaxOptimizer, qfloat8_e4m3fn, qint8, quantize_weight

SHAPES = [(1, 8), (64, 48), (7, 33), (512, 512), (2, 3, 4, 5)]


def weights(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.rand(shape[0], *[1] * (len(shape) - 1), generator=generator)
    return torch.randn(shape, generator=generator) * sizes


def powers_of_two(scale):
    return torch.exp2(scale.log2().round())


def far_from_ties(x, scale):
    """torch multiplies by 1 / scale where we divide: they can part only beside a tie."""
    exact = x.double() / scale.double()
    return (exact - exact.floor() - 0.5).abs() > 1e-4


@pytest.mark.parametrize("shape", [(64, 48), (7, 33), (512, 512), (3, 1), (40, 8)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_int8_rows_equal_quanto_bit_for_bit(shape, dtype):
    w = torch.randn(shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    scale = AbsmaxOptimizer()(w, qtype=qint8, axis=0)
    theirs = quantize_weight(w, qtype=qint8, axis=0, scale=scale)
    ours = quantize_tensor(w, Scheme("int8"))
    assert torch.equal(ours.packed, theirs._data)
    assert torch.equal(ours.scale, theirs._scale.reshape(-1))
    assert torch.equal(ours.dequantize(), theirs.dequantize())


def test_int8_tensor_equals_quanto_bit_for_bit():
    w = weights((64, 48))
    scale = AbsmaxOptimizer()(w, qtype=qint8, axis=None)
    theirs = torch.ops.quanto.quantize_symmetric(w, dtype=torch.int8, axis=None, scale=scale)
    ours = quantize_tensor(w, Scheme("int8", axis=None))
    assert torch.equal(ours.packed, theirs)
    assert torch.equal(ours.scale, scale)


def test_scaled_fp8_equals_quanto_bit_for_bit():
    w = weights((64, 48))
    scale = AbsmaxOptimizer()(w, qtype=qfloat8_e4m3fn, axis=0)
    theirs = quantize_weight(w, qtype=qfloat8_e4m3fn, axis=0, scale=scale)
    ours = quantize_tensor(w, Scheme("fp8_e4m3"))
    assert torch.equal(ours.packed.view(torch.uint8), theirs._data.view(torch.uint8))
    assert torch.equal(ours.scale, theirs._scale.reshape(-1))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bits", [8, 4, 3, 2])
@pytest.mark.parametrize("symmetric", [True, False])
def test_per_tensor_agrees_with_torch(shape, bits, symmetric):
    x, scheme = weights(shape), Scheme(f"int{bits}", symmetric, axis=None)
    scale, zero_point = choose_qparams(x, scheme)
    theirs = torch.fake_quantize_per_tensor_affine(
        x, scale.item(), int(zero_point or 0), int(scheme.qmin), int(scheme.qmax)
    )
    ours = quantize_tensor(x, scheme).dequantize()
    clear = far_from_ties(x, scale)
    assert clear.float().mean() > 0.99
    assert torch.equal(ours[clear], theirs[clear])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("bits", [8, 4, 2])
@pytest.mark.parametrize("symmetric", [True, False])
def test_per_channel_agrees_with_torch(shape, axis, bits, symmetric):
    x, scheme = weights(shape), Scheme(f"int{bits}", symmetric, axis=axis)
    scale, zero_point = choose_qparams(x, scheme)
    zeros = torch.zeros_like(scale) if zero_point is None else zero_point
    theirs = torch.fake_quantize_per_channel_affine(
        x, scale, zeros.to(torch.int32), axis, int(scheme.qmin), int(scheme.qmax)
    )
    along = [1] * x.ndim
    along[axis] = -1
    clear = far_from_ties(x, scale.reshape(along))
    assert torch.equal(quantize_tensor(x, scheme).dequantize()[clear], theirs[clear])


@pytest.mark.parametrize("symmetric", [True, False])
def test_with_power_of_two_scales_torch_agrees_everywhere(symmetric):
    """Then 1 / scale is exact too, and the definitions coincide on every value, ties included."""
    x, scheme = weights((64, 48)), Scheme("int8", symmetric, axis=0)
    scale, zero_point = choose_qparams(x, scheme)
    scale = powers_of_two(scale)
    x = (x / scale[:, None] * 2).round() / 2 * scale[:, None]  # all on levels or on ties
    zeros = torch.zeros_like(scale) if zero_point is None else zero_point
    theirs = torch.fake_quantize_per_channel_affine(
        x, scale, zeros.to(torch.int32), 0, int(scheme.qmin), int(scheme.qmax)
    )
    assert torch.equal(quantize_tensor(x, scheme, scale, zero_point).dequantize(), theirs)


def test_groups_are_channels_of_the_reshaped_weight():
    w = weights((16, 64))
    grouped = quantize_tensor(w, Scheme("int4", group_size=16))
    by_row = quantize_tensor(w.reshape(64, 16), Scheme("int4"))
    assert torch.equal(grouped.dequantize(), by_row.dequantize().reshape(16, 64))
    assert torch.equal(grouped.scale.reshape(-1), by_row.scale)
