import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from qdemo import Variant, footprint, load_quantized, quantize, save_quantized
from tests.modeling.models import Small, ids

TEXTS = ["int8", "int4-g8-affine+emb", "int3", "fp8_e4m3+emb", "int8+emb@bf16"]


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
        if hasattr(module, "scheme"):
            assert loaded.get_submodule(name).scheme == module.scheme


def test_several_schemes_in_one_model(tmp_path):
    model = Small()
    quantize(model, "int8", include="head")
    quantize(model, "int2", include="body.0")
    from qdemo import freeze

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
        assert {"embed.packed", "head.packed"} & set(file.keys()) == {"embed.packed"}
    loaded = Small()
    load_quantized(loaded, tmp_path / "model.safetensors")
    assert loaded.head.packed.data_ptr() == loaded.embed.packed.data_ptr()


def test_shared_float_parameters_stay_one_parameter(tmp_path):
    reference = Small()
    quantize(reference, include="body.0")
    from qdemo import freeze

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
    save_quantized(Variant.parse("int8").build(Small()), path)
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
            del tensors["head.scale"]
            save_file(tensors, path, about)
            says = r"holds no head\.scale"
        case "extra":
            tensors["more"] = torch.ones(1)
            save_file(tensors, path, about)
            says = "holds more, which the model does not have"
        case "shape":
            tensors["norm.weight"] = torch.ones(3)
            save_file(tensors, path, about)
            says = r"norm\.weight has shape \(3,\), expected \(16,\)"
    with pytest.raises(ValueError, match=says):
        load_quantized(Small(), path)


def test_the_schemes_are_readable_in_the_file(tmp_path):
    save_quantized(Variant.parse("int4-g8@bf16").build(Small()), tmp_path / "model.safetensors")
    with safe_open(tmp_path / "model.safetensors", framework="pt") as file:
        about = json.loads(file.metadata()["qdemo"])
    assert about["modules"]["head"] == ["int4-g8", "bf16"]
