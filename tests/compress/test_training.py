"""Weights that are rounded in the forward pass and still learn."""

import pytest
import torch
from hypothesis import given
from torch import nn

from qdemo import Scheme, freeze, quantize, quantize_tensor
from qdemo.numerics.blocks import from_blocks, to_blocks
from qdemo.numerics.linear import fake_quantize
from qdemo.spec.formats import STORED_FORMATS
from tests.compress.models import Small, ids
from tests.strategies import cases


def regression():
    """Inputs, targets of a noisy linear map, and a model that was fitted to them in fp32."""
    torch.manual_seed(7)
    x = torch.randn(256, 16)
    y = x @ torch.randn(16, 8) + 0.01 * torch.randn(256, 8)
    model = nn.Sequential(nn.Linear(16, 8))
    with torch.no_grad():
        solution = torch.linalg.lstsq(torch.cat([x, torch.ones(256, 1)], 1), y).solution
        model[0].weight.copy_(solution[:16].T)
        model[0].bias.copy_(solution[16])
    return x, y, model


def loss_of(model, x, y):
    with torch.no_grad():
        return nn.functional.mse_loss(model(x), y).item()


def test_two_bits_trained_through_beat_two_bits_rounded_afterwards():
    x, y, model = regression()
    quantize(model, "int2")
    rounded = loss_of(model, x, y)  # what plain rounding of the fitted weights gives
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1, 0, total_iters=60)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()
        schedule.step()
    trained = loss_of(model, x, y)
    assert trained < 0.7 * rounded
    freeze(model)
    assert loss_of(model, x, y) == pytest.approx(trained)


@pytest.mark.parametrize("text", ["int3", "int2-affine", "int4-g4", "int8-tensor", "fp8_e4m3"])
def test_the_gradient_skips_the_rounding_only(text):
    """With rounding errors r taken as constants, ŵ = scale(w) · (w / scale(w) + r)."""
    scheme = Scheme.parse(text)
    w = torch.randn(6, 8, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(6, 8, dtype=torch.float64)
    (ours,) = torch.autograd.grad(fake_quantize(w, scheme), w, upstream)

    q = quantize_tensor(w.detach(), scheme)
    blocks = to_blocks(w, scheme.axis, scheme.group_size)
    if scheme.symmetric:
        scale = blocks.abs().amax(1, keepdim=True) / scheme.qmax
    else:
        scale = (blocks.amax(1, keepdim=True) - blocks.amin(1, keepdim=True)) / scheme.qmax
    rounded = to_blocks(q.dequantize(), scheme.axis, scheme.group_size)
    r = ((rounded - blocks) / scale).detach()
    surrogate = from_blocks(scale * (blocks / scale + r), (6, 8), scheme.axis)
    (wanted,) = torch.autograd.grad(surrogate, w, upstream)
    assert torch.allclose(ours, wanted, rtol=1e-9, atol=1e-12)


@given(cases(formats=STORED_FORMATS))
def test_the_value_is_the_dequantized_one_to_the_bit(case):
    x, scheme = case
    assert torch.equal(fake_quantize(x, scheme), quantize_tensor(x, scheme).dequantize())


def test_a_value_far_below_one_step_learns_like_a_float():
    w = torch.tensor([[1.0, 0.01]], requires_grad=True)
    fake_quantize(w, Scheme("int8")).sum().backward()
    assert w.grad[0, 1] == 1


def test_embeddings_train_too():
    model = Small()
    quantize(model, "int4", embeddings=True)
    model(ids()).square().mean().backward()
    assert model.embed.weight.grad.abs().sum() > 0
    assert model.head.weight is model.embed.weight


@pytest.mark.parametrize("text", ["int8", "int4-g8", "int8-axis1"])
def test_gradients_flow_through_a_frozen_layer_to_what_still_trains(text):
    """As when adapters are trained on top of frozen integers."""
    model = nn.Sequential(nn.Linear(16, 16), nn.Linear(16, 600))
    quantize(model, text, include="1")
    freeze(model)
    x = torch.randn(5, 16)
    model(x).square().sum().backward()
    weight = model[1].qweight.dequantize()
    hidden = nn.functional.linear(x, model[0].weight, model[0].bias)
    y = nn.functional.linear(hidden, weight, model[1].bias)
    (wanted,) = torch.autograd.grad(y.square().sum(), model[0].weight)
    assert torch.allclose(model[0].weight.grad, wanted, rtol=1e-4)
