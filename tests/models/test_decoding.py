"""Every kind of model decodes as transformers itself would."""

import math

import pytest
import torch
from PIL import Image

from qdemo import Variant
from qdemo.models.catalogue import Entry
from qdemo.models.loading import load
from tests.models.models import write_blip, write_t5

PICTURE = Image.effect_noise((50, 40), 90).convert("RGB")
KINDS = {
    "gated, untied T5": ("text2text", "two three four", lambda f: write_t5(f, False, "gated-gelu")),
    "plain, tied T5": ("text2text", "five one", lambda f: write_t5(f, True, "relu")),
    "BLIP": ("captioning", PICTURE, write_blip),
}


@pytest.fixture(params=KINDS)
def kind(request, tmp_path):
    task, given, write = KINDS[request.param]
    write(tmp_path)
    return load(Entry("small", task, tied=False, parameters=0, folder=tmp_path)), given


def test_generation_is_that_of_transformers(kind):
    loaded, given = kind
    runner = loaded.given(given)
    ours = list(runner.generate(runner.model, 12))
    theirs = loaded.model.generate(**runner.inputs, max_new_tokens=12, do_sample=False, num_beams=1)
    assert len(set(ours)) > 1
    assert ours == theirs[0, 1:].tolist()
    assert loaded.adapter.start == theirs[0, 0]


def test_scores_are_the_logits_of_the_whole_sequence(kind):
    loaded, given = kind
    runner = loaded.given(given)
    tokens = list(runner.generate(runner.model, 6))
    logits = runner.score(runner.model, tokens)
    assert logits.shape == (len(tokens), 10)
    assert logits.argmax(1).tolist() == tokens  # greedy: each token is the most likely one
    shifted = torch.tensor([[loaded.adapter.start, *tokens[:-1]]])
    names = {"text2text": "decoder_input_ids", "captioning": "input_ids"}
    with torch.no_grad():
        wanted = loaded.model(**runner.inputs, **{names[loaded.entry.task]: shifted}).logits[0]
    assert torch.allclose(logits, wanted, atol=1e-4)


@pytest.mark.parametrize("text", ["bf16", "fp16", "int8", "int4-g8+emb", "int8@bf16", "fp8_e4m3"])
def test_variants_run_through_the_same_adapter(kind, text):
    loaded, given = kind
    runner = loaded.given(given)
    variant = Variant.parse(text).build(runner.model)
    tokens = list(runner.generate(variant, 4))
    assert 1 <= len(tokens) <= 4
    assert torch.isfinite(runner.score(variant, tokens)).all()


def test_decoding_ends_at_the_end_token(kind):
    loaded, given = kind
    runner = loaded.given(given)
    tokens = list(runner.generate(runner.model, 12))
    assert loaded.adapter.end not in tokens[:-1]
    assert loaded.adapter.end == (1 if loaded.entry.task == "text2text" else 3)


def test_a_caption_ends_where_the_model_has_no_more_positions(tmp_path):
    write_blip(tmp_path)
    loaded = load(Entry("small", "captioning", tied=True, parameters=0, folder=tmp_path))
    loaded.adapter.end = -1  # never said
    runner = loaded.given(PICTURE)
    tokens = list(runner.generate(runner.model, 1000))
    assert len(tokens) == 32
    assert runner.score(runner.model, tokens).shape == (32, 10)


def test_nothing_can_be_scored_without_tokens(kind):
    loaded, given = kind
    runner = loaded.given(given)
    with pytest.raises(ValueError, match="no tokens"):
        runner.score(runner.model, [])


def test_overflow_is_told_not_decoded(kind):
    loaded, given = kind
    runner = loaded.given(given)
    with torch.no_grad():
        next(p for n, p in loaded.model.named_parameters() if "decoder" in n).fill_(math.nan)
    with pytest.raises(ArithmeticError, match="not finite"):
        next(runner.generate(runner.model, 3))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("one " * 600, "601 tokens; at most 512"),
        (3, "expected a prompt as text, got int"),
        (PICTURE, "got Image"),
    ],
)
def test_bad_prompts_are_refused_in_words(given, says, tmp_path):
    write_t5(tmp_path, False, "relu")
    loaded = load(Entry("small", "text2text", tied=False, parameters=0, folder=tmp_path))
    with pytest.raises(ValueError, match=says):
        loaded.given(given)


def test_a_caption_needs_a_picture(tmp_path):
    write_blip(tmp_path)
    loaded = load(Entry("small", "captioning", tied=True, parameters=0, folder=tmp_path))
    with pytest.raises(ValueError, match="expected a picture, got str"):
        loaded.given("a dog")
    assert loaded.given(PICTURE.convert("L")).inputs["pixel_values"].shape == (1, 3, 32, 32)
