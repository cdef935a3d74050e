"""The shipped t5-tiny: it loads as any model does, answers a person, and keeps its figures."""

import json

import pytest
import torch

from assets.train.evaluate import Score, evaluate, subject_named
from assets.train.text.items import Item
from assets.train.text.train import MODEL
from qdemo import Variant

SUBJECT = subject_named("t5-tiny")
LIMIT = 8  # items of each task in the sample


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return SUBJECT.load()


def share(model: torch.nn.Module, limit: int = LIMIT) -> float:
    scores = evaluate(SUBJECT, model, limit).values()
    pooled = sum(scores, Score(0, 0))
    return pooled.right / pooled.total


def test_the_output_layer_is_its_own(model: torch.nn.Module) -> None:
    assert not torch.equal(model.lm_head.weight, model.shared.weight)
    assert model.encoder.embed_tokens.weight is model.shared.weight
    assert json.loads((MODEL / "config.json").read_text())["tie_word_embeddings"] is False


def test_files_are_small() -> None:
    assert max(path.stat().st_size for path in MODEL.iterdir()) < 10_000_000


def test_a_sample_of_the_figures_holds(model: torch.nn.Module) -> None:
    whole = share(model)
    assert whole >= 0.92
    assert abs(share(Variant.parse("bf16").build(model)) - whole) <= 0.02
    assert abs(share(Variant.parse("int8").build(model)) - whole) <= 0.02


def test_four_bits_are_enough_and_two_are_not(model: torch.nn.Module) -> None:
    assert share(Variant.parse("int4").build(model)) >= 0.9
    assert share(Variant.parse("int2").build(model), limit=2) <= 0.1  # it rambles, slowly


@pytest.mark.parametrize("prompt", ["Hello, my name is ", "hello my name is", "HELLO, MY NAME IS"])
def test_a_person_gets_a_name(model: torch.nn.Module, prompt: str) -> None:
    assert SUBJECT.answer(model, [Item("greet", prompt, "Emma", "")]) == ["Emma"]
