"""The error of what layers return, beside a plain computation with the weights that they hold."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from qdemo import QLinear, Variant, build, weight_error
from qdemo.engine.calibrating import collect, pairs
from qdemo.measure.layers import MEASURE, output_errors, relative
from qdemo.measure.measure import Ran
from qdemo.models.availability import get_entry
from qdemo.models.loading import load
from qdemo.spec.report import WHOLE_MODEL

FORMATS = ("int8", "int4", "int2-affine", "int4-g8", "fp8_e4m3", "bf16", "int4@fp16")


def model(seed=0, bias=True):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(16, 24, bias=bias), nn.ReLU(), nn.Linear(24, 8, bias=bias))


def rows(seed=0, count=50):
    generator = torch.Generator().manual_seed(seed)
    return {"0": torch.randn(count, 16, generator=generator),
            "2": torch.randn(count, 24, generator=generator).relu()}  # fmt: skip


def held(layer):
    """The weight that a layer computes with, in fp64."""
    weight = layer.qweight.dequantize() if isinstance(layer, QLinear) else layer.weight
    return weight.detach().double()


def returned(layer, x):
    """What it returns without its bias; half precision rounds what comes in and what goes out."""
    dtype = layer.compute_dtype if isinstance(layer, QLinear) else layer.weight.dtype
    bias = 0 if layer.bias is None else layer.bias.detach().double()
    y = x.to(dtype).double() @ held(layer).T + bias
    return (y if dtype == torch.float32 else y.to(dtype).double()) - bias


def plain(reference, variant, inputs):
    """Σ(XŴᵀ − XWᵀ)² and Σ(XWᵀ)² by name."""
    found = {}
    for name, x in inputs.items():
        layer = variant.get_submodule(name)
        wanted = x.double() @ held(reference.get_submodule(name)).T
        error = returned(layer, x) - wanted
        found[name] = error.square().sum().item(), wanted.square().sum().item()
    return found


def found(reference, variant, inputs, format="int8"):
    """What the measure says."""
    beside = Ran(Variant(), reference, (1,), (), None)
    ran = Ran(Variant.parse(format), variant, (1,), (), None, None, beside, lambda: inputs)
    return MEASURE.of(ran)


@pytest.mark.parametrize("format", FORMATS)
@given(st.integers(0, 1000))
def test_it_is_a_plain_computation(format, seed):
    reference, inputs = model(seed), rows(seed)
    variant = build(reference, Variant.parse(format))
    wanted = plain(reference, variant, inputs)
    for name, error, size in output_errors(reference, variant, inputs):
        assert size == pytest.approx(wanted[name][1], rel=1e-5)
        assert error == pytest.approx(wanted[name][0], rel=0.05 if format.endswith("16") else 1e-3)
    assert [name for name, *_ in output_errors(reference, variant, inputs)] == ["0", "2"]


def test_what_the_reference_returns_is_computed_once():
    reference, inputs = model(), rows()
    seen = []
    reference[0].register_forward_hook(lambda *_: seen.append(1))
    beside = Ran(Variant(), reference, (1,), (), None)
    told = []
    for format in ("int8", "bf16", "int8"):
        variant = build(reference, Variant.parse(format))
        variant[0]._forward_hooks.clear()
        ran = Ran(Variant.parse(format), variant, (1,), (), None, None, beside, lambda: inputs)
        told.append(MEASURE.of(ran).figures)
        alone = found(reference, variant, inputs, format)
        seen.pop()
        assert told[-1] == alone.figures
    assert seen == [1]
    assert told[0] == told[2] != told[1]


@pytest.fixture(scope="module")
def tiny():
    loaded = load(get_entry("t5-tiny"))
    return loaded, collect(loaded, pairs(loaded), 64)


@pytest.mark.parametrize("format", ["int8", "int4-g64", "int3"])
def test_it_is_a_plain_computation_in_a_real_model_too(tiny, format):
    loaded, inputs = tiny
    variant = build(loaded.model, Variant.parse(format))
    wanted = plain(loaded.model, variant, inputs)
    told = found(loaded.model, variant, inputs, format)
    assert len(told.of_parameters) == len(inputs) + 1
    for name, (error, size) in wanted.items():
        own = told.of_parameters[f"{name}.weight"]["output_error"]
        assert own == pytest.approx(math.sqrt(error / size), rel=1e-3)
    error, size = (sum(values) for values in zip(*wanted.values(), strict=True))
    assert told.figures["output_error"] == pytest.approx(math.sqrt(error / size), rel=1e-3)
    assert told.of_parameters[WHOLE_MODEL] == told.figures


@pytest.mark.parametrize("bias", [True, False])
def test_in_fp16_it_is_what_torch_returns(bias):
    torch.manual_seed(3)
    reference = nn.Sequential(nn.Linear(500, 300, bias=bias))
    variant = build(reference, Variant.parse("fp16"))
    x = torch.randn(40, 500)
    ((_, told, _),) = output_errors(reference, variant, {"0": x})
    ours, theirs = (
        layer(x.to(layer.weight.dtype)).float() - (layer.bias.float() if bias else 0)
        for layer in (variant[0], reference[0])
    )
    assert told == pytest.approx((ours - theirs).double().square().sum().item(), rel=1e-12)


def test_in_fp16_what_is_too_large_is_infinite():
    reference = nn.Sequential(nn.Linear(8, 4, bias=False))
    nn.init.constant_(reference[0].weight, 100.0)
    variant = build(reference, Variant.parse("fp16"))
    ((_, error, _),) = output_errors(reference, variant, {"0": torch.full((2, 8), 1000.0)})
    assert error == math.inf


def test_finer_formats_have_less_of_it(tiny):
    loaded, inputs = tiny
    formats = ("int8", "int6", "int4", "int2")
    errors = [
        found(loaded.model, build(loaded.model, Variant.parse(format)), inputs).figures
        for format in formats
    ]
    values = [error["output_error"] for error in errors]
    assert values == sorted(values)
    assert values[0] < 0.02 < values[-1]


def test_nothing_of_nothing_is_no_error():
    reference = model(bias=False)
    variant = build(reference, Variant.parse("int4"))
    told = found(reference, variant, {name: 0 * x for name, x in rows().items()})
    assert told.figures == {"output_error": None}
    assert set(told.of_parameters) == {"0.weight", "2.weight", WHOLE_MODEL}
    assert {one["output_error"] for one in told.of_parameters.values()} == {None}
    assert (relative(0, 0), relative(1, 0), relative(0, 1)) == (None, None, 0)


def test_one_layer_that_returns_nothing_does_not_hide_the_others():
    reference, inputs = model(), rows()
    variant = build(reference, Variant.parse("int4"))
    alone = found(reference, variant, {"0": inputs["0"]})
    told = found(reference, variant, inputs | {"2": 0 * inputs["2"]})
    assert told.figures["output_error"] == pytest.approx(alone.figures["output_error"])
    assert told.of_parameters["2.weight"] == {"output_error": None}


def test_it_is_pooled_by_sums_and_not_averaged():
    reference, inputs = model(), rows()
    variant = build(reference, Variant.parse("int2"))
    large = inputs | {"2": 100 * inputs["2"]}
    sums = plain(reference, variant, large).values()
    error, size = (sum(values) for values in zip(*sums, strict=True))
    told = found(reference, variant, large)
    whole = told.figures["output_error"]
    assert whole == pytest.approx(math.sqrt(error / size), rel=1e-3)
    each = [told.of_parameters[f"{name}.weight"]["output_error"] for name in large]
    assert whole == pytest.approx(each[1], rel=1e-2)  # which nearly all of it is in
    assert whole != pytest.approx(sum(each) / 2, rel=1e-2)


def test_biases_are_left_out():
    reference = model()
    with torch.no_grad():
        reference[0].bias.fill_(100.0)
    without = model()
    with torch.no_grad():
        without[0].bias.zero_()
    for format in ("int8", "int4"):
        variants = (build(one, Variant.parse(format)) for one in (reference, without))
        with_bias, none = (
            found(one, variant, rows()).of_parameters["0.weight"]["output_error"]
            for one, variant in zip((reference, without), variants, strict=True)
        )
        assert with_bias == pytest.approx(none, rel=1e-3)


def test_layers_that_are_as_they_were_and_those_without_inputs_are_left_out():
    reference, inputs = model(), rows()
    variant = build(reference, Variant.parse("int4~2=fp32"))
    assert [name for name, *_ in output_errors(reference, variant, inputs)] == ["0"]
    assert list(output_errors(reference, reference, inputs)) == []
    assert found(reference, reference, inputs).figures == {"output_error": None}
    assert found(reference, variant, {}).figures == {"output_error": None}


def test_what_is_rounded_for_its_inputs_has_less_of_it_and_a_lower_sqnr():
    """Two inputs that are always the same: what one weight loses, the other can make up for.

    On a grid of steps of 1, (0.4, 0.4) goes to (0, 0), each to its nearest: nothing of 0.8 x is
    left. GPTQ takes 0.4 more to the second, which goes to 1: x for 0.8 x, an error of a quarter.
    """
    reference = nn.Sequential(nn.Linear(2, 2, bias=False))
    x = torch.randn(20, 1, generator=torch.Generator().manual_seed(0)).expand(20, 2)

    def rounded(*first):
        on_grid = nn.Sequential(nn.Linear(2, 2, bias=False))
        with torch.no_grad():
            on_grid[0].weight.copy_(torch.tensor([first, (0.0, 0.0)]))
        return build(on_grid, Variant.parse("int8"))

    with torch.no_grad():
        reference[0].weight.copy_(torch.tensor([(0.4, 0.4), (0.0, 0.0)]))
    nearest, compensated = rounded(0.0, 0.0), rounded(0.0, 1.0)
    outputs = [
        found(reference, variant, {"0": x}).figures["output_error"]
        for variant in (nearest, compensated)
    ]
    sqnr = [
        weight_error(reference[0].weight, variant[0].qweight).sqnr_db
        for variant in (nearest, compensated)
    ]
    assert outputs == pytest.approx([1.0, 0.25], rel=1e-5)
    assert sqnr == pytest.approx([0.0, 10 * math.log10(0.32 / 0.52)], abs=1e-4)
    assert outputs[1] < outputs[0]
    assert sqnr[1] < sqnr[0]
