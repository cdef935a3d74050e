"""Batches of the training stream, as tensors: a function of the step alone."""

from __future__ import annotations

from itertools import islice

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerBase
from transformers.modeling_outputs import Seq2SeqLMOutput

from assets.train.loop import Batch
from assets.train.text.stream import training_items

IGNORED = -100  # the label that transformers' loss leaves out
PART = 64  # rows that go through the model together


class Batches:
    """`batches(step)` is the batch of that step, ready for `model(**batch)`."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, size: int, seed: int) -> None:
        """Draw batches of `size` items from the stream that `seed` names."""
        self._tokenizer, self._size, self._seed = tokenizer, size, seed

    def __call__(self, step: int) -> Batch:
        """Return the batch of `step`, shortest prompts first."""
        pairs = list(islice(training_items(f"{self._seed}/{step}"), self._size))
        prompts = self._tokenizer([typed for typed, _ in pairs])["input_ids"]
        answers = self._tokenizer([item.answer for _, item in pairs])["input_ids"]
        rows = sorted(zip(prompts, answers, strict=True), key=lambda row: len(row[0]))
        inputs = _padded([prompt for prompt, _ in rows], 0)
        labels = _padded([answer for _, answer in rows], IGNORED)
        return {"input_ids": inputs, "attention_mask": (inputs != 0).long(), "labels": labels}


class Trimmed(nn.Module):
    """A model that takes a batch in parts, each only as wide as its longest prompt.

    Batches of one length would save padding too, but they are nearly batches of one task.
    """

    def __init__(self, model: nn.Module) -> None:
        """Wrap `model`, which is trained in place."""
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor) -> Seq2SeqLMOutput:
        """Return the mean loss over all labels, as the model on the whole batch would."""
        loss = torch.zeros(())
        for rows in torch.arange(len(labels)).split(PART):
            width = int(attention_mask[rows].sum(dim=1).max())
            part = self.model(
                input_ids=input_ids[rows, :width],
                attention_mask=attention_mask[rows, :width],
                labels=labels[rows],
            )
            loss = loss + part.loss.float() * (labels[rows] != IGNORED).sum()
        return Seq2SeqLMOutput(loss=loss / (labels != IGNORED).sum())


def _padded(rows: list[list[int]], filler: int) -> Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [filler] * (width - len(row)) for row in rows])
