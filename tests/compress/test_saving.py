import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from qdemo import (
    QEmbedding,
    QLinear,
    Variant,
    footprint,
    freeze,
    load_quantized,
    quantize,
    save_quantized,
)
from tests.compress.models import Small, ids

TEXTS = ["int8", "int4-g8-affine+emb", "int3", "fp8_e4m3+emb", "int8+emb@bf16", "nf4-g8+emb",
         "e2m1-g16", "fp4bnb-g4", "nf3-tensor"]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_model_comes_back_bit_for_bit(text, device, tmp_path):
    model = Variant.parse(text).build(Small())
    save_quantized(model, tmp_path / "model.safetensors")
    with torch.device(device):
        loaded = Small()
    load_quantized(loaded, tmp_path / "model.safetensors")
    if device == "meta":
        assert not any(t.is_meta for t in (*loaded.parameters(), *loaded.buffers()))
    assert torch.equal(loaded(ids()), model(ids()))
    assert footprint(loaded).by_kind == footprint(model).by_kind
    for name, module in model.named_modules():
        if isinstance(module, QLinear | QEmbedding):
            assert loaded.get_submodule(name).scheme == module.scheme
            assert loaded.get_submodule(name).compute_dtype == module.compute_dtype


def test_several_schemes_in_one_model(tmp_path):
    model = Small()
    quantize(model, "int8", include="head")
    quantize(model, "int2", include="body.0")
    freeze(model)
    save_quantized(model, tmp_path / "model.safetensors")
    loaded = Small()
    load_quantized(loaded, tmp_path / "model.safetensors")
    assert torch.equal(loaded(ids()), model(ids()))
    assert [str(loaded.head.scheme), str(loaded.body[0].scheme)] == ["int8", "int2"]
    assert type(loaded.body[2]) is torch.nn.Linear


def test_ties_are_written_once_and_tied_again(tmp_path):
    model = Variant.parse("int8+emb").build(Small())
    save_quantized(model, tmp_path / "model.safetensors")
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        assert {"embed.quantized.codes", "head.quantized.codes"} & set(file.keys()) == {
            "embed.quantized.codes"
        }
    loaded = Small()
    load_quantized(loaded, tmp_path / "model.safetensors")
    assert loaded.head.quantized.codes.data_ptr() == loaded.embed.quantized.codes.data_ptr()


def test_shared_float_parameters_stay_one_parameter(tmp_path):
    reference = Small()
    quantize(reference, include="body.0")
    freeze(reference)
    save_quantized(reference, tmp_path / "model.safetensors")
    loaded = Small()
    load_quantized(loaded, tmp_path / "model.safetensors")
    assert loaded.head.weight is loaded.embed.weight


def test_only_frozen_models_are_saved(tmp_path):
    model = Small()
    quantize(model)
    with pytest.raises(ValueError, match=r"body\.0 is not frozen"):
        save_quantized(model, tmp_path / "model.safetensors")


@pytest.mark.parametrize("damage", ["truncated", "foreign", "missing", "extra", "shape"])
def test_a_file_that_does_not_fit_is_refused_in_words(damage, tmp_path):
    path = tmp_path / "model.safetensors"
    save_quantized(Variant.parse("int8").build(Small(tied=False)), path)
    with safe_open(path, framework="pt") as file:
        about = file.metadata()
        tensors = {key: file.get_tensor(key).clone() for key in file.keys()}  # noqa: SIM118
    match damage:
        case "truncated":
            path.write_bytes(path.read_bytes()[:-100])
            says = "not a whole safetensors file"
        case "foreign":
            save_file(tensors, path)
            says = "holds no schemes"
        case "missing":
            del tensors["head.quantized.scale"]
            save_file(tensors, path, about)
            says = r"holds no head\.quantized\.scale"
        case "extra":
            tensors["more"] = torch.ones(1)
            save_file(tensors, path, about)
            says = "holds more, which the model does not have"
        case "shape":
            tensors["norm.weight"] = torch.ones(3)
            save_file(tensors, path, about)
            says = r"norm\.weight has shape \(3,\), expected \(16,\)"
    with pytest.raises(ValueError, match=says):
        load_quantized(Small(tied=False), path)


def test_the_schemes_are_readable_in_the_file(tmp_path):
    save_quantized(
        Variant.parse("int4-g8@bf16").build(Small(tied=False)), tmp_path / "model.safetensors"
    )
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        about = json.loads(file.metadata()["qdemo"])
    assert about["modules"]["head"] == ["int4-g8", "bf16"]
    assert about["version"] == 2


def test_buffers_that_state_dicts_leave_out_are_kept(tmp_path):
    """On the meta device nothing else would bring them back."""
    with torch.device("meta"):
        loaded = Small()
    model = Small()
    for each in (model, loaded):
        each._non_persistent_buffers_set.add("positions")
    model.positions.add_(1)
    quantize(model)
    freeze(model)
    save_quantized(model, tmp_path / "model.safetensors")
    load_quantized(loaded, tmp_path / "model.safetensors")
    assert torch.equal(loaded.positions, model.positions)


def test_a_transposed_tie_is_not_taken_for_the_same_tensor(tmp_path):
    def make():
        model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 4))
        model[1].weight = nn.Parameter(model[0].weight.detach().t())
        return model

    model = make()
    quantize(model, include="2")
    freeze(model)
    save_quantized(model, tmp_path / "model.safetensors")
    loaded = make()
    load_quantized(loaded, tmp_path / "model.safetensors")
    assert torch.equal(loaded[1].weight, model[1].weight)
    assert torch.allclose(loaded(torch.ones(4)), model(torch.ones(4)), atol=1e-6)


def test_names_with_brackets_are_names_not_patterns(tmp_path):
    def make():
        return nn.ModuleDict({"a[0]": nn.Linear(2, 2), "a0": nn.Linear(2, 2)})

    model = make()
    quantize(model, include="a[[]0]")
    freeze(model)
    save_quantized(model, tmp_path / "model.safetensors")
    loaded = make()
    load_quantized(loaded, tmp_path / "model.safetensors")
    assert [type(m) for m in loaded.values()] == [QLinear, nn.Linear]


def test_another_architecture_and_the_meta_device_are_refused_in_words(tmp_path):
    path = tmp_path / "model.safetensors"
    save_quantized(Variant.parse("int8").build(Small(tied=False)), path)
    with pytest.raises(ValueError, match=r"quantized body\.0, where the model has nothing"):
        load_quantized(nn.Sequential(nn.Linear(2, 2)), path)
    model = Small(tied=False)
    model.head = nn.Identity()
    with pytest.raises(ValueError, match="quantized head, where the model has a Identity"):
        load_quantized(model, path)
    with torch.device("meta"):
        empty = Small(tied=False)
    with pytest.raises(ValueError, match="on the meta device"):
        save_quantized(Variant.parse("int8").build(empty), path)
