import pytest
import torch
from torch import nn

from qdemo import Variant, footprint, freeze, quantize
from qdemo.spec.footprint import KINDS, SplitTie
from tests.compress.models import Small

WIDTH, HIDDEN, VOCABULARY = 16, 32, 20
TABLE = VOCABULARY * WIDTH
BODY = 2 * WIDTH * HIDDEN
REST = HIDDEN + WIDTH + 2 * WIDTH  # the two biases and the norm
BUFFERS = 8 * VOCABULARY + 4 * WIDTH


def test_float_bytes_by_hand():
    held = footprint(Small())
    assert held.by_kind == {
        "quantized weights": 0,
        "scales and zero points": 0,
        "float weights": 4 * (TABLE + BODY + REST),  # the tied table once
        "buffers": BUFFERS,
    }
    assert held.total == sum(held.by_kind.values()) == sum(held.by_module.values())
    assert held.by_module["embed"] == 4 * TABLE
    assert "head" not in held.by_module
    assert tuple(held.by_kind) == KINDS


@pytest.mark.parametrize(
    ("text", "integers", "scales", "floats"),
    [
        ("int8~body=int8", BODY, 4 * (HIDDEN + WIDTH), 4 * (TABLE + REST)),
        ("int8", BODY + TABLE, 4 * (HIDDEN + WIDTH + VOCABULARY), 4 * (TABLE + REST)),
        ("int8+emb", BODY + TABLE, 4 * (HIDDEN + WIDTH + VOCABULARY), 4 * REST),
        ("int8-affine", BODY + TABLE, 5 * (HIDDEN + WIDTH + VOCABULARY), 4 * (TABLE + REST)),
        ("int8-tensor", BODY + TABLE, 4 * 3, 4 * (TABLE + REST)),
        ("int4", (BODY + TABLE) // 2, 4 * (HIDDEN + WIDTH + VOCABULARY), 4 * (TABLE + REST)),
        ("int4-g8", (BODY + TABLE) // 2, 4 * (BODY + TABLE) // 8, 4 * (TABLE + REST)),
        ("int3", (BODY + TABLE) * 3 // 8, 4 * (HIDDEN + WIDTH + VOCABULARY), 4 * (TABLE + REST)),
        ("int2", (BODY + TABLE) // 4, 4 * (HIDDEN + WIDTH + VOCABULARY), 4 * (TABLE + REST)),
        ("fp8_e4m3", BODY + TABLE, 4 * (HIDDEN + WIDTH + VOCABULARY), 4 * (TABLE + REST)),
        ("int8@bf16", BODY + TABLE, 4 * (HIDDEN + WIDTH + VOCABULARY), 2 * (TABLE + REST)),
        ("bf16", 0, 0, 2 * (TABLE + REST + BODY)),
    ],
)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_quantized_bytes_by_hand(text, integers, scales, floats, device):
    with torch.device(device):
        reference = Small()
    is_whole = text == "bf16" or "+" in text or "~" in text
    own = text if is_whole else f"{text}~head={text.removesuffix('@bf16')}"
    held = footprint(Variant.parse(own).build(reference))
    buffers = BUFFERS if "16" not in text else 8 * VOCABULARY + 2 * WIDTH
    assert list(held.by_kind.values()) == [integers, scales, floats, buffers]


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_half_a_tie_is_told(device):
    with torch.device(device):
        reference = Small()
    assert footprint(Variant.parse("int8~head=int8").build(reference)).split_ties == (
        SplitTie("head", "embed.weight", 4 * TABLE),
    )
    assert footprint(Variant.parse("int8").build(reference)).split_ties == ()
    assert footprint(Variant.parse("int8+emb").build(reference)).split_ties == ()
    assert footprint(Variant.parse("bf16").build(reference)).split_ties == ()


def test_a_tie_is_not_split_before_freezing():
    model = Small()
    before = footprint(model).total
    quantize(model, include=["body.*", "head"])
    assert footprint(model).total == before
    assert footprint(model).split_ties == ()
    freeze(model)
    assert footprint(model).total < before


def test_a_view_counts_the_storage_that_it_keeps():
    model = nn.Linear(2, 2, bias=False)
    model.weight = nn.Parameter(torch.zeros(1000)[:4].reshape(2, 2))
    assert footprint(model).total == 4000


def test_a_tie_that_is_quantized_later_is_split_no_more():
    model = Small()
    quantize(model, "int8", include="head")
    freeze(model)
    assert len(footprint(model).split_ties) == 1
    quantize(model, "int4", include="embed", embeddings=True)
    freeze(model)
    assert footprint(model).split_ties == ()


def test_parts_of_a_variant_are_measured_too():
    model = nn.ModuleDict({"inner": Small()})
    quantize(model)
    freeze(model)
    assert footprint(model["inner"]).total == footprint(model).total
