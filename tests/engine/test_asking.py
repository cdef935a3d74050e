import unicodedata
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdemo import Variant
from qdemo.engine.asking import ask, name_of
from qdemo.models import availability
from qdemo.models.availability import offered
from qdemo.models.catalogue import Entry
from qdemo.models.families import fields
from qdemo.models.pictures import gallery, named_picture
from qdemo.spec.decoding import HOTTEST, LARGEST_SEED, READ_AS, Decoding
from qdemo.spec.request import (
    DEFAULT_TOKENS,
    MAX_CHARACTERS,
    MAX_FORMATS,
    MAX_TOKENS,
    InputError,
    Query,
    parse_max_tokens,
)

FIELDS = ("model", "formats", *fields(), "max_tokens", *vars(Decoding()))

GOOD = {"model": "t5-tiny", "formats": ["int8"], "prompt": "Hello"}
LOOKS = {"model": "blip-tiny", "formats": ["int8"], "picture": "scene:3"}

variants = st.builds(
    lambda stored, scales, emb, compute: f"{stored}{scales}{emb}{compute}",
    st.sampled_from(["int8", "int4", "int3", "fp8_e4m3"]),
    st.sampled_from(["", "-g32", "-g64", "-tensor", "-axis1"]),
    st.sampled_from(["", "+emb"]),
    st.sampled_from(["", "@fp16", "@bf16"]),
) | st.sampled_from(["fp32", "fp16", "bf16", "int4-g64-affine"])
formats = st.lists(variants, min_size=1, max_size=MAX_FORMATS, unique=True)


def is_seen(prompt):
    """Whether there is a character in it that a person sees."""
    return any(unicodedata.category(c) not in ("Cc", "Cf", "Zs", "Zl", "Zp") for c in prompt)


prompts = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60).filter(is_seen)
tokens = st.integers(1, MAX_TOKENS)
plain = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(),
    st.complex_numbers(),
)  # fmt: skip
anything = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


SPEAKS = "someone/who-speaks"


@pytest.fixture(autouse=True, scope="module")
def _a_language_model_is_offered():
    entry = Entry(SPEAKS, "causal", tied=False, parameters=0, revision="0" * 40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(availability.MODELS, SPEAKS, entry)
        yield


def parse(model, formats, prompt=None, picture=None, max_tokens=DEFAULT_TOKENS, **decoding):
    """The request."""
    given = {"prompt": prompt, "picture": picture}
    return ask(model, formats, given, max_tokens, decoding=decoding)


def query(request):
    """What its link carries."""
    return request.query(name_of(request.given))


def read(text):
    """What a link asks for."""
    return Query.read(dict(parse_qsl(text, keep_blank_values=True)))


def again(request):
    """What the request's link asks for."""
    found = read(query(request))
    given = dict.fromkeys(fields(), found.input)
    most = found.max_tokens or DEFAULT_TOKENS
    return ask(found.model, found.formats, given, most, decoding=found.decoding)


@given(prompts, formats, tokens)
def test_a_link_asks_for_the_same_again(prompt, texts, max_tokens):
    request = parse("t5-tiny", texts, prompt, max_tokens=max_tokens)
    assert again(request) == request


temperatures = st.floats(0.01, HOTTEST).map(lambda x: float(f"{x:g}"))
decodings = st.builds(
    Decoding, st.sampled_from(["chat", "text"]), temperatures, st.integers(0, LARGEST_SEED)
) | st.builds(Decoding, st.sampled_from(READ_AS))


@given(prompts, decodings)
def test_a_link_asks_for_it_to_be_read_and_answered_in_the_same_way(prompt, decoding):
    request = parse(SPEAKS, ["int8"], prompt, **vars(decoding))
    assert request.decoding == decoding
    assert again(request) == request


def test_a_link_says_how_only_where_that_is_not_the_usual_way():
    drawn = parse("t5-tiny", ["int8"], "x", temperature=0.7, seed=3)
    assert query(drawn).endswith("&temperature=0.7&seed=3&run=1")
    assert query(parse(SPEAKS, ["int8"], "x", read_as="score")).endswith("&read_as=score&run=1")
    usual = query(parse("t5-tiny", ["int8"], "x"))
    for same in ({"temperature": 0}, {"seed": 7}, {"read_as": "chat"}, {"temperature": "0.0"}):
        assert query(parse("t5-tiny", ["int8"], "x", **same)) == usual
    nothing_drawn = parse(SPEAKS, ["int8"], "x", read_as="score", temperature=0.7, seed=3)
    assert nothing_drawn.decoding == Decoding("score")


@given(st.sampled_from(["scene:0", "scene:42", "scene:007", *gallery()]), formats)
def test_a_link_asks_for_the_same_picture(name, texts):
    request = parse("blip-tiny", texts, picture=name)
    other = again(request)
    assert other.variants == request.variants
    assert str(other.given) == str(request.given)


def test_a_link_is_plain_to_read():
    request = parse("t5-tiny", ["int8+emb", "int4-g64@bf16"], "1 + 2 & 3?")
    assert query(request) == (
        "model=t5-tiny&formats=int8%2Bemb,int4-g64@bf16&input=1+%2B+2+%26+3%3F&run=1"
    )
    limited = parse("t5-tiny", ["int8"], "x", max_tokens=5)
    assert "&max_tokens=5&" in query(limited)


def test_a_picture_of_ones_own_has_no_link(tmp_path):
    named_picture("scene:3").image.save(tmp_path / "own.png")
    request = parse("blip-tiny", ["int8"], picture=tmp_path / "own.png")
    assert query(request) is None
    assert request.field == "picture"


def test_what_a_link_leaves_out_is_left_out():
    assert Query.read({}) == Query()
    assert Query.read({"run": "1", "theme": "dark"}) == Query()
    assert Query.read({"formats": ""}) == Query(formats=())
    assert Query.read({"formats": "int8,, int4 "}) == Query(formats=("int8", "int4"))
    assert Query.read({"formats": "int8 emb"}) == Query(formats=("int8+emb",))


def test_a_request_has_what_its_model_wants():
    text = parse(**GOOD, picture="no matter what")
    assert (text.model, text.given, text.field) == ("t5-tiny", "Hello", "prompt")
    assert text.max_tokens == DEFAULT_TOKENS
    looks = parse(**LOOKS, prompt="no matter what")
    assert (looks.model, looks.given.name, looks.field) == ("blip-tiny", "scene:3", "picture")


def test_formats_come_as_a_list_or_as_text_each_once():
    wanted = (Variant.parse("int8"), Variant.parse("bf16"))
    for given_formats in (
        ["int8", "bf16", "int8"],
        "int8, bf16",
        ("int8", "bf16"),
        iter(["int8", "bf16"]),
    ):
        assert parse(**GOOD | {"formats": given_formats}).variants == wanted


def test_a_picture_comes_as_a_picture_too():
    picture = named_picture("scene:3")
    assert parse(**LOOKS | {"picture": picture}).given is picture


@pytest.mark.parametrize("number", [1, 64, MAX_TOKENS, "7", 7.0, True])
def test_numbers_of_tokens_in_any_writing(number):
    assert parse_max_tokens(number) == int(number)


@given(tokens)
def test_a_slider_s_number_is_a_whole_one(number):
    assert parse_max_tokens(float(number)) == parse_max_tokens(str(number)) == number


@pytest.mark.parametrize(
    ("asked", "field", "says"),
    [
        (
            GOOD | {"model": "nobody"},
            "model",
            "unknown model 'nobody'; the models are t5-tiny, ",
        ),
        (GOOD | {"model": ""}, "model", "unknown model ''"),
        (GOOD | {"model": "x" * 9999}, "model", "unknown model 'xxx"),
        (GOOD | {"model": None}, "model", "expected text, got None"),
        (GOOD | {"formats": ["int9"]}, "formats", "unknown format 'int9'; expected one of fp32, "),
        (GOOD | {"formats": ["int8@int8"]}, "formats", "cannot compute in 'int8'; expected fp32, "),
        (GOOD | {"formats": ["bf16+emb"]}, "formats", "bf16 casts the embeddings anyway"),
        (GOOD | {"formats": []}, "formats", "choose at least one format"),
        (GOOD | {"formats": ""}, "formats", "unknown format ''"),
        (GOOD | {"formats": None}, "formats", "expected a list of formats, got None"),
        (GOOD | {"formats": 5}, "formats", "expected a list of formats, got 5"),
        (GOOD | {"formats": [5]}, "formats", "expected text, got 5"),
        (
            GOOD | {"formats": [f"int8-g{2**i}" for i in range(13)]},
            "formats",
            "13 formats; at most 12 at a time",
        ),
        (GOOD | {"prompt": None}, "prompt", "the prompt is empty; type something"),
        (GOOD | {"prompt": ""}, "prompt", "the prompt is empty"),
        (GOOD | {"prompt": " \n\t\u3000"}, "prompt", "the prompt is empty"),
        (
            GOOD | {"prompt": "x" * (MAX_CHARACTERS + 1)},
            "prompt",
            "the prompt has 4,001 characters; at most 4,000",
        ),
        (GOOD | {"prompt": ["x"]}, "prompt", "expected text, got ['x']"),
        (LOOKS | {"picture": None}, "picture", "there is no picture; upload one"),
        (LOOKS | {"picture": ""}, "picture", "there is no picture"),
        (LOOKS | {"picture": 7}, "picture", "expected text, got 7"),
        (LOOKS | {"picture": "scene:x"}, "picture", "unknown scene 'x'; expected a number"),
        (LOOKS | {"picture": "README.md"}, "picture", "unknown picture 'README.md'"),
        (LOOKS | {"picture": Path("README.md")}, "picture", "the uploaded file is no picture"),
        (LOOKS | {"picture": Path("no.png")}, "picture", "there is no file"),
        (GOOD | {"max_tokens": 0}, "max_tokens", "max_tokens is 0, expected 1 to 128"),
        (GOOD | {"max_tokens": 129}, "max_tokens", "max_tokens is 129, expected 1 to 128"),
        (GOOD | {"max_tokens": "many"}, "max_tokens", "max_tokens is 'many', no number"),
        (GOOD | {"max_tokens": 2.5}, "max_tokens", "max_tokens is 2.5, no whole number"),
        (GOOD | {"max_tokens": None}, "max_tokens", "max_tokens is None, no number"),
        (GOOD | {"max_tokens": float("nan")}, "max_tokens", "max_tokens is nan, no number"),
        (GOOD | {"max_tokens": float("inf")}, "max_tokens", "max_tokens is inf, no number"),
        (GOOD | {"read_as": "score"}, "read_as", "t5-tiny reads no prompt as score; expected chat"),
        (LOOKS | {"read_as": "text"}, "read_as", "blip-tiny reads no prompt as text; expected "),
        (GOOD | {"read_as": "Chat"}, "read_as", "read_as is 'Chat', expected one of chat, text, "),
        (GOOD | {"read_as": ["chat"]}, "read_as", "read_as is "),
        (GOOD | {"temperature": -0.1}, "temperature", "temperature is -0.1, expected 0 to 5"),
        (GOOD | {"temperature": "5.5"}, "temperature", "temperature is 5.5, expected 0 to 5"),
        (GOOD | {"temperature": "hot"}, "temperature", "temperature is 'hot', no number that it "),
        (GOOD | {"temperature": "nan"}, "temperature", "temperature is nan, expected 0 to 5"),
        (GOOD | {"temperature": True}, "temperature", "temperature is True, no number"),
        (GOOD | {"temperature": 10**400}, "temperature", "temperature is 10000000000000000000, no"),
        (
            GOOD | {"seed": -1},
            "seed",
            "seed is -1, expected a whole number from 0 to 2,147,483,647",
        ),
        (GOOD | {"seed": 2**31}, "seed", "seed is 2147483648, expected a whole number from 0 to 2"),
        (GOOD | {"seed": 1.5}, "seed", "seed is 1.5, no number that it can be"),
        (GOOD | {"seed": "1.0"}, "seed", "seed is '1.0', no number that it can be"),
        (GOOD | {"seed": 10**5000}, "seed", "seed is "),
    ],
)
def test_what_is_wrong_is_told_at_its_field(asked, field, says):
    with pytest.raises(InputError) as caught:
        parse(**asked)
    assert caught.value.field == field
    assert str(caught.value).startswith(says)
    assert len(str(caught.value)) < 800


def test_a_prompt_may_be_as_long_as_they_say():
    assert len(parse(**GOOD | {"prompt": "x" * MAX_CHARACTERS}).given) == MAX_CHARACTERS


def test_every_offered_model_can_be_asked():
    for entry in offered():
        given_input = {"prompt": "x", "picture": "scene:1"}
        assert parse(entry.name, "int8", **given_input).model == entry.name


def refusal(**asked):
    """What is wrong with it, or None."""
    try:
        parse(**asked)
    except InputError as error:
        return error
    return None


@given(st.sampled_from(FIELDS), anything, st.sampled_from([GOOD, LOOKS]))
def test_whatever_comes_is_taken_or_told_at_its_own_field(field, value, asked):
    error = refusal(**{"prompt": "x", "picture": "scene:1"} | asked | {field: value})
    assert error is None or error.field == field
    assert error is None or str(error).isprintable()


@given(*[anything] * 6)
def test_nothing_but_an_input_error_comes_out(model, texts, prompt, picture, max_tokens, other):
    decoding = dict.fromkeys(vars(Decoding()), other)
    with pytest.raises(InputError) as caught:
        parse(model, texts, prompt, picture, max_tokens, **decoding)
    assert caught.value.field in FIELDS


ODD_NUMBERS = ("9" * 5000, 10**400, "1_0", "٣", " 7 ", "7\n", "0x7", "1e1", b"7", "-0", 10**5000)


@pytest.mark.parametrize("number", ODD_NUMBERS, ids=range(len(ODD_NUMBERS)))
def test_odd_numbers_are_told(number):
    error = refusal(**GOOD, max_tokens=number)
    assert error.field == "max_tokens"
    assert str(error).isprintable()
    assert len(str(error)) < 100
    for field in ("temperature", "seed"):
        error = refusal(**GOOD, **{field: number})
        assert error is None or error.field == field
        assert error is None or (str(error).isprintable() and len(str(error)) < 100)


@pytest.mark.parametrize(
    "text", ["int8+a\nb", "int8@a\nb", "int8-a\nb", "a\nb", "int8-g\n", "\x1b[2J"]
)
def test_an_odd_format_stays_one_line(text):
    error = refusal(**GOOD | {"formats": [text]})
    assert error.field == "formats"
    assert str(error).isprintable()


def test_half_a_character_is_told():
    error = refusal(**GOOD | {"prompt": "half of a character: \ud83d"})
    assert error.field == "prompt"  # no tokenizer takes it, nor any link
