"""Models of the real shapes with random weights, and an input of usual length."""

from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from qdemo.models import decoding
from qdemo.models.catalogue import CATALOGUE
from qdemo.models.families import Prompt
from qdemo.models.families.captioning import Captioning
from qdemo.models.families.text2text import Text2Text
from qdemo.models.loading import load
from tests.hub_checkpoints import BLIP, FLAN, random_blip, random_t5

PROMPT = 24  # tokens
TINY, BASE = "t5-tiny", "google/flan-t5-base"
MIDDLE = "T5 of 160 million"
SHAPES = {
    MIDDLE: {
        "d_model": 640, "d_ff": 1792, "num_layers": 10, "num_decoder_layers": 10, "num_heads": 10,
    }
}  # fmt: skip
"""Shapes that are in no catalogue, beside FLAN-T5-small's."""


@dataclass(frozen=True)
class Subject:
    """A model with its input, which answers on and on: no token ends it."""

    name: str
    model: Any
    family: Any
    prompt: Prompt

    def generate(self, model, count):
        answer = decoding.generate(self.family, model, self.prompt, count)
        return list(islice(answer, count))

    def score(self, model, tokens):
        return decoding.score(self.family, model, self.prompt, tokens)


def subject(name):
    torch.manual_seed(0)
    if name == BLIP:
        prompt = _endless({"pixel_values": torch.randn(1, 3, 384, 384)}, start=30522)
        return Subject(name, random_blip(name), _without_words(Captioning), prompt)
    model = load(CATALOGUE[name]).model if name == TINY else _random(name)
    ids = torch.randint(3, model.config.vocab_size - 100, (1, PROMPT))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    return Subject(name, model, _without_words(Text2Text), _endless(inputs, start=0))


def _random(name):
    return random_t5(FLAN, **SHAPES[name]) if name in SHAPES else random_t5(name)


def short(name):
    """A model's name in a table."""
    return {FLAN: "FLAN-T5-small", BASE: "FLAN-T5-base"}.get(name, name)


def _endless(inputs, start):
    return Prompt(inputs, (start,), frozenset(), longest=512, read=(), shown="")


class _Numbers:
    """A tokenizer whose tokens have no text."""

    def decode(self, tokens, **_):
        return " ".join(map(str, tokens))

    def convert_ids_to_tokens(self, tokens):
        return [str(token) for token in tokens]


def _without_words(family):
    """A family without a vocabulary, for tokens in and tokens out."""
    made = family.__new__(family)
    made.tokenizer = _Numbers()
    return made


__all__ = ["BASE", "BLIP", "FLAN", "MIDDLE", "TINY", "Subject", "short", "subject"]
