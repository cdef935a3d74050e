"""The shipped t5-tiny: it loads as any model does, answers a person, and keeps its figures."""

import json
from itertools import pairwise

import pytest
import torch

from assets.train.evaluate import Score, evaluate, subject_named, variant
from assets.train.text.train import MODEL

SUBJECT = subject_named("t5-tiny")
LIMIT = 8  # items of each task in the sample


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return SUBJECT.load()


def share(model: torch.nn.Module) -> float:
    scores = evaluate(SUBJECT, model, LIMIT).values()
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
    assert abs(share(variant(model, "bf16")) - whole) <= 0.02
    assert abs(share(variant(model, "int8")) - whole) <= 0.02


def test_fewer_bits_answer_less(model: torch.nn.Module) -> None:
    shares = [share(variant(model, form)) for form in ("int8", "int4", "int2")]
    assert all(more > less for more, less in pairwise(shares))
    assert shares[-1] < 0.1
