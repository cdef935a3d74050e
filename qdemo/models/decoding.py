"""Greedy decoding, token by token, and scoring: the same for every family of models."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from qdemo.models.families.base import Family, Prompt, device_of, row
from qdemo.spec.messages import say


@torch.inference_mode()
def generate(family: Family, model: nn.Module, prompt: Prompt, max_tokens: int) -> Iterator[int]:
    """The most likely token after each other, up to an end token (which is yielded too).

    It ends after `max_tokens`, or where the model has no room for more.

    Raises:
        ArithmeticError: the logits are not finite, as after an overflow of fp16.
    """
    logits, state = family.prefill(model, prompt.to(device_of(model)))
    for left in reversed(range(min(max_tokens, prompt.longest))):
        token = _most_likely(logits[-1])
        yield token
        if token in prompt.ends or not left:
            return
        logits, state = family.step(model, state, row(model, [token]))


@torch.inference_mode()
def score(family: Family, model: nn.Module, prompt: Prompt, tokens: Sequence[int]) -> Tensor:
    """Logits (T, V) from which each of the T `tokens` would be chosen, all of them given, in one
    pass; on the model's device.

    Raises:
        ValueError: there are no tokens.
    """
    if not tokens:
        raise ValueError(say("there are no tokens to score"))
    return family.prefill(model, prompt.to(device_of(model)), tokens[:-1])[0]


def _most_likely(logits: Tensor) -> int:
    if not torch.isfinite(logits).all():
        raise ArithmeticError(
            say(
                "the logits are not finite: a number was too large for the format, or a weight "
                "is NaN"
            )
        )
    return int(logits.argmax())
