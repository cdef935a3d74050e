import math
from fractions import Fraction

import ml_dtypes
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qdemo import cast_tensor, from_pattern
from qdemo.lab.bitstrip import FLOATS as FORMATS
from qdemo.lab.bitstrip import SHOWN, WORDS, flip, rows

FLOATS = st.floats(width=32) | st.sampled_from(
    [-0.0, 2**-149, -(2**-133), 3 * 2.0**126, 2**-27, 6e4, 65520.0]
)
SIGNED = {8: torch.uint8, 16: torch.int16, 32: torch.int32, 64: torch.int64}


def row(text, name, scale=""):
    return next(row for row in rows(text, scale) if row.format == name)


def same(shown, wanted):
    value = float(shown)
    if math.isnan(wanted):
        return math.isnan(value)
    return value == wanted and math.copysign(1, value) == math.copysign(1, wanted)


def bits_of(tensor):
    return tensor.view(SIGNED[8 * tensor.itemsize]).item() & (2 ** (8 * tensor.itemsize) - 1)


@given(FLOATS)
def test_every_row_stores_what_torch_s_cast_stores(x):
    for found in rows(repr(x)):
        if found.format == "e2m1":
            continue  # which torch has not
        low = cast_tensor(torch.tensor([x], dtype=torch.float32), found.format)
        assert same(found.stored, low.double().item())
        if not math.isnan(x):
            assert int(found.pattern, 16) == bits_of(low)


@given(st.floats(-6, 6, width=32))
def test_e2m1_stores_what_ml_dtypes_stores(x):
    assert same(row(repr(x), "e2m1").stored, float(ml_dtypes.float4_e2m1fn(x)))


def test_what_e2m1_has_no_room_for_is_said():
    most, nan = row("-7", "e2m1"), row("NaN", "e2m1")
    assert (most.stored, most.words) == ("-6.0", "too large for this format: stays at 6")
    assert (nan.stored, nan.words) == ("none", "e2m1 has no NaN: nothing is stored")


@pytest.mark.parametrize(
    ("text", "alarms"),
    [
        ("1/3", {}),
        ("inf", {"fp8_e4m3": "clipped", "e2m1": "clipped"}),
        ("70000", {"fp16": "overflow", "fp8_e4m3": "clipped", "e2m1": "clipped",
                   "fp8_e5m2": "overflow"}),
        ("1e-9", {"fp16": "underflow", "fp8_e4m3": "underflow", "e2m1": "underflow",
                  "fp8_e5m2": "underflow"}),
        ("NaN", {"e2m1": "overflow"}),
    ],
)  # fmt: skip
def test_what_must_not_be_missed_has_an_alarm(text, alarms):
    assert {found.format: found.alarm for found in rows(text) if found.alarm} == alarms


@given(FLOATS.filter(lambda x: not math.isnan(x)))
def test_the_parts_are_the_pattern_cut_into_its_fields(x):
    for found in rows(repr(x)):
        format = FORMATS[found.format]
        lengths = [len(text) for _, text in found.parts]
        assert [name for name, _ in found.parts] == ["sign", "exponent", "fraction"]
        assert lengths == [1, format.exponent_bits, format.fraction_bits]
        assert int("".join(text for _, text in found.parts), 2) == int(found.pattern, 16)


@given(st.fractions(min_value=-400, max_value=400))
def test_the_error_is_stored_minus_wanted(x):
    for found in rows(str(x)):
        error = Fraction(float(found.stored)) - x
        if error == 0:
            assert found.error == "exact"
        else:
            number, share = float(error), float(abs(error / x))
            told = f"{number:+,.0f}" if 1e3 <= abs(number) < 1e7 else f"{number:+.3g}"
            part = f"{share:.2%}" if share >= 1e-4 else f"{share:.1e} of it"
            assert found.error == f"{told} ({part})"


@given(st.floats(allow_nan=False, width=32))
def test_the_neighbours_are_the_next_numbers_torch_knows(x):
    for name in ("fp32", "fp64"):
        found, dtype = row(repr(x), name), FORMATS[name].dtype
        stored = torch.tensor(float(found.stored), dtype=dtype)
        for shown, end in ((found.below, -math.inf), (found.above, math.inf)):
            if stored == end:
                assert shown == "none"
            else:
                assert float(shown) == torch.nextafter(stored, torch.tensor(end, dtype=dtype))


@given(st.fractions(min_value=-400, max_value=400))
def test_the_neighbours_bracket_what_is_stored_and_what_was_wanted(x):
    for found in rows(str(x)):
        if found.above == "none" or found.below == "none":
            assert found.format == "e2m1"
            assert abs(x) >= 5  # above is nothing, and 5 is as near to 4
            continue
        below, above = (Fraction(float(text)) for text in (found.below, found.above))
        assert below < Fraction(float(found.stored)) < above
        assert below < x < above


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("65520", "fp16", "too large for this format: overflows to infinity"),
        ("65519", "fp16", "normal"),
        ("-1e5000", "fp64", "too large for this format: overflows to infinity"),
        ("1e-8", "fp16", "too small for this format: underflows to zero"),
        ("1e-5000", "fp64", "too small for this format: underflows to zero"),
        ("smallest subnormal", "fp16", "subnormal: 1 of 11 binary digits are left"),
        ("6e-5", "fp16", "subnormal: 10 of 11 binary digits are left"),
        ("-465", "fp8_e4m3", "too large for this format: stays at 448"),
        ("464", "fp8_e4m3", "normal"),
        ("0", "bf16", "zero"),
        ("-0.0", "bf16", "zero"),
        ("inf", "fp32", "infinity"),
        ("NaN", "fp8_e4m3", "NaN"),
    ],
)
def test_the_words_say_what_happened(text, name, words):
    assert row(text, name).words == words


def test_infinity_too_stays_at_448_where_there_is_none():
    found = row("inf", "fp8_e4m3")
    assert found.stored == "448.0"
    assert found.words == "too large for this format: stays at 448"


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("nan", "NaN is stored as NaN"),
        ("1e39", "infinite"),
        ("inf", "exact"),
        ("0.5", "exact"),
    ],
)
def test_the_words_for_an_error_that_is_no_number(text, error):
    assert row(text, "fp32").error == error


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("name", SHOWN)
def test_each_word_is_the_format_s_own_number(word, name):
    format, found = FORMATS[name], row(f" {word.upper()} ", name)
    key = word.replace(" ", "_")
    if hasattr(format, key):
        assert (float(found.stored), found.error) == (getattr(format, key), "exact")
    elif name != "e2m1":  # which torch has not
        number = {"pi": math.pi, "e": math.e}.get(word, float(word) if word in "NaN inf" else 0)
        low = cast_tensor(torch.tensor(number, dtype=torch.float64), name)
        assert same(found.stored, low.double().item())


@pytest.mark.parametrize(
    ("digits", "name", "stored"),
    [
        ("0x3FF0000000000000", "fp64", "1.0"),
        ("0x3f800000", "fp32", "1.0"),
        ("0x3C00", "fp16", "1.0"),
        ("0x38", "fp8_e4m3", "1.0"),
        ("bf16:0x3F80", "bf16", "1.0"),
        ("FP8_E5M2:0x3c", "fp8_e5m2", "1.0"),
        ("fp16:0b11110000000000", "fp16", "1.0"),
        ("0x8000", "fp16", "-0.0"),
    ],
)
def test_patterns_are_read_by_their_digits_or_by_name(digits, name, stored):
    assert (row(digits, name).stored, row(digits, name).error) == (stored, "exact")


@given(st.sampled_from(SHOWN), st.data())
def test_a_pattern_is_shown_as_it_was_typed(name, data):
    format = FORMATS[name]
    text = f"{name}:{data.draw(st.integers(0, 2**format.bits - 1)):#0{2 + format.bits // 4}x}"
    if from_pattern(text.partition(":")[2], format).kind != "NaN":
        assert int(row(text, name).pattern, 16) == int(text.partition(":")[2], 16)


@given(st.sampled_from(SHOWN), st.data())
def test_flipping_a_bit_twice_gives_the_same_bits_back(name, data):
    format = FORMATS[name]
    text = f"{name}:{data.draw(st.integers(0, 2**format.bits - 1)):#x}"
    bit = data.draw(st.integers(0, format.bits - 1))
    once = flip(text, name, bit)
    if {row(text, name).words, row(once, name).words}.isdisjoint({"NaN"}):
        assert int(row(once, name).pattern, 16) == int(row(text, name).pattern, 16) ^ 1 << bit
        assert row(flip(once, name, bit), name).pattern == row(text, name).pattern


@pytest.mark.parametrize("bit", range(10))
def test_flipping_a_bit_of_infinity_twice_gives_infinity_back(bit):
    once = flip("inf", "fp16", bit)
    assert int(row(once, "fp16").pattern, 16) == 0x7C00 ^ 1 << bit
    assert row(flip(once, "fp16", bit), "fp16").pattern == "0x7C00"


def test_a_negative_nan_keeps_its_sign():
    assert row("fp16:0xFE00", "fp16").pattern == "0xFE00"
