"""blip-tiny itself: it can learn, and the shipped files load quietly and see what they should."""

import logging
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from transformers import BlipForConditionalGeneration, BlipProcessor
from transformers.utils import logging as transformers_logging

from assets.train.evaluate import evaluate, evidence_of, pooled, scores_of
from assets.train.loop import Recipe, fit
from assets.train.scenes.gallery import FOLDER
from assets.train.scenes.heldout import PER_TASK, TASKS
from assets.train.scenes.stream import Stream
from assets.train.scenes.train import TARGET, make_config, make_model
from assets.train.scenes.words import make_processor
from qdemo.engine.datasets import held_out
from qdemo.models.availability import get_entry
from qdemo.models.pictures import captions
from qdemo.spec.evidence import Item

NAME = "blip-tiny"
BETTER = ("fp16", "bf16", "int8", "int4-g64", "int4")
SHARD = 10_000_000


@pytest.fixture(scope="module")
def shares() -> dict[str, float]:
    """Of four scenes of each task, by format."""
    scores = scores_of(evaluate(NAME, [*BETTER, "int2"], limit=4))
    return {form: pooled(found).share for form, found in scores.items()}


def test_a_fresh_model_learns(tmp_path: Path) -> None:
    processor = make_processor()
    batch = Stream(processor, 4).batch_at(0)
    model = make_model(processor, seed=0)
    before = model(**batch).loss.item()
    fit(model, lambda step: batch, Recipe(steps=20, peak_lr=1e-3, warmup=5), tmp_path, str)
    assert model(**batch).loss.item() < before / 3


def test_generation_starts_and_ends_with_the_vocabularys_own_marks() -> None:
    tokenizer, text = make_processor().tokenizer, make_config(make_processor()).text_config
    tokens = tokenizer.convert_ids_to_tokens(
        [text.bos_token_id, text.sep_token_id, text.eos_token_id, text.pad_token_id]
    )
    assert tokens == ["[DEC]", "[SEP]", "[SEP]", "[PAD]"]


def test_shipped_files_load_without_a_word(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    transformers_logging.disable_progress_bar()
    transformers_logging.enable_propagation()
    try:
        with caplog.at_level(logging.INFO):
            BlipForConditionalGeneration.from_pretrained(TARGET)
            BlipProcessor.from_pretrained(TARGET)
    finally:
        transformers_logging.disable_propagation()
        transformers_logging.enable_progress_bar()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert capfd.readouterr().err == ""


def test_shards_are_small_and_hold_fp32_numbers() -> None:
    files = list(TARGET.glob("*.safetensors"))
    assert files
    for file in files:
        assert file.stat().st_size < SHARD
        with safe_open(file, "pt") as tensors:
            assert {tensors.get_slice(name).get_dtype() for name in tensors.keys()} == {"F32"}  # noqa: SIM118


def test_shipped_processor_is_the_trained_one() -> None:
    shipped, made = BlipProcessor.from_pretrained(TARGET), make_processor()
    assert shipped.tokenizer.get_vocab() == made.tokenizer.get_vocab()
    with Image.open(FOLDER / "a-woman-and-a-dog-on-the-beach.png") as picture:
        seen, expected = (p(images=picture, return_tensors="pt") for p in (shipped, made))
    assert torch.equal(seen.pixel_values, expected.pixel_values)


def test_gallery_is_captioned() -> None:
    items = tuple(Item(name, words) for name, words in captions().items())
    data = replace(held_out(get_entry(NAME)), items=items)
    (fp32,) = evidence_of(NAME, data, []).judged
    assert [outcome.output for outcome in fp32.outcomes] == [*captions().values()]


@pytest.mark.parametrize("form", ["fp32", *BETTER])
def test_a_sample_is_captioned_in_the_better_formats(shares: dict[str, float], form: str) -> None:
    assert shares[form] >= 0.9


def test_two_bits_are_too_few(shares: dict[str, float]) -> None:
    assert shares["int2"] <= 0.1


def test_the_card_holds_the_table_of_all_tasks() -> None:
    card = (TARGET / "README.md").read_text(encoding="utf-8")
    assert all(f"| {task} | {PER_TASK} |" in card for task in TASKS)
