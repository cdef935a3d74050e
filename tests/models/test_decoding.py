"""Every family of models decodes as transformers itself would."""

import math
from dataclasses import replace

import pytest
import torch
from PIL import Image

from qdemo import Variant
from qdemo.models.availability import get_entry
from qdemo.models.catalogue import Entry
from qdemo.models.decoding import generate, score
from qdemo.models.families.base import row
from qdemo.models.loading import load
from tests.models.models import write_blip, write_t5

PICTURE = Image.effect_noise((50, 40), 90).convert("RGB")
KINDS = {
    "gated, untied T5": ("text2text", "two three four", lambda f: write_t5(f, False, "gated-gelu")),
    "plain, tied T5": ("text2text", "five one", lambda f: write_t5(f, True, "relu")),
    "BLIP": ("captioning", PICTURE, write_blip),
}
FORCED = {"text2text": "decoder_input_ids", "captioning": "input_ids"}


class Asked:
    """A model with one input."""

    def __init__(self, folder, task, given):
        self.loaded = load(Entry("small", task, tied=False, parameters=0, folder=folder))
        self.model, self.family = self.loaded.model, self.loaded.family
        self.prompt = self.family.encode(given)

    def generate(self, count, model=None):
        return list(generate(self.family, model or self.model, self.prompt, count))

    def score(self, tokens, model=None):
        return score(self.family, model or self.model, self.prompt, tokens)


@pytest.fixture(params=KINDS)
def asked(request, tmp_path):
    task, given, write = KINDS[request.param]
    write(tmp_path)
    return Asked(tmp_path, task, given)


def test_generation_is_that_of_transformers(asked):
    ours = asked.generate(12)
    theirs = asked.model.generate(
        **asked.prompt.inputs, max_new_tokens=12, do_sample=False, num_beams=1
    )
    assert len(set(ours)) > 1
    assert ours == theirs[0, 1:].tolist()
    assert asked.prompt.prefix == (theirs[0, 0],)


def test_scores_are_the_logits_of_the_whole_sequence(asked):
    tokens = asked.generate(6)
    logits = asked.score(tokens)
    assert logits.shape == (len(tokens), 10)
    assert logits.argmax(1).tolist() == tokens  # greedy: each token is the most likely one
    shifted = torch.tensor([[*asked.prompt.prefix, *tokens[:-1]]])
    forced = {FORCED[asked.family.task]: shifted}
    with torch.no_grad():
        wanted = asked.model(**asked.prompt.inputs, **forced).logits[0]
    assert torch.allclose(logits, wanted, atol=1e-4)


def test_scores_are_bit_for_bit_those_of_a_direct_call():
    tiny = load(get_entry("t5-tiny"))
    prompt = tiny.family.encode("Sort these words: pig, onion, river, wolf")
    tokens = list(generate(tiny.family, tiny.model, prompt, 24))
    with torch.inference_mode():
        wanted = tiny.model(
            **prompt.inputs, decoder_input_ids=torch.tensor([[0, *tokens[:-1]]])
        ).logits[0]
    assert torch.equal(score(tiny.family, tiny.model, prompt, tokens), wanted)


def test_everything_is_made_on_the_model_s_device():
    tiny = load(get_entry("blip-tiny"), "meta")
    prompt = tiny.family.encode(PICTURE)  # on the CPU, with which meta tensors can't be combined
    assert score(tiny.family, tiny.model, prompt, [3, 4]).is_meta
    batch = tiny.family.calibration_batch([(PICTURE, "a dog"), (PICTURE, "a dog")]).to("meta")
    assert all(x.is_meta for x in (*batch.inputs.values(), *batch.masks))


def test_what_is_forced_at_once_is_what_comes_step_by_step(asked):
    forced = asked.generate(5)
    with torch.inference_mode():
        at_once, state = asked.family.prefill(asked.model, asked.prompt, forced)
        logits, stepping = asked.family.prefill(asked.model, asked.prompt)
        rows = [logits]
        for token in forced:
            logits, stepping = asked.family.step(asked.model, stepping, row(asked.model, [token]))
            rows.append(logits)
        assert at_once.shape == (1 + len(forced), 10)
        assert torch.allclose(at_once, torch.cat(rows), atol=1e-4)
        after, _ = asked.family.step(asked.model, state, row(asked.model, [4]))
        wanted, _ = asked.family.step(asked.model, stepping, row(asked.model, [4]))
    assert torch.allclose(after, wanted, atol=1e-4)


@pytest.mark.parametrize("text", ["bf16", "fp16", "int8", "int4-g8+emb", "int8@bf16", "fp8_e4m3"])
def test_variants_run_through_the_same_family(asked, text):
    variant = Variant.parse(text).build(asked.model)
    tokens = asked.generate(4, variant)
    assert 1 <= len(tokens) <= 4
    assert torch.isfinite(asked.score(tokens, variant)).all()


def test_decoding_ends_at_an_end_token(asked):
    tokens = asked.generate(12)
    assert not asked.prompt.ends & set(tokens[:-1])
    assert asked.prompt.ends == ({1} if asked.family.task == "text2text" else {3})
    asked.prompt = replace(asked.prompt, ends=asked.prompt.ends | {tokens[1]})
    assert asked.generate(12) == tokens[: tokens.index(tokens[1]) + 1]


def test_a_model_that_stops_runs_no_step_whose_token_nobody_reads(asked, monkeypatch):
    steps, step = [], asked.family.step
    monkeypatch.setattr(asked.family, "step", lambda *a: steps.append(a) or step(*a))
    assert len(asked.generate(2)) == 2
    assert len(steps) == 2  # of which the first is the prefill's


def test_a_caption_ends_where_the_model_has_no_more_positions(tmp_path):
    write_blip(tmp_path)
    asked = Asked(tmp_path, "captioning", PICTURE)
    asked.prompt = replace(asked.prompt, ends=frozenset())
    tokens = asked.generate(1000)
    assert len(tokens) == 32
    assert asked.score(tokens).shape == (32, 10)


def test_nothing_can_be_scored_without_tokens(asked):
    with pytest.raises(ValueError, match="no tokens"):
        asked.score([])


def test_overflow_is_told_not_decoded(asked):
    with torch.no_grad():
        next(p for n, p in asked.model.named_parameters() if "decoder" in n).fill_(math.nan)
    with pytest.raises(ArithmeticError, match="not finite"):
        asked.generate(3)


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
    with pytest.raises(ValueError, match=says):
        Asked(tmp_path, "text2text", given)


def test_a_caption_needs_a_picture(tmp_path):
    write_blip(tmp_path)
    with pytest.raises(ValueError, match="expected a picture, got str"):
        Asked(tmp_path, "captioning", "a dog")
    prompt = Asked(tmp_path, "captioning", PICTURE.convert("L")).prompt
    assert prompt.inputs["pixel_values"].shape == (1, 3, 32, 32)
