"""Layers whose weight the model reads in another place: found, left float and named."""

import pytest
import torch
import transformers as hf
from torch import nn

from qdemo import Variant, load_quantized, quantize, save_quantized
from qdemo.compress.footprint import coverage
from qdemo.compress.probing import is_probed, probe, read_elsewhere
from tests.compress.architectures import MODELS, inputs
from tests.compress.models import Small, ids


class Reading(nn.Module):
    """Its own product with `second`, a table read whole, and a dtype that is only asked for."""

    def __init__(self):
        super().__init__()
        self.queries = nn.Embedding(3, 8)
        self.first, self.second, self.third = (nn.Linear(8, 8) for _ in range(3))

    def forward(self, x):
        x = self.first(x.to(self.third.weight.dtype)) @ self.second.weight.T
        return self.third(torch.cat([x, self.queries.weight]))


def test_what_is_read_elsewhere_stays_float_and_is_named():
    model, x = Reading(), torch.randn(2, 8)
    with pytest.raises((TypeError, AttributeError)):
        Variant.parse("int8").build(model)(x)
    assert probe(model, lambda: model(x)) == {"queries", "second"}
    assert is_probed(model)
    variant = Variant.parse("int8+emb")
    built = variant.build(model)
    assert torch.allclose(built(x), model(x), atol=0.1)
    assert built.second.weight is not None
    found = coverage(built, model, variant)
    assert found.quantized == 128
    reasons = {(one.kind, one.why, one.parameters) for one in found.left if one.why != "vector"}
    assert reasons == {("Linear", "read", 64), ("Embedding", "read", 24)}


def test_they_can_t_be_asked_for_either(tmp_path):
    model, x = Reading(), torch.randn(2, 8)
    save_quantized(Variant.parse("int8").build(model), tmp_path / "all.safetensors")
    probe(model, lambda: model(x))
    with pytest.raises(ValueError, match="~second=int8 finds no layer to quantize"):
        Variant.parse("int4-g8~second=int8").build(model)
    with pytest.raises(ValueError, match="nothing to quantize"):
        quantize(model, include="second")
    with pytest.raises(ValueError, match="a quantized second, where the model has a Linear"):
        load_quantized(model, tmp_path / "all.safetensors")


def test_ordinary_models_read_nothing_elsewhere():
    model = Small()
    before = [dict(m._forward_hooks) for m in model.modules()]
    assert probe(model, lambda: model(ids())) == frozenset()
    assert [dict(m._forward_hooks) for m in model.modules()] == before


@pytest.mark.parametrize("name", ["tied Llama", "GPT-2", "Falcon", "Whisper", "Qwen3-MoE"])
def test_models_that_call_their_layers_are_quantized_as_before(name):
    model, variant = MODELS[name].model(), Variant.parse("int8+emb")
    probe(model, lambda: model(**inputs(name)))
    quantized = coverage(variant.build(model), model, variant).quantized
    assert quantized == MODELS[name].quantized + MODELS[name].table


def test_the_list_and_the_probe_say_the_same_of_mamba():
    model = MODELS["Mamba"].model()
    mixers = [f"backbone.layers.{i}.mixer" for i in (0, 1)]
    layers = {f"{mixer}.{child}" for mixer in mixers for child in ("dt_proj", "conv1d")}
    assert read_elsewhere(model) == layers
    assert layers <= probe(model, lambda: model(**inputs("Mamba"))) <= layers | {*mixers}


def test_learned_queries_that_are_read_whole_are_known():
    config = hf.DetrConfig(
        d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, num_queries=4,
        use_timm_backbone=False, use_pretrained_backbone=False, backbone=None,
        backbone_config=hf.ResNetConfig(
            embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], out_features=["stage2"]
        ),
    )  # fmt: skip
    model = hf.DetrForObjectDetection(config).eval()
    built = Variant.parse("int8+emb").build(model)
    with torch.no_grad():
        assert built(torch.randn(1, 3, 32, 32)).logits.isfinite().all()
    left = coverage(built, model, Variant.parse("int8+emb")).left
    assert ("Embedding", "read", 4 * 32) in {(one.kind, one.why, one.parameters) for one in left}


def test_torch_s_own_layers_call_theirs():
    """Their faster ways would read the weights, and ask first whether these are tensors."""
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    model = nn.TransformerEncoder(layer, 2).eval()
    built = Variant.parse("int8").build(model)
    x = torch.randn(1, 3, 16)
    with torch.inference_mode():
        assert torch.allclose(built(x), model(x), atol=0.05)
    kinds = {one.kind for one in coverage(built, model).left if one.why == "class"}
    assert kinds == {"MultiheadAttention", "NonDynamicallyQuantizableLinear"}
