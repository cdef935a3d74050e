"""t5-tiny as a subject of `assets.train.evaluate`."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import nn
from transformers import AutoModelForSeq2SeqLM, PreTrainedTokenizerBase

from assets.train.text.heldout import read_held_out
from assets.train.text.items import Item
from assets.train.text.tokenizer import load_tokenizer
from assets.train.text.train import MODEL


class T5Tiny:
    """The shipped model and its held-out items."""

    name = "t5-tiny"

    def load(self) -> nn.Module:
        """Load the shipped model in fp32."""
        model: nn.Module = AutoModelForSeq2SeqLM.from_pretrained(MODEL)
        return model.eval()

    def items(self) -> dict[str, list[Item]]:
        """Return the held-out items by task."""
        groups: dict[str, list[Item]] = defaultdict(list)
        for item in read_held_out():
            groups[item.task].append(item)
        return dict(groups)

    def answer(self, model: nn.Module, items: Sequence[Item]) -> list[str]:
        """Answer all `items` as one batch, greedily."""
        tokenizer = self._tokenizer
        batch = tokenizer([i.prompt for i in items], padding=True, return_tensors="pt")
        with torch.inference_mode():
            tokens = model.generate(**batch)  # type: ignore[operator]
        answers: list[str] = tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return answers

    def is_right(self, item: Item, answer: str) -> bool:
        """Say whether `answer` is the item's, letter by letter."""
        return answer == item.answer

    @cached_property
    def _tokenizer(self) -> PreTrainedTokenizerBase:
        return load_tokenizer(MODEL)


def subject() -> T5Tiny:
    """Return the subject that `assets.train.evaluate` asks for."""
    return T5Tiny()
