"""Models of the real shapes with random weights, and an input of usual length."""

from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch

from qdemo.models import decoding
from qdemo.models.captioning import Captioning
from qdemo.models.catalogue import CATALOGUE
from qdemo.models.loading import load
from qdemo.models.text2text import Text2Text
from tests.hub_checkpoints import BLIP, FLAN, random_blip, random_t5

PROMPT = 24  # tokens
TINY, BASE = "t5-tiny", "google/flan-t5-base"


@dataclass(frozen=True)
class Subject:
    """A model with its input, which answers on and on: no token ends it."""

    name: str
    model: Any
    adapter: Any
    inputs: Any

    def generate(self, model, count):
        return list(islice(decoding.generate(self.adapter, model, self.inputs, count), count))

    def score(self, model, tokens):
        return decoding.score(self.adapter, model, self.inputs, tokens)


def subject(name):
    torch.manual_seed(0)
    if name == BLIP:
        pixels = torch.randn(1, 3, 384, 384)
        return Subject(
            name, random_blip(name), _endless(Captioning, 30522), {"pixel_values": pixels}
        )
    model = load(CATALOGUE[name]).model if name == TINY else random_t5(name)
    ids = torch.randint(3, model.config.vocab_size - 100, (1, PROMPT))
    return Subject(name, model, _endless(Text2Text, 0), {
        "input_ids": ids, "attention_mask": torch.ones_like(ids)
    })  # fmt: skip


def _endless(kind, start):
    """An adapter without a tokenizer, for tokens in and tokens out."""
    adapter = kind.__new__(kind)
    adapter.start, adapter.end, adapter.longest = start, -1, 512
    return adapter


__all__ = ["BASE", "BLIP", "FLAN", "TINY", "Subject", "subject"]
