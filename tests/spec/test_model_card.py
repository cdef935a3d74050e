"""What a model's card says: the counts that evaluation keeps, and what it may be asked."""

import importlib
import json
from collections import Counter
from pathlib import Path

import pytest

from assets.train.evaluate import read, table
from qdemo.engine.datasets import held_out
from qdemo.models.availability import get_entry
from qdemo.models.catalogue import EMBEDDED
from qdemo.models.families import fields
from qdemo.spec.model_card import asked_file, card_of

ROOT = Path(__file__).parents[2]
HELD_OUT = (ROOT / "assets/models/t5-tiny/heldout.jsonl").read_text().splitlines()
OUTSIDE = (
    "What is quantization?", "Why is the sky blue?", "What is the capital of Mars?", "12 + 30",
    "Translate to Italian: Tuesday", "Sort these words: pig, dragon, wolf", "Tell me a story", "",
)  # fmt: skip


@pytest.fixture
def card():
    return card_of("t5-tiny")


def test_every_embedded_model_has_a_card_and_no_other():
    assert all(card_of(name) for name in EMBEDDED)
    assert card_of("google/flan-t5-small") is None


def test_every_held_out_question_is_inside(card):
    prompts = [json.loads(line)["input"] for line in HELD_OUT]
    assert [prompt for prompt in prompts if card.is_outside(prompt)] == []


def test_every_example_of_the_page_is_inside(card):
    assert [one for one in fields()["prompt"].examples if card.is_outside(one)] == []


@pytest.mark.parametrize("question", OUTSIDE)
def test_what_it_never_saw_is_outside(card, question):
    assert card.is_outside(question)


@pytest.mark.parametrize("typed", ["WHAT IS 23+45", " what is  23 + 45 ?", "What is 23 +45."])
def test_it_does_not_matter_how_it_is_typed(card, typed):
    assert not card.is_outside(typed)


def test_a_picture_is_inside_that_was_drawn_here():
    card = card_of("blip-tiny")
    assert not card.is_outside("gallery:a-cat.png, 384 × 384 pixels, sha256 0")
    assert not card.is_outside("scene:12, 384 × 384 pixels, sha256 0")
    assert not card.is_outside("heldout:12, 384 × 384 pixels, sha256 0")
    assert card.is_outside("the uploaded file, 384 × 384 pixels, sha256 0")


def test_the_wordings_are_those_of_training():
    written = importlib.import_module("assets.train.text.asked").text()
    assert asked_file("t5-tiny").read_text(encoding="utf-8") == written


@pytest.mark.parametrize("model", EMBEDDED)
def test_the_counts_are_of_all_held_out_items(model):
    items = Counter(item.task for item in held_out(get_entry(model)).items)
    for form, scores in read(model).items():
        assert {task: score.total for task, score in scores.items()} == items
        assert card_of(model).counts[form].total == sum(items.values())


@pytest.mark.parametrize("model", EMBEDDED)
def test_the_table_of_the_card_is_what_the_counts_say(model):
    text = (ROOT / "assets" / "models" / model / "README.md").read_text(encoding="utf-8")
    head = next(line for line in text.splitlines() if line.startswith("| task | items |"))
    scores = read(model)
    formats = head.strip("| ").split(" | ")[2:]
    assert "\n".join(table({form: scores[form] for form in formats})) in text
