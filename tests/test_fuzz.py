"""Whatever text, value or file comes from outside is read, or refused in a sentence."""

import io
import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from qdemo import Variant, from_pattern, from_value
from qdemo.engine.asking import ask
from qdemo.lab import bitstrip, matrices
from qdemo.models.pictures import gallery, read_picture
from qdemo.spec import document
from qdemo.spec.decoding import Decoding
from qdemo.spec.formats import FORMATS, GRIDS
from qdemo.spec.request import DEFAULT_TOKENS, MAX_CHARACTERS, InputError, _is_unseen
from qdemo.spec.scheme import NAMED
from qdemo.ui import held, link
from tests.engine.test_asking import anything
from tests.engine.test_asking import formats as lists_of_formats
from tests.engine.test_asking import tokens as numbers_of_tokens

FIELDS = ("model", "formats", "prompt", "picture", "max_tokens", *vars(Decoding()))
ASKED = {"formats": ["int8"], "prompt": "x", "picture": "scene:1"}
PIECES = (
    *FORMATS, *GRIDS, *NAMED, "int9", "-", "+", "@", "g", "axis", "tensor", "affine", "emb", "64",
    "0", " ", ",", "\n", "1e", "/", "x", "٣", "\0", "\u202e", "\u0301" * 300, "~", "=", "lm_head",
    "mse", "gptq", "hqq", "awq", "sq0.5", "rot", "dq", "a8", "llm.int8", "kv8", ".",
)  # fmt: skip
texts = st.text(max_size=40) | st.lists(st.sampled_from(PIECES), max_size=9).map("".join)
variants = st.tuples(
    st.sampled_from(["fp32", "bf16", "int8", "int4", "int2", "fp8_e5m2", " int3", *GRIDS, *NAMED]),
    st.sampled_from(["", "-g64", "-g007", "-tensor", "-axis1", "-affine", "-g32-affine", "-g0"]),
    st.sampled_from(["", "-mse", "-gptq", "-hqq", "-dq", "-sq0.5-gptq", "-mse-hqq"]),
    st.sampled_from(["", "+emb", "+EMB", "+kv8", "+emb+kv4"]),
    st.sampled_from(["", "@bf16", "@fp32", "@int8"]),
    st.sampled_from(["", "~lm_head=int8", "~a.0=nf4-dq~b=fp32", "~a=int8~a=int4", "~=", "~x"]),
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
    assert error is None or (str(error).isprintable() and len(str(error)) < 600)
    return error


def asked(model, formats, prompt, picture, max_tokens=DEFAULT_TOKENS, **decoding):
    given = {"prompt": prompt, "picture": picture}
    return ask(model, formats, given, max_tokens, decoding=decoding)


@given(variants | texts)
def test_a_variant_is_written_as_it_is_read_or_refused(text):
    if refusal(Variant.parse, text) is None:
        variant = Variant.parse(text)
        assert Variant.parse(str(variant)) == variant
        assert str(Variant.parse(str(variant))) == str(variant)


@given(st.sampled_from(FIELDS), values, st.sampled_from(["t5-tiny", "blip-tiny"]))
def test_any_value_is_taken_or_refused_at_its_own_field(field, value, model):
    error = refusal(asked, **ASKED | {"model": model} | {field: value})
    assert error is None or (isinstance(error, InputError) and error.field == field)


@given(values, values, values, values, values)
def test_any_values_together_are_taken_or_refused(model, texts, prompt, picture, max_tokens):
    error = refusal(asked, model, texts, prompt, picture, max_tokens)
    assert error is None or error.field in FIELDS


@given(st.text(st.characters(codec="utf-8"), max_size=300), lists_of_formats, numbers_of_tokens)
@example("a&b=c;d#e?f+g%20h\r\n\t\0\x7f ", ["int8+emb"], 3)
@example("\u202e\u200b\u0301\ufeff\U0010ffff" * 700, ["fp16"], 3)
def test_a_link_asks_for_the_same_prompt_again(prompt, texts, max_tokens):
    values = ("t5-tiny", texts, prompt, None, max_tokens)
    if refusal(asked, *values) is None:
        request = asked(*values)
        assert link.request(link.address_of(request)) == request
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


def parts(whole, path=()):
    """Where each value of a document stands; of long lists the beginning."""
    yield path
    if isinstance(whole, dict | list):
        inner = whole.items() if isinstance(whole, dict) else enumerate(whole[:3])
        for key, value in inner:
            yield from parts(value, (*path, key))


def changed(whole, path, value):
    """A copy with another value there."""
    copy = json.loads(json.dumps(whole))
    if not path:
        return value
    inside = copy
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = value
    return copy


REPORT = json.loads(held.FILE.read_text(encoding="utf-8"))
for _result in REPORT["results"]:
    _result["weights"] = dict(list((_result["weights"] or {}).items())[:2]) or None
PLACES = list(parts(REPORT))
some = st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.just([]) | st.just({})


@given(st.sampled_from(PLACES), some | anything.filter(lambda value: not isinstance(value, bytes)))
def test_a_damaged_report_is_read_or_refused(path, value):
    try:
        damaged = json.dumps(changed(REPORT, path, value))
    except (TypeError, ValueError):
        return
    if refusal(document.from_text, damaged) is None:
        report = document.from_text(damaged)
        assert document.from_text(json.dumps(document.as_json(report))) == report


@given(st.binary(max_size=99) | texts.map(str.encode) | st.just(b"[" * 100_000))
def test_any_bytes_are_no_report(content):
    assert refusal(document.from_text, content)
