"""What share of a model is quantized, counted by hand."""

from pathlib import Path

import pytest
import torch
from torch import nn

from qdemo import Scheme, Variant, footprint, freeze, quantize
from qdemo.compress.footprint import bits_per_weight, coverage
from qdemo.spec.footprint import WHY, Coverage, Footprint, Instead, Left
from tests.compress.models import Small

MODELS = Path(__file__).parents[2] / "assets/models"


class Conv1D(nn.Module):
    """As transformers' own: a Linear whose weight is transposed."""

    def __init__(self, out, rows):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(rows, out))
        self.bias = nn.Parameter(torch.zeros(out))


class OwnLinear(nn.Linear):
    pass


class Experts(nn.Module):
    def __init__(self):
        super().__init__()
        self.up = nn.Parameter(torch.randn(3, 4, 8))


class Mixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(10, 8)  # 80
        self.norm = nn.LayerNorm(8)  # 16
        self.first = nn.Linear(8, 8)  # 64 and 8
        self.second = nn.Linear(8, 8, bias=False)  # 64
        self.conv = Conv1D(24, 8)  # 192 and 24
        self.own = OwnLinear(8, 4)  # 32 and 4
        self.attention = nn.MultiheadAttention(8, 2)  # 192 and 24; its out_proj 64 and 8
        self.experts = Experts()  # 96
        self.register_buffer("positions", torch.arange(10))


PARAMETERS = 80 + 16 + 64 + 8 + 64 + 192 + 24 + 32 + 4 + 192 + 24 + 64 + 8 + 96


def covered(text, reference=None, device="cpu"):
    with torch.device(device):
        reference = reference or Mixed()
    variant = Variant.parse(text)
    return coverage(variant.build(reference), reference, variant)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_parameters_by_hand(device):
    found = covered("int8", device=device)
    assert (found.parameters, found.quantized) == (PARAMETERS, 128)
    assert found.share == 128 / PARAMETERS
    assert found.bf16_bytes == 2 * PARAMETERS + 8 * 10
    assert found.left == (
        Left("Conv1D", "class", 192, 1, "conv.weight"),
        Left("MultiheadAttention", "class", 192, 1, "attention.in_proj_weight"),
        Left("Experts", "shape", 96, 1, "experts.up"),
        Left("Embedding", "embedding", 80, 1, "embed.weight"),
        Left("NonDynamicallyQuantizableLinear", "class", 64, 1, "attention.out_proj.weight"),
        Left("OwnLinear", "class", 32, 1, "own.weight"),
        Left("Conv1D", "vector", 24, 1, "conv.bias"),
        Left("MultiheadAttention", "vector", 24, 1, "attention.in_proj_bias"),
        Left("LayerNorm", "vector", 16, 2, "norm.weight"),
        Left("bias", "vector", 8, 1, "first.bias"),
        Left("NonDynamicallyQuantizableLinear", "vector", 8, 1, "attention.out_proj.bias"),
        Left("OwnLinear", "vector", 4, 1, "own.bias"),
    )


@pytest.mark.parametrize(
    "text", ["int8", "int4-g8+emb", "bf16", "int8~first=fp32", "bf16~first=int8", "int8~embed=int4"]
)
def test_what_is_quantized_and_what_is_left_is_all(text):
    found = covered(text)
    assert found.quantized + sum(part.parameters for part in found.left) == PARAMETERS
    assert all(part.why in WHY for part in found.left)


def why(text, kind, reference=None):
    return [part.why for part in covered(text, reference).left if part.kind == kind]


def test_reasons():
    assert why("int8", "Embedding") == ["embedding"]
    assert why("int8+emb", "Embedding") == []
    assert why("int8+emb~embed=fp32", "Embedding") == ["name"]
    assert why("int8~first=fp32", "Linear") == ["name"]
    assert why("int8~embed=int4", "Embedding") == []
    assert {part.why for part in covered("bf16").left} == {"cast"}


def test_what_was_excluded_by_hand_is_left_out_by_name():
    reference, model = Mixed(), Mixed()
    quantize(model, exclude="first")
    before = coverage(model, reference)
    freeze(model)
    assert coverage(model, reference) == before
    assert Left("Linear", "name", 64, 1, "first.weight") in before.left
    assert Left("Embedding", "embedding", 80, 1, "embed.weight") in before.left


TABLE, BODY, REST = 20 * 16, 2 * 16 * 32, 32 + 16 + 2 * 16


@pytest.mark.parametrize(
    "text", ["int8~head=int8", "int8+emb", "int8+emb~head=fp32", "int8+emb~head=int4"]
)
def test_a_tied_matrix_counts_once_and_is_quantized_where_one_end_is(text):
    found = covered(text, Small())
    assert (found.parameters, found.quantized) == (TABLE + BODY + REST, TABLE + BODY)


def test_a_tied_matrix_of_which_no_end_is_quantized():
    for text, why in (("int8~head=fp32", "name"), ("int8", "tied"), ("int8~body.0=int4", "tied")):
        found = covered(text, Small())
        assert found.quantized == BODY
        assert Left("Embedding", why, TABLE, 1, "embed.weight") in found.left


def test_untied_ends_count_twice():
    found = covered("int8", Small(tied=False))
    assert (found.parameters, found.quantized) == (2 * TABLE + BODY + REST, TABLE + BODY)
    assert found.left[0] == Left("Embedding", "embedding", TABLE, 1, "embed.weight")


def test_a_variant_no_smaller_than_the_bf16_cast_is_known():
    reference = Mixed()
    for text, saves in (("int8", False), ("bf16", False), ("int2@bf16", True)):
        built = Variant.parse(text).build(reference)
        assert coverage(built, reference).saves(footprint(built)) is saves
    assert coverage(cast := Variant.parse("bf16").build(reference), reference).bf16_bytes == (
        footprint(cast).total
    )


def test_a_low_share():
    assert Coverage(100, 49, (), 1).is_low
    assert not Coverage(100, 50, (), 1).is_low
    assert not Coverage(100, 0, (), 1).is_low
    assert Coverage(0, 0, (), 0).share == 0
    assert not Coverage(0, 0, (), 0).saves(Footprint(0, {}, {}))


@pytest.mark.parametrize(
    ("text", "bits"),
    [
        ("int8", 8 + 32 / 16),
        ("int4-g8", 4 + 32 / 8),
        ("int4-g8-affine", 4 + 40 / 8),
        ("int3", 3 + 32 / 16),
        ("int8@bf16", 8 + 32 / 16),
    ],
)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_bits_per_weight_by_hand(text, bits, device):
    with torch.device(device):
        model = nn.Sequential(nn.Linear(16, 32), nn.Linear(16, 8))
    assert bits_per_weight(Variant.parse(text).build(model)) == bits


def test_bits_per_weight_count_a_tie_once_and_nothing_where_nothing_is_quantized():
    assert bits_per_weight(Variant.parse("int8+emb~body=fp32").build(Small())) == 8 + 32 / 16
    assert bits_per_weight(Small()) is None
    assert bits_per_weight(Variant.parse("bf16").build(Small())) is None


def skeleton(folder):
    import transformers

    config = transformers.AutoConfig.from_pretrained(MODELS / folder)
    with torch.device("meta"):
        return getattr(transformers, config.architectures[0])(config)


@pytest.mark.parametrize("folder", ["t5-tiny", "blip-tiny"])
def test_our_own_models_are_covered_whole_on_skeletons(folder):
    reference = skeleton(folder)
    plain, whole = covered("int8", reference), covered("int8+emb", reference)
    tables = {id(m.weight) for m in reference.modules() if type(m) is nn.Embedding}
    layers = {id(m.weight): m for m in reference.modules() if type(m) is nn.Linear}
    layers = {key: layer for key, layer in layers.items() if key not in tables}  # but tied heads
    assert plain.quantized == sum(m.weight.numel() for m in layers.values())
    assert plain.parameters == sum(p.numel() for p in reference.parameters())
    assert plain.share < whole.share
    tables = {part.why for part in plain.left if part.kind == "Embedding"}
    assert tables == {"tied", "embedding"}
    assert 0.9 < whole.share < 1
    assert {part.why for part in whole.left} <= {"vector", "shape", "convolution"}


def test_tables_that_are_one_with_no_output_layer_are_no_tied_ends():
    reference = skeleton("t5-tiny")
    reference.lm_head.weight = nn.Parameter(reference.lm_head.weight.detach().clone())
    assert why("int8", "Embedding", reference) == ["embedding"]


def test_layers_that_got_another_format_are_named():
    model = nn.Sequential(nn.Linear(256, 4), nn.Linear(64, 4), nn.Linear(32, 2))
    found = covered("q4_k", model)
    assert found.instead == (Instead("q4_k", "q5_0", 2, "1"),)
    assert [module.scheme for module in Variant.parse("q4_k").build(model)][1:] == [
        Scheme.parse("q5_0")
    ] * 2
    assert covered("q4_0", model).instead == covered("int8", model).instead == ()
