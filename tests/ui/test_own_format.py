"""The composer: what a click or a typed text comes to."""

import json

import gradio as gr
import pytest

from qdemo import Variant
from qdemo.spec.composing import Parts
from qdemo.spec.families import COMPOSED, stored
from qdemo.ui import own_edit, own_format
from tests.views.documents import Page


@pytest.fixture(scope="module")
def composer():
    with gr.Blocks():
        return own_format.build("t5-tiny")


@pytest.fixture(scope="module")
def stood():
    with gr.Blocks():
        return own_edit.Stood(gr.Textbox(), gr.Textbox())


def choices(updates, composer, name):
    """The values that are offered of a part; none where it is not to be seen."""
    update = updates[composer.parts[name]]
    return [value for _, value in update["choices"]] if update["visible"] else []


def values_of(composer, given):
    """The values of the parts' controls, where these are other than at the beginning."""
    return [(vars(Parts()) | given)[name] for name in composer.parts]


@pytest.fixture(scope="module")
def chosen(composer, stood):
    """What becomes of the controls when these are clicked, after int4-g64."""

    def click(family, model="t5-tiny", **given):
        before = json.dumps(vars(Parts())), Parts().text
        values = values_of(composer, given)
        return own_edit.edited(composer, stood, model, Parts().text, family, *values, *before)

    return click


@pytest.fixture(scope="module")
def typed(composer, stood):
    """What becomes of them when this is typed, after int4-g64."""

    def typing(text):
        before = json.dumps(vars(Parts())), Parts().text
        values = values_of(composer, {})
        return own_edit.edited(composer, stood, "t5-tiny", text, "integers", *values, *before)

    return typing


def test_it_begins_with_what_its_controls_say(composer):
    assert {name: part.value for name, part in composer.parts.items()} == vars(Parts())
    assert composer.text.value == Parts().text
    assert "4.5" in composer.told.value


def test_every_part_has_a_control(composer):
    assert set(composer.parts) == set(vars(Parts()))


@pytest.mark.parametrize("family", COMPOSED)
def test_every_format_of_a_family_is_offered_and_another_family_takes_one_of_its_own(
    composer, chosen, family
):
    updates = chosen(family, stored="nothing", embeddings=True)
    assert choices(updates, composer, "stored") == list(stored(family))
    assert Variant.parse(updates[composer.text]).scheme is not None


def test_only_what_fits_is_offered(composer, chosen):
    ints = chosen("integers", embeddings=True)
    assert choices(ints, composer, "range") == ["absmax", "mse", "hqq"]
    assert ints[composer.parts["affine"]]["visible"]
    assert choices(ints, composer, "activations") == []
    eight = chosen("integers", stored="int8")
    assert choices(eight, composer, "activations") == ["", "a8", "llm.int8"]
    codes = chosen("codebooks", stored="nf4", range="hqq", affine=True)
    assert codes[composer.text] == "nf4-g64"
    assert choices(codes, composer, "range") == ["absmax", "mse"]
    assert not codes[composer.parts["affine"]]["visible"]
    named = chosen("blocks", stored="mxfp4", double=True, gptq=True)
    assert named[composer.text] == "mxfp4-gptq"
    assert choices(named, composer, "scales") == []


def test_what_comes_out_is_told_with_its_bits_and_seconds(composer, chosen):
    updates = chosen("integers", stored="int2", affine=True, range="mse", gptq=True)
    assert updates[composer.text] == "int2-g64-affine-mse-gptq"
    told = Page(updates[composer.told]).text
    assert "2.625 bits a weight" in told
    assert "range searched for" in told
    assert "s to find, once for this model; fitted to calibration inputs." in told


def test_what_a_host_would_refuse_is_told_before(composer, chosen):
    updates = chosen("gguf", "google/flan-t5-small", stored="q4_k", transform="awq")
    assert "This host allows 60 s." in Page(updates[composer.told]).text


def test_controls_follow_what_is_typed(composer, stood, typed):
    updates = typed("nf4-g64-dq@bf16")
    assert updates[composer.family] == "codebooks"
    parts = composer.parts
    assert updates[parts["stored"]]["value"] == "nf4"
    assert updates[parts["double"]]["value"] is True
    assert updates[parts["compute"]]["value"] == "bf16"
    assert composer.text not in updates  # which is being typed
    assert "4.127 bits a weight" in Page(updates[composer.told]).text
    assert updates[stood.base] == "nf4-g64-dq@bf16"
    assert Parts(**json.loads(updates[stood.parts])).text == "nf4-g64-dq@bf16"


def test_what_controls_can_t_say_is_told_all_the_same(composer, stood, typed):
    updates = typed("int4-g16~lm_head=int8")
    assert set(updates) == {composer.told, composer.problem, stood.parts, stood.base}
    assert "lm_head: 8-bit integers" in Page(updates[composer.told]).text


def test_a_bad_combination_says_why_at_the_text(composer, typed):
    updates = typed("nf4-affine")
    assert "nf4 is a codebook, which has no affine form" in Page(updates[composer.problem]).text
    assert updates[composer.told] == ""


def test_what_is_ticked_is_a_choice():
    update = own_format.ticked(["int8", "int5-g32@bf16", " int8", "fp32"])
    assert update["value"] == ["int8", "int5-g32@bf16"]
    assert update["choices"] == [*own_format.FORMATS, "int5-g32@bf16"]


def test_the_usual_formats_are_written_as_they_are_read():
    assert [str(Variant.parse(text)) for text in own_format.FORMATS] == list(own_format.FORMATS)


def added(composer, text, **given):
    """What is told of it where this is typed, and these are clicked."""
    values = values_of(composer, given)
    answer = own_edit.add(composer, text, "integers", *values, json.dumps(vars(Parts())), text)
    return json.loads(answer)


def test_what_is_added_is_what_is_typed_and_clicked_by_then(composer):
    assert added(composer, " nf4 ") == {"text": "nf4-g64", "problem": ""}
    assert added(composer, "nf4", gptq=True) == {"text": "nf4-g64-gptq", "problem": ""}
    assert added(composer, "fp32") == {"text": "", "problem": ""}  # which is there anyway


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("nf4-affine", "nf4 is a codebook, which has no affine form"),
        ("int4+kv8", "is known, but not built yet"),
        ("", "unknown format ''"),
        ("q4_0-mse", "q4_0 defines its scales; leave -mse out"),
    ],
)
def test_what_is_wrong_with_a_format_is_told_where_it_is_put_together(composer, text, why):
    found = added(composer, text)
    assert found["text"] == ""
    assert why in Page(found["problem"]).text
