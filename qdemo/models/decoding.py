"""Greedy decoding, token by token, and scoring: the same for every family of models."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice

import torch
from torch import Tensor, nn

from qdemo.models.captured import stepping
from qdemo.models.families.base import Family, Prompt, State, device_of
from qdemo.spec.decoding import GREEDY, Decoding
from qdemo.spec.messages import say


@torch.inference_mode()
def generate(
    family: Family,
    model: nn.Module,
    prompt: Prompt,
    max_tokens: int,
    decoding: Decoding = GREEDY,
) -> Iterator[int]:
    """The most likely token after each other, up to an end token (which is yielded too).

    It ends after `max_tokens`, or where the model has no room for more.

    Raises:
        ArithmeticError: the logits are not finite, as after an overflow of fp16.
    """
    first, state = family.prefill(model, prompt.to(device_of(model)))
    count = min(max_tokens, prompt.longest)
    token = _most_likely(first[-1])
    with stepping(family, model, state, count) as step:
        for left in reversed(range(count)):
            yield (chosen := int(token))
            if chosen in prompt.ends or not left:
                return
            token = _most_likely(step(token))


def warm_up(
    family: Family,
    model: nn.Module,
    prompt: Prompt,
    max_tokens: int,
    decoding: Decoding = GREEDY,
) -> None:
    """Pay for what no token's time should have in it: pages and caches, and on a GPU kernels that
    are compiled, and the graph that is captured at the second token.

    Raises:
        ArithmeticError: as `generate`.
    """
    tokens = 2 if device_of(model).type == "cuda" else 1
    deque(islice(generate(family, model, prompt, max_tokens, decoding), tokens), maxlen=0)


@torch.inference_mode()
def going_on(family: Family, model: nn.Module, state: State, token: Tensor) -> Iterator[Tensor]:
    """The most likely token, (), after `token`, and so on from `state`: a step each, without end.

    Raises:
        ArithmeticError: the logits are not finite, as after an overflow of fp16.
    """
    while True:
        logits, state = family.step(model, state, token.view(1, 1))
        token = _most_likely(logits[-1])
        yield token


def score(family: Family, model: nn.Module, prompt: Prompt, tokens: Sequence[int]) -> Tensor:
    """Logits (T, V) from which each of the T `tokens` would be chosen, all of them given, in one
    pass; on the model's device.

    Raises:
        ValueError: there are no tokens.
    """
    return scored(family, model, prompt, tokens)[0]


@torch.inference_mode()
def scored(
    family: Family, model: nn.Module, prompt: Prompt, tokens: Sequence[int]
) -> tuple[Tensor, Iterator[Tensor]]:
    """The same, and the steps that would follow `tokens`, as far as the model has room for them.

    Raises:
        ValueError: there are no tokens.
    """
    if not tokens:
        raise ValueError(say("there are no tokens to score"))
    logits, state = family.prefill(model, prompt.to(device_of(model)), tokens[:-1])
    last = torch.tensor(tokens[-1], device=logits.device)
    return logits, islice(going_on(family, model, state, last), prompt.longest - len(tokens))


def _most_likely(logits: Tensor) -> Tensor:
    """The first of the most likely. Their extremes tell whether all of (V,) are finite: torch takes
    NaN for the larger one."""
    largest, token = logits.max(0)
    if not math.isfinite(largest.item() - logits.amin().item()):
        raise ArithmeticError(
            say(
                "the logits are not finite: a number was too large for the format, or a weight "
                "is NaN"
            )
        )
    return token
