import math
from decimal import Decimal
from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qdemo import FORMATS, Bits, cast_tensor, from_pattern, from_value
from qdemo.numerics.exact import to_decimal, to_exact
from qdemo.spec.formats import GRIDS

E2M1 = GRIDS["e2m1"]
FLOATS = [f for f in FORMATS.values() if f.is_float]
VIEWS = {8: torch.uint8, 16: torch.int16, 32: torch.int32, 64: torch.int64}


def stored(format, pattern):
    """What torch holds under that pattern."""
    signed = pattern - 2**format.bits if format.bits > 8 and pattern >> format.bits - 1 else pattern
    return torch.tensor([signed], dtype=VIEWS[format.bits]).view(format.dtype).double().item()


def same(a, b):
    return (math.isnan(a) and math.isnan(b)) or (
        a == b and math.copysign(1, float(a)) == math.copysign(1, float(b))
    )


@pytest.mark.parametrize("name", ["fp8_e4m3", "fp8_e5m2"])
def test_all_256_patterns_of_fp8_are_what_torch_says(name):
    format = FORMATS[name]
    assert all(same(Bits(format, p).value, stored(format, p)) for p in range(256))


def test_e4m3_has_no_infinity_and_one_nan_a_sign():
    kinds = [Bits(FORMATS["fp8_e4m3"], p).kind for p in range(256)]
    assert (kinds.count("NaN"), kinds.count("infinity")) == (2, 0)
    kinds = [Bits(FORMATS["fp8_e5m2"], p).kind for p in range(256)]
    assert (kinds.count("NaN"), kinds.count("infinity")) == (6, 2)


@pytest.mark.parametrize("name", ["fp16", "bf16"])
def test_all_65536_patterns_of_the_halves_are_what_torch_says(name):
    format = FORMATS[name]
    patterns = torch.arange(65536, dtype=torch.int32).to(torch.int16)
    wanted = patterns.view(format.dtype).double().tolist()
    assert all(same(Bits(format, p).value, wanted[p]) for p in range(65536))


@given(st.sampled_from(FLOATS), st.data())
def test_patterns_of_every_format_are_what_torch_says(format, data):
    pattern = data.draw(st.integers(0, 2**format.bits - 1))
    assert same(Bits(format, pattern).value, stored(format, pattern))


@given(st.sampled_from(FLOATS), st.floats(width=32))
def test_rounding_agrees_with_torch_s_casts(format, x):
    theirs = cast_tensor(torch.tensor([x], dtype=torch.float32), format)
    ours = from_value(x, format)
    assert same(ours.value, theirs.double().item())


@given(st.sampled_from(FLOATS), st.data())
def test_a_value_rounds_to_its_own_pattern(format, data):
    bits = Bits(format, data.draw(st.integers(0, 2**format.bits - 1)))
    if bits.kind not in ("NaN",):
        assert from_value(bits.value, format) == bits


@given(st.sampled_from(FLOATS), st.fractions())
def test_no_neighbour_is_nearer(format, x):
    bits = from_value(x, format)
    if bits.kind == "infinity":
        return
    error = abs(bits.error(x))
    for other in (bits.below, bits.above):
        if other is not None and other.kind != "infinity":
            assert abs(other.error(x)) >= error


@given(st.sampled_from(FLOATS), st.data())
def test_neighbours_are_neighbours(format, data):
    bits = Bits(format, data.draw(st.integers(0, 2**format.bits - 1)))
    if bits.above is not None:
        assert bits.above.value > bits.value
        assert bits.above.below.value == bits.value
        middle = (
            None
            if bits.above.kind == "infinity" or bits.kind == "infinity"
            else (Fraction(bits.value) + Fraction(bits.above.value)) / 2
        )
        if middle is not None:  # nothing lies between them
            assert from_value(middle, format).value in (bits.value, bits.above.value)


def test_e2m1_has_neither_infinity_nor_nan():
    kinds = [Bits(E2M1, p).kind for p in range(16)]
    assert {kind: kinds.count(kind) for kind in kinds} == {"zero": 2, "subnormal": 2, "normal": 12}
    assert [float(Bits(E2M1, p).value) for p in range(8)] == [0, 0.5, 1, 1.5, 2, 3, 4, 6]
    assert [from_value(x, E2M1).value for x in (5, 7, 1e9, math.inf, -math.inf)] == [4, 6, 6, 6, -6]
    assert from_value(6, E2M1).above is None
    with pytest.raises(ValueError, match="e2m1 has no NaN; expected a finite number"):
        from_value(math.nan, E2M1)


def test_the_line_has_two_ends():
    assert from_value(65504, "fp16").above.kind == "infinity"
    assert from_value(math.inf, "fp16").above is None
    assert from_value(448, "fp8_e4m3").above is None
    assert from_value(-448, "fp8_e4m3").below is None
    assert from_value(math.nan, "fp16").above is None
    assert from_value(0, "fp16").below.value == -(Fraction(2) ** -24)
    assert from_value(-0.0, "fp16").above.value == Fraction(2) ** -24


def test_parts_of_a_known_value():
    bits = from_value("-6.5", "fp16")  # −1.625 · 2^2
    assert (bits.sign, bits.exponent, bits.fraction) == (1, 2 + 15, 0b1010000000)
    assert (bits.kind, hex(bits.pattern)) == ("normal", "0xc680")
    assert from_value(2**-24, "fp16").kind == "subnormal"


@given(st.sampled_from(FLOATS), st.data())
def test_flipping_a_bit_twice_changes_nothing(format, data):
    bits = Bits(format, data.draw(st.integers(0, 2**format.bits - 1)))
    bit = data.draw(st.integers(0, format.bits - 1))
    assert bits.flip(bit) != bits
    assert bits.flip(bit).flip(bit) == bits


@given(st.decimals(allow_nan=False, allow_infinity=False, places=8), st.integers(0, 30))
def test_decimals_are_those_of_python(x, digits):
    assert Decimal(to_decimal(to_exact(x), digits)) == round(Fraction(x) * 10**digits) / (
        Decimal(10) ** digits
    )


def test_decimals_of_the_odd_ones():
    assert [to_decimal(x, 2) for x in (math.inf, -math.inf, -0.0, Fraction(-1, 8))] == [
        "inf",
        "-inf",
        "-0.00",
        "-0.12",
    ]
    assert math.isnan(float(to_decimal(math.nan, 2)))
    assert to_decimal(Fraction(5, 2), 0) == "2"
    with pytest.raises(ValueError, match="-1"):
        to_decimal(Fraction(1), -1)


def test_errors_are_exact():
    assert from_value("0.1", "fp32").error(Fraction(1, 10)) == Fraction(1, 671088640)
    assert from_value("1e39", "fp32").error(math.inf) == 0
    assert math.isnan(from_value("1e39", "fp32").error(Fraction(10**39)))


@pytest.mark.parametrize("text", ["1/3", " 2.5e-3 ", "-7", "inf", "-Infinity", "nan", "1_000"])
def test_numbers_as_people_write_them(text):
    assert isinstance(to_exact(text), Fraction | float)


@pytest.mark.parametrize("text", ["", "abc", "1/0", "1//2", "0x3c", "--1", "1e999999999"])
def test_what_is_no_number_is_named(text):
    with pytest.raises(ValueError, match=r"number|power") as error:
        to_exact(text)
    assert repr(text) in str(error.value)


def test_a_number_of_a_million_digits_is_refused_at_once():
    with pytest.raises(ValueError, match="1000000"):
        to_exact("1" * 1_000_000)
    with pytest.raises(ValueError, match="5000"):
        to_exact("1e-400000000")


@pytest.mark.parametrize(("pattern", "format"), [(-1, "fp16"), (65536, "fp16"), (256, "fp8_e4m3")])
def test_a_pattern_must_fit(pattern, format):
    with pytest.raises(ValueError, match=format):
        from_pattern(pattern, format)


def test_patterns_are_read_as_text_too():
    assert (
        from_pattern("0x3C00", "fp16").value == from_pattern("0b11110000000000", "fp16").value == 1
    )
    with pytest.raises(ValueError, match="'3C00' is no pattern; expected one such as 0x3C00"):
        from_pattern("3C00", "fp16")


def test_only_floats_have_such_bits():
    with pytest.raises(ValueError, match="int8"):
        from_pattern(1, "int8")
    with pytest.raises(ValueError, match="bit 16"):
        from_value(1, "fp16").flip(16)
