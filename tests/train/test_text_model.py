"""The shipped t5-tiny: it loads as any model does, answers a person, and keeps its figures."""

import json
from dataclasses import replace

import pytest

from assets.train.evaluate import evaluate, evidence_of, pooled, scores_of
from assets.train.text.train import MODEL
from qdemo.engine.datasets import held_out
from qdemo.engine.engine import ENGINE
from qdemo.models.availability import get_entry
from qdemo.spec.evidence import Item

NAME = "t5-tiny"
GREETINGS = ("Hello, my name is ", "hello my name is", "HELLO, MY NAME IS")


@pytest.fixture(scope="module")
def shares() -> dict[str, float]:
    """Of five items of each task, by format."""
    return shares_of(["bf16", "int8", "int4"], 5)


def shares_of(formats: list[str], limit: int) -> dict[str, float]:
    scores = scores_of(evaluate(NAME, formats, limit))
    return {form: pooled(found).share for form, found in scores.items()}


def test_the_output_layer_is_its_own() -> None:
    model = ENGINE.loaded(get_entry(NAME)).model
    assert not model.lm_head.weight.equal(model.shared.weight)
    assert model.encoder.embed_tokens.weight is model.shared.weight
    assert json.loads((MODEL / "config.json").read_text())["tie_word_embeddings"] is False


def test_files_are_small() -> None:
    assert max(path.stat().st_size for path in MODEL.iterdir()) < 10_000_000


def test_a_sample_of_the_figures_holds(shares: dict[str, float]) -> None:
    assert shares["fp32"] >= 0.92
    assert abs(shares["bf16"] - shares["fp32"]) <= 0.02
    assert abs(shares["int8"] - shares["fp32"]) <= 0.02


def test_four_bits_are_enough_and_two_are_not(shares: dict[str, float]) -> None:
    assert shares["int4"] >= 0.9
    assert shares_of(["int2"], 2)["int2"] <= 0.1  # it rambles, slowly


def test_a_person_gets_a_name() -> None:
    data = replace(held_out(get_entry(NAME)), items=tuple(map(Item, GREETINGS)))
    (fp32,) = evidence_of(NAME, data, []).judged
    assert [outcome.output for outcome in fp32.outcomes] == ["Emma"] * len(GREETINGS)
