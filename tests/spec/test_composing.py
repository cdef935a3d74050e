"""Parts that are chosen make a variant, and only what fits is offered."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdemo import Variant
from qdemo.spec.composing import ACTIVATIONS, RANGES, SCALES, TRANSFORMS, Edit, Parts
from qdemo.spec.families import COMPOSED, stored
from qdemo.spec.scheme import COMPUTE_FORMATS

STORED = [name for key in COMPOSED for name in stored(key)]

parts = st.builds(
    Parts,
    st.sampled_from(STORED), st.sampled_from(SCALES), st.booleans(), st.booleans(),
    st.sampled_from(RANGES), st.sampled_from(TRANSFORMS), st.booleans(),
    st.sampled_from(ACTIVATIONS), st.booleans(), st.sampled_from(COMPUTE_FORMATS),
)  # fmt: skip


@given(parts)
def test_whatever_is_chosen_makes_a_variant_that_can_be_built(chosen):
    made = chosen.variant
    made.check_built()
    assert Variant.parse(chosen.text) == made


@given(parts)
def test_what_fits_is_kept_and_all_that_is_kept_is_said(chosen):
    fitting = chosen.fitting()
    assert fitting.fitting() == fitting
    assert fitting.text == chosen.text
    found = Parts.of(fitting.variant)
    if found.scales != fitting.scales:  # what has scales of its own says nothing of them
        assert not fitting.offered.scales
        found = replace(found, scales=fitting.scales)
    assert found == fitting


@given(parts)
def test_each_part_that_is_offered_changes_the_text(chosen):
    chosen, offered = chosen.fitting(), chosen.fitting().offered
    texts = [replace(chosen, range=one).text for one in offered.ranges]
    texts += [replace(chosen, transform=one).text for one in offered.transforms]
    texts += [replace(chosen, activations=one).text for one in offered.activations]
    others = [text for text in texts if text != chosen.text]
    assert len(others) == sum(map(len, (offered.ranges, offered.transforms,
                                        offered.activations))) - 3  # fmt: skip
    if offered.gptq:
        assert replace(chosen, gptq=not chosen.gptq).text != chosen.text
    if offered.affine:
        assert replace(chosen, affine=not chosen.affine).text != chosen.text


@pytest.mark.parametrize(
    ("chosen", "text"),
    [
        (Parts("nf4", double=True), "nf4-g64-dq"),
        (Parts("int2", affine=True, range="mse", gptq=True), "int2-g64-affine-mse-gptq"),
        (Parts("int4", affine=True, range="hqq"), "int4-g64-hqq"),
        (Parts("q4_k", "tensor", True, True, "mse", "rot"), "q4_k-rot"),
        (Parts("int8", "axis0", activations="a8", transform="sq0.5"), "int8a8-sq0.5"),
        (Parts("int8", affine=True, gptq=True, activations="llm.int8"), "llm.int8"),
        (Parts("nf4", "axis0", double=True), "nf4-axis0"),
        (Parts("int3", embeddings=True, compute="bf16"), "int3-g64+emb@bf16"),
    ],
)
def test_the_text_of_parts(chosen, text):
    assert chosen.text == text


@pytest.mark.parametrize(
    "text", ["bf16", "int4-g7", "int8-axis1", "int4~lm_head=int8", "int8a8-sq0.75"]
)
def test_what_parts_can_t_say(text):
    assert Parts.of(Variant.parse(text)) is None


def test_every_part_has_a_usual_choice():
    assert all(field.default is not None for field in fields(Parts))
    assert Parts().text == "int4-g64"


@given(parts, parts)
def test_what_was_done_last_is_meant_and_what_was_done_before_it_is_kept(before, chosen):
    stood, now = before.fitting(), chosen.fitting()
    clicked = replace(stood, embeddings=not stood.embeddings)
    assert Edit(stood, stood.text, now, stood.text).wanted == now.text
    if now.text != stood.text:
        assert Edit(stood, stood.text, clicked, now.text).wanted == now.text
    both = replace(now, embeddings=clicked.embeddings)
    assert Edit(stood, now.text, clicked, now.text).wanted == both.text


def test_what_parts_can_t_say_is_kept_until_one_is_clicked():
    text = "int4-g64~lm_head=int8"
    assert Edit(Parts(), text, Parts(), text).wanted == text
    assert Edit(Parts(), text, Parts(double=True), text).wanted == "int4-g64-dq"
    assert Edit(Parts(), "int", Parts(double=True), "int").wanted == "int4-g64-dq"
