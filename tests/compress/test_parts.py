"""Layers are exchanged between builds of one model: nothing is built, copied or touched."""

import pytest
import torch
from torch import nn

from qdemo import Variant
from qdemo.compress.convert import tensors
from qdemo.compress.footprint import footprint
from qdemo.compress.parts import Parts, quantized_layers
from qdemo.compress.ties import alias_of
from tests import causal_folder
from tests.compress.models import Small, ids


def build(model, text):
    return Variant.parse(text).build(model)


def run(model):
    with torch.inference_mode():
        return model(ids())


def held(model):
    return {alias_of(tensor) for tensor, _ in tensors(model)}


@pytest.fixture
def model():
    torch.manual_seed(1)
    return Small(tied=False).eval()


def test_what_is_put_is_what_a_build_with_exceptions_is(model):
    parts = Parts(model, {"low": build(model, "int2")})
    for name in ("body.0", "body.2", "head"):
        others = "".join(f"~{n}=fp32" for n in ("body.0", "body.2", "head") if n != name)
        assert torch.equal(run(parts.put({name: "low"})), run(build(model, f"int2{others}")))
        rest = {n: "low" for n in parts.names if n != name}
        assert torch.equal(run(parts.put(rest)), run(build(model, f"int2~{name}=fp32")))


def test_several_builds_at_once(model):
    parts = Parts(model, {text: build(model, text) for text in ("int2", "int8a8", "int4-g8-mse")})
    chosen = {"body.0": "int8a8", "head": "int4-g8-mse", "body.2": "int2"}
    wanted = build(model, "int2~body.0=int8a8~head=int4-g8-mse")
    assert torch.equal(run(parts.put(chosen)), run(wanted))
    assert footprint(parts.model).total == footprint(wanted).total


def test_a_quantized_base_gets_float_layers_back(model):
    low = build(model, "int2")
    parts = Parts(low, {"float": model})
    assert torch.equal(run(parts.model), run(low))
    assert torch.equal(run(parts.put({"head": "float"})), run(build(model, "int2~head=fp32")))


def test_the_models_stay_as_they_are_and_share_all_memory(model):
    low = build(model, "int2")
    before = run(model), run(low), [*map(type, model.modules())]
    parts = Parts(model, {"low": low})
    assert held(parts.model) == held(model)
    assert held(parts.put(dict.fromkeys(parts.names, "low"))) == held(low)
    assert torch.equal(run(parts.model), run(low))
    assert torch.equal(run(model), before[0])
    assert torch.equal(run(low), before[1])
    assert [*map(type, model.modules())] == before[2]
    assert torch.equal(run(parts.put({})), before[0])


def test_a_module_that_is_used_twice_is_exchanged_in_both_places(model):
    parts = Parts(model, {"low": build(model, "int8")})
    made = parts.put({"body.0": "low"})
    assert made.again is made.body[0] is not model.again
    assert "again" not in parts.names


def test_what_is_tied_stands_together():
    model = Small(tied=True).eval()
    assert quantized_layers(model, build(model, "int8")) == [("body.0",), ("body.2",)]
    found = quantized_layers(model, build(model, "int8+emb"))
    assert set(found) == {("embed", "head"), ("body.0",), ("body.2",)}
    assert ("head",) in quantized_layers(model, build(model, "int8~head=int4"))


@pytest.mark.parametrize("kind", ["qwen3_moe", "gpt2", "tied llama", "gemma3_text"])
def test_experts_and_other_layouts_are_exchanged_too(kind):
    model = causal_folder.model(kind)
    built = build(model, "int4+emb")
    parts = Parts(model, {"low": built})
    layers = quantized_layers(model, built)
    assert {name for names in layers for name in names} == set(parts.names)
    tokens = torch.arange(40, 52)[None]
    with torch.inference_mode():
        wanted = built(tokens).logits
        assert torch.equal(parts.put(dict.fromkeys(parts.names, "low"))(tokens).logits, wanted)
        assert torch.equal(parts.put({})(tokens).logits, model(tokens).logits)


def test_a_convolution_has_the_name_that_an_exception_has():
    model = nn.Sequential(nn.Conv2d(1, 4, 2), nn.Flatten(), nn.Linear(4, 2))
    parts = Parts(model, {"low": build(model, "int8~0=int4")})
    assert parts.names == ("0", "2")
    assert quantized_layers(model, build(model, "int8~0=int4")) == [("0",), ("2",)]


@pytest.mark.parametrize("text", ["bf16", "int8@bf16", "int8~head=bf16"])
def test_another_type_is_refused(model, text):
    with pytest.raises(ValueError, match="computed in fp32"):
        Parts(model, {"low": build(model, text)})
