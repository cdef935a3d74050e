"""Whatever text, value or file comes from outside is read, or refused in a sentence."""

import io
from urllib.parse import parse_qs

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from qdemo import Variant, from_pattern, from_value
from qdemo.lab import bitstrip, matrices
from qdemo.spec.formats import FORMATS
from qdemo.request import FIELDS, MAX_CHARACTERS, InputError, Request, _is_unseen, from_query
from qdemo.models.pictures import gallery, read_picture
from tests.test_request import GOOD, LOOKS, anything
from tests.test_request import formats as lists_of_formats
from tests.test_request import tokens as numbers_of_tokens

PIECES = (
    *FORMATS, "int9", "-", "+", "@", "g", "axis", "tensor", "affine", "emb", "64", "0", " ", ",",
    "\n", "1e", "/", "x", "٣", "\0", "\u202e", "\u0301" * 300,
)  # fmt: skip
texts = st.text(max_size=40) | st.lists(st.sampled_from(PIECES), max_size=9).map("".join)
variants = st.tuples(
    st.sampled_from(["fp32", "bf16", "int8", "int4", "int2", "fp8_e5m2", " int3"]),
    st.sampled_from(["", "-g64", "-g007", "-tensor", "-axis1", "-affine", "-g32-affine", "-g0"]),
    st.sampled_from(["", "+emb", "+EMB"]),
    st.sampled_from(["", "@bf16", "@fp32", "@int8"]),
).map("".join)
numbers = st.one_of(
    st.text("0123456789+-_.eE/ xXabfNnIi:٣", max_size=30),
    st.lists(
        st.sampled_from([*bitstrip.WORDS, *FORMATS, "0x", "/", ":", "9" * 60]), max_size=4
    ).map("".join),
    st.builds("{}e{}".format, st.integers(), st.integers()),
    st.builds("{}/{}".format, st.integers(), st.integers()),
    st.builds("{}:{:#x}".format, st.sampled_from(list(FORMATS)), st.integers(0, 2**66)),
    st.floats().map(str),
)
values = anything | texts | numbers | st.lists(texts | variants, max_size=9)


def refusal(read, *given, **named):
    """What is said of it, in one line, or None where it is taken."""
    error = None
    try:
        read(*given, **named)
    except ValueError as raised:
        error = raised
    assert error is None or (str(error).isprintable() and len(str(error)) < 400)
    return error


@given(variants | texts.map(lambda text: text[:60]))
def test_a_variant_is_written_as_it_is_read_or_refused(text):
    if refusal(Variant.parse, text) is None:
        variant = Variant.parse(text)
        assert Variant.parse(str(variant)) == variant
        assert str(Variant.parse(str(variant))) == str(variant)


@given(st.sampled_from(FIELDS), values, st.sampled_from([GOOD, LOOKS]))
def test_any_value_is_taken_or_refused_at_its_own_field(field, value, asked):
    error = refusal(Request.parse, **{"prompt": "x", "picture": "scene:1"} | asked | {field: value})
    assert error is None or (isinstance(error, InputError) and error.field == field)


@given(values, values, values, values, values)
def test_any_values_together_are_taken_or_refused(model, texts, prompt, picture, max_tokens):
    error = refusal(Request.parse, model, texts, prompt, picture, max_tokens)
    assert error is None or error.field in FIELDS


@given(st.text(st.characters(codec="utf-8"), max_size=300), lists_of_formats, numbers_of_tokens)
@example("a&b=c;d#e?f+g%20h\r\n\t\0\x7f ", ["int8+emb"], 3)
@example("\u202e\u200b\u0301\ufeff\U0010ffff" * 700, ["fp16"], 3)
def test_a_link_asks_for_the_same_prompt_again(prompt, texts, max_tokens):
    asked = {"model": "t5-tiny", "formats": texts, "prompt": prompt, "max_tokens": max_tokens}
    if refusal(Request.parse, **asked) is None:
        request = Request.parse(**asked)
        query = {name: found for name, (found,) in parse_qs(request.query()).items()}
        assert Request.parse(**from_query(query)) == request
    else:
        assert all(map(_is_unseen, prompt)) or len(prompt) > MAX_CHARACTERS


@given(numbers | texts, numbers | texts)
@example("0e999999999", "1e-5000")
@example("1e5000", "1e-5000")
@example("1/" + "9" * 190, "9" * 190 + "/1")
def test_a_number_is_shown_or_refused(text, scale):
    refusal(bitstrip.rows, text, scale)


@given(numbers | texts, st.sampled_from([*bitstrip.SHOWN, "int8"]), st.integers(-9, 99), numbers)
def test_a_bit_is_flipped_or_refused(text, format, bit, scale):
    if refusal(bitstrip.flip, text, format, bit, scale) is None:
        flipped = bitstrip.flip(text, format, bit, scale)
        assert flipped == "beyond 1.8e308" or refusal(bitstrip.rows, flipped, "") is None


@given((numbers | texts).map(lambda text: text[:30]), st.sampled_from(list(FORMATS)))
def test_a_value_and_a_pattern_are_read_or_refused(text, format):
    refusal(from_value, text, format)
    refusal(from_pattern, text, format)


words = numbers | texts | st.sampled_from("; \n\t,")
decimals = st.sampled_from(";\n") | st.floats().map(str)


@given((st.lists(words, max_size=9) | st.lists(decimals, max_size=9)).map(" ".join))
def test_a_matrix_is_read_or_refused(text):
    if refusal(matrices.read, text) is None:
        matrix = matrices.read(text)
        assert matrix.abs().max() < 1e30
        assert matrices.read(matrices.write(matrix)).shape == matrix.shape


def pictures(size):
    with Image.open(gallery()["gallery:a-panda-in-the-mountains"]) as panda:
        small = panda.convert("RGB").resize(size)
    for kind in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000", "PPM"):
        file = io.BytesIO()
        small.save(file, kind)
        yield kind, file.getvalue()


PICTURES = dict(pictures((20, 20)))


def is_refused_well(content):
    error = refusal(read_picture, io.BytesIO(content), "mine")
    return error is None or str(error).startswith("mine ")


@given(st.sampled_from([b"", *(whole[:16] for whole in PICTURES.values())]), st.binary(max_size=99))
def test_any_bytes_are_a_picture_or_refused(start, rest):
    assert is_refused_well(start + rest)


@settings(max_examples=150)
@pytest.mark.parametrize("kind", list(PICTURES))
@given(st.data())
def test_a_damaged_picture_is_read_or_refused(kind, data):
    damaged = bytearray(PICTURES[kind])
    places = st.integers(0, min(len(damaged) - 1, data.draw(st.sampled_from([60, 9999]))))
    for place in data.draw(st.lists(places, min_size=1, max_size=6)):
        damaged[place] = data.draw(st.sampled_from([0, 1, 127, 128, 255]) | st.integers(0, 255))
    cut = data.draw(st.sampled_from([len(damaged), len(damaged) - 1, len(damaged) // 2]))
    assert is_refused_well(bytes(damaged[:cut]))
