import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qdemo import FORMATS, CastCount, cast_tensor, count_cast, from_value

TARGETS = ("fp32", "fp16", "bf16", "fp8_e4m3", "fp8_e5m2")


@given(st.sampled_from(TARGETS), st.lists(st.floats(width=32), max_size=20))
def test_counts_are_those_of_exact_arithmetic(name, xs):
    format = FORMATS[name]
    count = count_cast(torch.tensor(xs, dtype=torch.float32), name)
    bits = [from_value(x, format) for x in xs]
    finite = [(x, b) for x, b in zip(xs, bits, strict=True) if math.isfinite(x)]
    assert count == CastCount(
        numel=len(xs),
        overflowed=sum(abs(x) > format.rounds_to_max for x, _ in finite),
        zeroed=sum(x != 0 and b.kind == "zero" for x, b in finite),
        subnormal=sum(b.kind == "subnormal" for _, b in finite),
    )


def test_a_cast_is_a_new_tensor():
    x = torch.ones(3)
    assert cast_tensor(x, "fp32").data_ptr() != x.data_ptr()


def test_e4m3_stays_at_its_largest_number():
    x = torch.tensor([448.0, 464.0, 465.0, 1e30, -1e30, math.inf])
    assert cast_tensor(x, "fp8_e4m3").tolist() == [448, 448, 448, 448, -448, 448]
    assert count_cast(x, "fp8_e4m3").overflowed == 3  # 464 still rounds to 448; inf was no number
    assert math.isnan(cast_tensor(torch.tensor([math.nan]), "fp8_e4m3").item())


def test_e5m2_and_fp16_overflow_to_infinity():
    x = torch.tensor([65504.0, 65519.0, 65520.0, 1e9])
    assert cast_tensor(x, "fp16").tolist() == [65504, 65504, math.inf, math.inf]
    assert count_cast(x, "fp16").overflowed == 2
    assert cast_tensor(torch.tensor([61440.0]), "fp8_e5m2").item() == math.inf


def test_counts_add():
    a, b = torch.tensor([1e9, 1e-9]), torch.tensor([1e-6, 1.0])
    both = count_cast(torch.cat([a, b]), "fp16")
    assert count_cast(a, "fp16") + count_cast(b, "fp16") == both == CastCount(4, 1, 1, 1)


@pytest.mark.parametrize("wrong", ["int8", "fp12", torch.uint8])
def test_only_float_formats_are_cast_to(wrong):
    with pytest.raises(ValueError, match="format"):
        cast_tensor(torch.ones(1), wrong)


def test_fp8_is_cast_to_fp8():
    x = torch.tensor([57344.0, 1.0]).to(torch.float8_e5m2)
    assert cast_tensor(x, "fp8_e4m3").float().tolist() == [448, 1]
    assert count_cast(x, "fp8_e4m3").overflowed == 1


def test_a_large_tensor_is_counted_in_pieces():
    x = torch.randn(300_000) * 1e5
    assert count_cast(x, "fp16").overflowed == int((x.abs() >= 65520).sum())
