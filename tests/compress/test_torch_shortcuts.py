"""torch's own layers that take a shorter way with the weights of the layers in them."""

from functools import partial

import pytest
import torch
from torch import nn

from qdemo import Scheme, Variant, quantize_tensor


def encoder_layer():
    return nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)


MODELS = {
    "a layer": lambda: nn.Sequential(encoder_layer()),
    "an encoder": lambda: nn.Sequential(nn.TransformerEncoder(encoder_layer(), 2)),
    "no nesting": lambda: nn.Sequential(
        nn.TransformerEncoder(encoder_layer(), 2, enable_nested_tensor=False)
    ),
}
MODES = (torch.enable_grad, torch.no_grad, torch.inference_mode)


@pytest.mark.parametrize("variant", ["int8", "int4-g16", "int8@bf16", "fp8_e4m3"])
@pytest.mark.parametrize("model", MODELS)
def test_a_quantized_encoder_runs_in_every_mode(model, variant):
    made = MODELS[model]().eval()
    quantized = Variant.parse(variant).build(made)
    dtype = next(quantized.parameters()).dtype
    x = torch.randn(2, 5, 32).to(dtype)
    found = []
    for mode in MODES:
        with mode():
            found.append(quantized(x).detach().clone())
    with torch.inference_mode():
        wanted = made(x.float())
    for out in found:
        assert torch.allclose(out.float(), wanted, atol=0.35 if variant == "int4-g16" else 0.15)
        assert torch.allclose(out.float(), found[0].float(), atol=0.05)


def test_rows_of_different_lengths():
    quantized = Variant.parse("int8").build(MODELS["an encoder"]().eval())
    padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    x = torch.randn(2, 5, 32)
    whole = quantized[0](x, src_key_padding_mask=padding)
    with torch.inference_mode():
        again = quantized[0](x, src_key_padding_mask=padding)
    assert torch.allclose(whole[~padding], again[~padding], atol=1e-5)


def test_a_quantized_tensor_does_not_stand_for_a_tensor():
    weight = quantize_tensor(torch.ones(4, 4), Scheme("int8"))
    for use in (torch.abs, torch.sum, partial(torch.nn.functional.linear, torch.ones(4))):
        with pytest.raises(TypeError, match=r"\w+ can't take a quantized tensor; give it dequan"):
            use(weight)
