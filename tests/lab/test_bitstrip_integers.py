"""The row of int8, and what can't be read."""

from contextlib import suppress
from fractions import Fraction

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from qdemo.lab.bitstrip import SHOWN, flip, rows


def int8(text, scale):
    return rows(text, scale)[-1]


@given(st.integers(-3000, 3000), st.sampled_from([0.125, 0.25, 0.5, 1.0, 4.0]))
def test_q_is_torch_s_round_half_to_even_and_clamp(eighths, scale):
    x = eighths / 8
    q = int(torch.tensor(x / scale).round().clamp(-127, 127))
    found = int8(repr(x), repr(scale))
    assert found.words.startswith(f"q = {q}; ")
    assert float(found.stored) == float(found.digits) == q * scale
    assert found.parts == (("integer", f"{q & 0xFF:08b}"),)
    assert found.pattern == f"0x{q & 0xFF:02X}"
    assert ("clipped" in found.words) == (abs(x / scale) > 127.5)


def test_the_ends_of_the_range_have_one_neighbour():
    low, high = int8("-500", "1"), int8("500", "1")
    assert (low.stored, low.below, low.above) == ("-127.0", "none", "-126.0")
    assert (high.stored, high.below, high.above) == ("127.0", "126.0", "none")
    assert low.error == "+373 (74.60%)"


def test_no_scale_no_row_of_integers():
    assert [row.format for row in rows("1")] == list(SHOWN)
    assert [row.format for row in rows("1", "  ")] == list(SHOWN)
    assert [row.format for row in rows("1", "1/3")] == [*SHOWN, "int8"]


@given(st.integers(-127, 127), st.integers(0, 7), st.sampled_from(["1/100", "1/3", "7", "1/8"]))
def test_flipping_a_bit_of_int8_twice_gives_the_same_bits_back(q, bit, scale):
    assume(q & 0xFF ^ 1 << bit != 0x80)  # −128 is not in the range
    text = str(q * Fraction(scale))
    once = flip(text, "int8", bit, scale)
    assert int(int8(text, scale).pattern, 16) == q & 0xFF
    assert int(int8(once, scale).pattern, 16) == q & 0xFF ^ 1 << bit
    assert int8(flip(once, "int8", bit, scale), scale).pattern == int8(text, scale).pattern


@pytest.mark.parametrize("scale", ["0", "-1", "nan", "inf", "-inf", "abc", "1/0", "sNaN", "0x3C00"])
def test_a_scale_must_be_above_zero(scale):
    with pytest.raises(ValueError, match=r"type a number above 0, such as 0\.01") as error:
        rows("1", scale)
    assert repr(scale) in str(error.value)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "fp16:0x7c00"])
def test_int8_has_neither_nan_nor_infinity(text):
    with pytest.raises(ValueError, match="int8 has no NaN and no infinity"):
        rows(text, "1")
    assert len(rows(text)) == len(SHOWN)


@pytest.mark.parametrize("text", ["", "abc", "1/0", "--1", "1e999999", "9" * 300, "0xzz", "sNaN"])
def test_what_is_no_number_is_named_and_what_is_one_too(text):
    with pytest.raises(ValueError, match="is no number; type a decimal, a fraction") as error:
        rows(text)
    assert repr(text[:40]) in str(error.value)
    assert "smallest subnormal" in str(error.value)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("text", ["0x123", "0b101", "int8:0x12", "fp4:0x1", "0x" + "f" * 500])
def test_a_pattern_of_no_format_is_asked_about(text):
    with pytest.raises(ValueError, match=r"which format is 0[xb][0-9a-f]* a pattern of") as error:
        rows(text)
    assert len(str(error.value)) < 300


@pytest.mark.parametrize("text", ["fp16:0x12345", "fp8_e4m3:0x100"])
def test_a_pattern_must_fit_its_format(text):
    with pytest.raises(ValueError, match="does not fit"):
        rows(text)


def test_the_message_on_a_pattern_that_does_not_fit_is_short():
    with pytest.raises(ValueError, match="does not fit") as error:
        rows("fp16:0x" + "f" * 5000)
    assert len(str(error.value)) < 300


TEXT = st.one_of(
    st.text(),
    st.text("0123456789eE+-./_xXbB: naifNptm", max_size=12),
    st.from_regex(r"(fp16|bf16|int8|e):0x[0-9a-f]{1,5}", fullmatch=True),
    st.from_regex(r"-?[0-9]{1,3}e-?[0-9]{1,4}", fullmatch=True),
)


@given(TEXT)
def test_whatever_is_typed_only_value_errors_come(text):
    with suppress(ValueError):
        assert len(rows(text)) == len(SHOWN)


@given(TEXT, TEXT, st.integers(0, 7))
def test_whatever_is_typed_as_a_scale_only_value_errors_come(text, scale, bit):
    for call in (lambda: rows(text, scale), lambda: flip(text, "int8", bit, scale)):
        with suppress(ValueError):
            assert call()


@pytest.mark.parametrize(
    ("text", "scale"), [("1e308", "1e308"), ("1", "1e400"), ("3e307", "3e307")]
)
def test_a_scale_near_the_end_of_fp64_is_shown_or_refused(text, scale):
    with suppress(ValueError):
        assert int8(text, scale)
