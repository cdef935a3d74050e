"""Formats with scales of other formats, in models: bytes by hand, files, ties, products."""

import pytest
import torch
from torch import nn

from qdemo import (
    Variant,
    footprint,
    freeze,
    load_quantized,
    model_weight_errors,
    quantize,
    save_quantized,
)
from qdemo.compress import cpu, cuda_launch
from qdemo.compress import layers as layers_of
from qdemo.compress.footprint import bits_per_weight
from qdemo.compress.kernels import quantized_linear, way_of
from qdemo.loops import machine
from qdemo.numerics.linear import quantize_tensor
from qdemo.spec.scheme import Scheme
from tests.compress.models import Small, ids
from tests.compress.test_kernels import DTYPES, assert_is_the_product

WIDTH, ROWS = 512, 48
WEIGHTS = WIDTH * ROWS
BITS = {
    "mxfp4": 4 + 8 / 32,
    "mxfp8": 8 + 8 / 32,
    "mxfp8_e5m2": 8 + 8 / 32,
    "nvfp4": 4 + 8 / 16 + 32 / WEIGHTS,
    "q4_0": 4 + 16 / 32,
    "q4_1": 4 + 32 / 32,
    "q5_0": 5 + 16 / 32,
    "q5_1": 5 + 32 / 32,
    "q8_0": 8 + 16 / 32,
    "q2_k": 2 + 8 / 16 + 32 / 256,
    "q3_k": 3 + 6 / 16 + 16 / 256,
    "q4_k": 4 + 12 / 32 + 32 / 256,
    "q5_k": 5 + 12 / 32 + 32 / 256,
    "q6_k": 6 + 8 / 16 + 16 / 256,
    "nf4-g64-dq": 4 + 8 / 64 + (2 * 32 + 32) / WEIGHTS,
    "int4-g64-dq": 4 + 8 / 64 + (2 * 32 + 32) / WEIGHTS,
    "int4-g64-affine-dq": 4 + 8 / 64 + 8 / 64 + (2 * 32 + 32) / WEIGHTS,
    "int8-dq": 8 + (8 * ROWS + 32 + 32) / WEIGHTS,  # a scale a row
}
"""ROWS · WIDTH / 64 = 384 scales of groups are two blocks of at most 256."""

TEXTS = list(BITS)
SCHEMES = [*map(Scheme.parse, TEXTS), Scheme("int4", False, group_size=64, zero_point="float")]


def small(text):
    """A model whose rows are whole blocks."""
    return Small(width=256 if text.endswith("_k") else 64)


def layers():
    torch.manual_seed(4)
    return nn.Sequential(nn.Linear(WIDTH, ROWS, bias=False))


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_bits_a_weight_by_hand(text, device):
    model = Variant.parse(text).build(layers().to(device))
    assert bits_per_weight(model) == pytest.approx(BITS[text], rel=1e-12)
    held = footprint(model).by_kind
    bits = Scheme.parse(text).bits
    assert held["quantized weights"] == WEIGHTS * bits // 8
    assert held["scales and zero points"] * 8 == round((BITS[text] - bits) * WEIGHTS)
    assert held["float weights"] == 0


def test_a_float_zero_point_takes_as_much_as_a_scale():
    model = layers()
    quantize(model, SCHEMES[-1])
    freeze(model)
    assert bits_per_weight(model) == 4 + 64 / 64


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_a_model_comes_back_bit_for_bit(text, device, tmp_path):
    model = Variant.parse(f"{text}+emb").build(small(text))
    save_quantized(model, tmp_path / "model.safetensors")
    with torch.device(device):
        loaded = small(text)
    load_quantized(loaded, tmp_path / "model.safetensors")
    assert torch.equal(loaded(ids()), model(ids()))
    assert footprint(loaded).by_kind == footprint(model).by_kind
    held = loaded.head.quantized.tensors
    for role, tensor in model.head.quantized.tensors.items():
        assert torch.equal(held[role], tensor)
    assert loaded.head.scheme == model.head.scheme


def test_float_zero_points_come_back_too(tmp_path):
    model = layers()
    quantize(model, SCHEMES[-1])
    freeze(model)
    save_quantized(model, tmp_path / "model.safetensors")
    loaded = layers()
    load_quantized(loaded, tmp_path / "model.safetensors")
    assert loaded[0].scheme == SCHEMES[-1]
    assert torch.equal(loaded[0].weight.dequantize(), model[0].weight.dequantize())


@pytest.mark.parametrize("text", TEXTS)
def test_tied_weights_are_held_once(text):
    model = Variant.parse(f"{text}+emb").build(small(text))
    assert model.head.quantized is model.embed.quantized
    rows = model.embed(torch.tensor([3, 19]))
    assert torch.equal(rows, model.embed.weight.dequantize()[[3, 19]])


@pytest.mark.parametrize("text", TEXTS)
def test_a_layer_trains_before_it_is_frozen(text):
    model = layers()
    quantize(model, text)
    x = torch.randn(3, WIDTH)
    before = model(x)
    before.square().sum().backward()
    assert model[0].weight.grad.abs().sum() > 0
    freeze(model)
    assert torch.allclose(model(x), before, atol=1e-4)


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_product_is_that_of_the_dequantized_weight(scheme, dtype):
    weight = quantize_tensor(torch.randn(33, 256), scheme)
    for rows in (1, 3, 17, 40):
        x = torch.randn(rows, 256).to(dtype)
        assert_is_the_product(quantized_linear(x, weight, None), x, weight)


@pytest.mark.parametrize("scheme", SCHEMES, ids=str)
def test_a_gpu_goes_the_general_way(scheme):
    assert not cuda_launch.is_known(quantize_tensor(torch.randn(32, 256), scheme))


@pytest.mark.parametrize("text", TEXTS)
def test_errors_of_weights_are_those_of_the_values(text):
    reference = layers()
    with torch.no_grad():
        reference[0].weight[3] = 0
        reference[0].weight[4, :64] = 0.25
    model = Variant.parse(text).build(reference)
    ((_, found),) = model_weight_errors(reference, model)
    error = model[0].weight.dequantize().double() - reference[0].weight.detach().double()
    assert found.sum_sq_error == pytest.approx(error.square().sum().item(), rel=1e-9)
    assert found.max_abs == pytest.approx(error.abs().max().item())
    assert found.sum_sq_steps >= 0


@pytest.mark.parametrize("text", TEXTS)
def test_loops_read_what_a_layer_holds_and_no_copy_of_it(text):
    weight = Variant.parse(text).build(layers())[0].qweight
    if way_of(weight) == "general":
        pytest.skip("this machine has no loop for it")
    assert cpu.times(torch.randn(1, WIDTH), weight) is not None
    assert cpu._WEIGHTS[weight].lies_as(weight)


INSTEAD = [("q2_k", "q4_0"), ("q3_k", "q4_0"), ("q4_k", "q5_0"), ("q5_k", "q5_1"), ("q6_k", "q8_0")]


@pytest.mark.parametrize(("text", "instead"), INSTEAD)
def test_rows_that_are_no_super_blocks_get_what_llama_cpp_gives_them(text, instead, tmp_path):
    reference = nn.Sequential(nn.Linear(192, 64, bias=False), nn.Linear(256, 64, bias=False))
    planned = layers_of.plan(reference, Variant.parse(text))
    assert planned.asked == {"0": Scheme.parse(text)}
    model = Variant.parse(text).build(reference)
    assert [str(layer.scheme) for layer in model] == [instead, text]
    held = 192 * BITS[instead] + 256 * BITS[text]
    assert bits_per_weight(model) == pytest.approx(held / (192 + 256))
    save_quantized(model, tmp_path / "model.safetensors")
    loaded = nn.Sequential(nn.Linear(192, 64, bias=False), nn.Linear(256, 64, bias=False))
    load_quantized(loaded, tmp_path / "model.safetensors")
    assert [str(layer.scheme) for layer in loaded] == [instead, text]
    quantize(reference, text)
    assert [str(layer.scheme) for layer in reference] == [instead, text]


@pytest.mark.parametrize("text", TEXTS)
def test_where_there_are_loops_they_are_taken(text):
    weight = quantize_tensor(torch.randn(32, 512), Scheme.parse(text))
    here = machine.machine()
    if here is not None and here.kind != "portable":
        assert way_of(weight) == here.kind


@pytest.mark.parametrize(
    ("text", "role", "value"),
    [
        ("mxfp4", "scale", 255),
        ("nvfp4", "tensor_scale", torch.inf),
        ("nvfp4", "tensor_scale", 1e38),
        ("q4_0", "scale", torch.nan),
        ("q4_1", "min", torch.inf),
        ("nf4-g64-dq", "scale_mean", torch.nan),
        ("nf4-g64-dq", "scale_absmax", torch.inf),
        ("q4_k", "super_scale", torch.nan),
        ("q2_k", "super_min", torch.inf),
    ],
)
def test_scales_that_can_t_be_computed_with_are_refused(text, role, value, tmp_path):
    model = Variant.parse(text).build(layers())
    held = model[0].quantized.tensors[role]
    held[(0,) * held.ndim] = value
    path = tmp_path / "model.safetensors"
    save_quantized(model, path)
    with pytest.raises(ValueError, match=r"is not finite everywhere|makes weights infinite"):
        load_quantized(layers(), path)


ANY = [
    Scheme("int4", False, axis=None, scale="fp16", zero_point="float"),
    Scheme("int8", False, axis=None, scale="fp16", zero_point="float"),
    Scheme("int8", False, group_size=64, scale="fp16", zero_point="float"),
    Scheme("int4", axis=None, scale="fp16"),
    Scheme("e2m1", axis=None, scale="e4m3"),
]
"""Schemes that no text form says, and that `quantize` takes as well."""


@pytest.mark.parametrize("bits", [None, 8])
@pytest.mark.parametrize("scheme", ANY, ids=repr)
def test_schemes_without_a_text_form_are_multiplied_as_they_are_read(scheme, bits):
    weight, x = quantize_tensor(torch.randn(33, 64), scheme), torch.randn(3, 64)
    unit = x.abs().amax(1, keepdim=True) / 127
    given = (x / unit).round() * unit if bits else x
    assert_is_the_product(quantized_linear(x, weight, None, bits), given, weight)


def test_a_layer_without_a_text_form_can_be_printed():
    model = layers()
    quantize(model, SCHEMES[-1])
    assert "zero_point='float'), trainable" in str(model)
