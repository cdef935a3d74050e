"""Methods on few weights and none, on weights that lie in any way, in any float dtype."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from qdemo import Stats, Variant, footprint
from qdemo.compress.convert import rebuild
from qdemo.compress.kernels import quantized_linear
from qdemo.compress.quantizing import quantize_weight
from qdemo.spec.step import Step
from tests.compress.test_quantizing import COLUMNS, KNOWN, METHODS, ROWS, W, stats_of
from tests.strategies import values


@pytest.mark.parametrize("method", ["mse", "hqq", "awq", "rot-gptq"])
@pytest.mark.parametrize("stored", ["int4", "int3-g16", "int4-axis1"])
def test_how_a_weight_lies_in_memory_changes_nothing(stored, method):
    step = Step.parse(f"{stored}-{method}")
    wanted = quantize_weight(W, step, KNOWN)
    around = torch.full((2 * ROWS, 2 * COLUMNS), torch.nan)
    around[::2, 1::2] = W
    for w in (W.t().contiguous().t(), around[::2, 1::2]):
        found = quantize_weight(w, step, KNOWN)
        assert all(torch.equal(found.tensors[r], wanted.tensors[r]) for r in wanted.tensors)


@pytest.mark.parametrize("shape", [(0, 8), (4, 0), (0, 0), (1, 1), (1, 7), (7, 1)])
@pytest.mark.parametrize("method", METHODS)
def test_every_method_on_few_weights_and_none(method, shape):
    x = values("normal", (9, shape[1]), 3)
    unseen = Stats(0, *torch.zeros(2, shape[1]), torch.zeros(shape[1], shape[1]))
    for stats in (stats_of(x) if shape[1] else replace(unseen, count=9), unseen):
        for stored in ("int4", "int3-g8", "int4-tensor", "int4-axis1"):
            for dtype in (torch.float32, torch.float16, torch.float64):
                w = values("normal", shape, 4).to(dtype)
                found = quantize_weight(w, Step.parse(f"{stored}-{method}"), stats)
                w_hat = found.dequantize()
                assert (w_hat.shape, w_hat.dtype) == (shape, dtype)
                assert torch.isfinite(w_hat).all()
                y = quantized_linear(torch.ones(2, shape[1], dtype=dtype), found, None)
                assert torch.allclose(y.float(), w_hat.float().sum(1).expand(2, -1), atol=0.02)


@pytest.mark.parametrize("text", ["int4-gptq", "int4-rot", "int8a8-sq0.5", "int4"])
def test_layers_that_are_tied_are_counted_alike_with_and_without_weights(text):
    model = nn.Sequential(nn.Linear(16, 16, bias=False), nn.Linear(16, 16, bias=False))
    model[1].weight = model[0].weight
    stats = {name: stats_of(values("normal", (50, 16), seed)) for seed, name in enumerate("01")}
    variant = Variant.parse(text)
    held = footprint(variant.build(model, stats))
    assert footprint(variant.build(rebuild(model, device="meta"))) == held
