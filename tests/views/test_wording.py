import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdemo import Variant
from qdemo.spec.figure import Figure
from qdemo.spec.formats import STORED_FORMATS
from qdemo.views.wording import (
    NONE,
    describe,
    differing_words,
    joined,
    megabytes,
    percent,
    significant,
    times,
    written,
)

finite = st.floats(-1e300, 1e300)
texts = st.text(alphabet="ab \n<", max_size=30)


def number(text):
    return float(text.replace(",", ""))


@given(finite, st.integers(2, 6))
def test_significant_digits_are_as_many_as_they_say(value, digits):
    shown = number(significant(value, digits))
    assert abs(shown - value) <= 0.5000001 * 10.0 ** (1 - digits) * abs(value)


@given(st.floats(1e-4, 999_999))
def test_what_is_neither_tiny_nor_huge_has_no_power_of_ten(value):
    assert "e" not in significant(value)


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_a_dash(value):
    assert significant(value) == NONE


def test_negative_numbers_and_zeros():
    shown = [significant(x) for x in (-0.0169, -2541.2, -0.0, 999.6, 5e-324)]
    assert shown == ["-0.0169", "-2,541", "0", "1,000", "4.94e-324"]


UNITS = {"byte": 1, "bytes": 1, "kB": 1e3, "MB": 1e6}


@given(st.integers(0, 10**12))
def test_megabytes_are_within_half_of_their_last_digit(size):
    text, unit = megabytes(size).split()
    last = len(text.partition(".")[2])
    assert size == 0 or number(text) > 0
    assert abs(number(text) - size / UNITS[unit]) <= 0.5000001 * 10.0**-last


def test_megabytes_have_as_many_digits_as_one_can_read():
    sizes = (307_844_608, 99_994_999, 5_867_584, 100_000, 99_999, 1_234, 104, 1, 0)
    assert [megabytes(size) for size in sizes] == [
        "307.8 MB", "99.99 MB", "5.87 MB", "0.10 MB", "0.100 MB", "1.23 kB",
        "104 bytes", "1 byte", "0 bytes",
    ]  # fmt: skip


def test_larger_models_are_not_shown_as_smaller():
    sizes = [
        1,
        999,
        1_001,
        9_999,
        10_001,
        99_999,
        100_001,
        999_999,
        99_994_000,
        99_996_000,
        100_000_000,
        10**10,
    ]
    told = (megabytes(size).split() for size in sizes)
    shown = [number(text) * UNITS[unit] for text, unit in told]
    assert shown == sorted(shown)


@given(st.floats(0, 1))
def test_per_cents_are_within_a_twentieth(share):
    assert abs(float(percent(share).removesuffix("%")) - 100 * share) <= 0.0500001


@given(st.floats(1e-3, 1e3))
def test_times_is_a_factor_with_two_digits(ratio):
    assert abs(number(times(ratio).removesuffix("×")) - ratio) <= 0.00500001


def test_none_is_a_dash_everywhere():
    assert {show(None) for show in (significant, megabytes, percent, times)} == {NONE}


def test_joined_lists():
    assert joined(["int8"]) == "int8"
    assert joined(["int8", "int3"]) == "int8 and int3"
    assert joined(["a", "b", "c", "d"]) == "a, b, c and d"


@pytest.mark.parametrize("text", ["fp32", "fp16", "bf16"])
def test_a_cast_is_described_by_its_bits(text):
    assert any(word in describe(text) for word in ("32 bits", "10 fraction", "7 fraction"))
    assert ";" not in describe(text)


@given(
    st.sampled_from(STORED_FORMATS),
    st.sampled_from(["", "-g32", "-tensor", "-axis1"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["", "@fp16", "@bf16"]),
)
def test_a_variant_is_described_as_what_it_is(stored, scales, affine, embeddings, compute):
    is_float = stored.startswith("fp8")
    affine = affine and not is_float
    text = f"{stored}{scales}{'-affine' * affine}{'+emb' * embeddings}{compute}"
    said = describe(str(Variant.parse(text)))
    assert ("8-bit floats" if is_float else f"{stored[3:]}-bit integers") in said
    assert ("zero point" in said) == affine
    assert ("embeddings too" in said) == embeddings
    assert said.endswith(f"computes in {compute[1:] or 'fp32'}")
    where = {"": "a row", "-g32": "a group of 32", "-tensor": "a tensor", "-axis1": "a column"}
    assert [w for w in where.values() if w in said] == [where[scales]]


@given(texts, texts)
def test_the_runs_are_the_text(reference, other):
    assert "".join(run for run, _ in differing_words(reference, other)) == other


@given(texts)
def test_the_same_text_differs_nowhere(text):
    assert not any(differs for _, differs in differing_words(text, text))


@pytest.mark.parametrize(
    ("reference", "other", "marked"),
    [
        ("a dog on the beach", "a cat on the beach", ["cat "]),
        ("one two", "one  two", []),  # blanks are not words
        ("", "all of it", ["all of it"]),
        ("twelve", "", []),
        ("the cat sat", "the cat", []),
        ("<b>", "<i>", ["<i>"]),
    ],
)
def test_marked_words(reference, other, marked):
    assert [run for run, differs in differing_words(reference, other) if differs] == marked


@pytest.mark.parametrize(
    ("form", "values", "shown"),
    [
        ("number", {"x": 1234.5}, "1,234"),
        ("number", {"x": 0.0169}, "0.0169"),
        ("count", {"x": 12345}, "12,345"),
        ("position", {"x": 3}, "3"),
        ("bytes", {"x": 5_867_584}, "5.87 MB"),
        ("times", {"x": 2.849}, "2.85×"),
        ("share", {"x": 0.8, "low": 0.376, "high": 0.964}, "80% (37 to 97%)"),
        ("share", {"x": 0.8}, "80%"),
        ("number", {"x": None}, "–"),
        ("number", {}, "–"),
        ("count", {"x": None, "zero": 0}, "exact"),
        ("count", {"x": None, "zero": 1}, "–"),
    ],
)
def test_a_figure_is_written_by_its_form(form, values, shown):
    figure = Figure("x", "X", "", form=form, low="low", high="high", zero="zero")
    assert written(figure, values) == shown


def test_a_figure_that_is_none_says_so_in_its_own_word():
    assert written(Figure("x", "X", ""), {}, none="never") == "never"
