import dataclasses
import math

import pytest
import torch

from qdemo import FORMATS, Format
from qdemo.spec.formats import get_format

FLOATS = [f for f in FORMATS.values() if f.is_float]
INTEGERS = [f for f in FORMATS.values() if not f.is_float]


@pytest.mark.parametrize("format", FLOATS, ids=str)
def test_floats_agree_with_torch(format):
    info = torch.finfo(format.dtype)
    assert (format.bits, format.max, format.min) == (info.bits, info.max, info.min)
    assert (format.eps, format.smallest_normal) == (info.eps, info.tiny)


@pytest.mark.parametrize("format", FLOATS, ids=str)
def test_smallest_subnormal_is_the_pattern_one(format):
    pattern = {8: torch.uint8, 16: torch.int16, 32: torch.int32, 64: torch.int64}[format.bits]
    stored = torch.ones(1, dtype=pattern).view(format.dtype)
    assert stored.double().item() == format.smallest_subnormal


@pytest.mark.parametrize("format", [f for f in INTEGERS if f.bits == 8], ids=str)
def test_bytes_agree_with_torch(format):
    info = torch.iinfo(format.dtype)
    assert (format.bits, format.min, format.max) == (info.bits, info.min, info.max)


@pytest.mark.parametrize("format", INTEGERS, ids=str)
def test_integers_count_every_pattern_once(format):
    assert format.max - format.min + 1 == 2**format.bits
    assert format.min == (-(2 ** (format.bits - 1)) if format.signed else 0)
    assert (format.eps, format.smallest_normal, format.smallest_subnormal) == (1, 1, 1)


@pytest.mark.parametrize("format", [f for f in FLOATS if f.bits < 32], ids=str)
def test_rounds_to_max_is_where_torch_s_overflow_begins(format):
    edge = torch.tensor([format.rounds_to_max]).nextafter(torch.zeros(1))  # fp32, just below
    assert edge.to(format.dtype).double().item() == format.max
    above = torch.tensor([format.rounds_to_max]).nextafter(torch.tensor([math.inf]))
    if not format.finite_only:
        assert above.to(format.dtype).double().item() == math.inf


@pytest.mark.parametrize("format", INTEGERS, ids=str)
def test_the_unsigned_view_has_the_same_bits(format):
    assert not format.unsigned.signed
    assert format.unsigned.bits == format.bits


def test_lookup_by_name_dtype_and_itself():
    assert get_format("bf16") is get_format(torch.bfloat16) is get_format(FORMATS["bf16"])
    assert get_format(torch.int8).name == "int8"


@pytest.mark.parametrize("wrong", ["fp12", "", "INT8", torch.complex64])
def test_an_unknown_format_is_named_and_the_known_are_listed(wrong):
    with pytest.raises(ValueError, match="unknown format") as error:
        get_format(wrong)
    assert str(wrong) in str(error.value)
    assert "bf16" in str(error.value)


def test_floats_have_no_unsigned_view():
    with pytest.raises(ValueError, match="bf16"):
        FORMATS["bf16"].unsigned  # noqa: B018


def test_a_format_is_a_value():
    assert FORMATS["int4"] == Format("int4", "integer", 4)
    with pytest.raises(dataclasses.FrozenInstanceError):
        FORMATS["int4"].bits = 5
