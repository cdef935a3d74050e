"""Decoding token by token, greedy or drawn, and scoring: the same for every family of models."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from torch import Tensor, nn

from qdemo.models.captured import stepping
from qdemo.models.families.base import Family, Prompt, State, device_of
from qdemo.spec.decoding import GREEDY, Decoding, Ended
from qdemo.spec.messages import say

FEWEST_ROUNDS, FEWEST_TOKENS = 3, 16
"""An answer that went round so many times, and for so many tokens, goes on so for ever."""


@torch.inference_mode()
def generate(
    family: Family,
    model: nn.Module,
    prompt: Prompt,
    max_tokens: int,
    decoding: Decoding = GREEDY,
) -> Iterator[int]:
    """One token after the other, up to an end token (which is yielded too): the most likely one, or
    where there is a temperature the one that its position's number chooses (see `uniform`).

    It ends after `max_tokens`, where the model has no room for more, or where a greedy answer goes
    round in a circle, for a prompt that wants that.

    Raises:
        ArithmeticError: the logits are not finite, as after an overflow of fp16.
    """
    first, state = family.prefill(model, prompt.to(device_of(model)))
    token, tokens = _chosen(first[-1], 0, decoding), list[int]()
    with stepping(family, model, state, min(max_tokens, prompt.longest)) as step:
        while True:
            tokens.append(int(token))
            yield tokens[-1]
            if ended(tokens, prompt, max_tokens, decoding):
                return
            token = _chosen(step(token), len(tokens), decoding)


def why_ended(
    tokens: Sequence[int], prompt: Prompt, max_tokens: int, decoding: Decoding = GREEDY
) -> Ended:
    """Why `generate` ends after these tokens.

    Raises:
        ValueError: it does not.
    """
    found = ended(tokens, prompt, max_tokens, decoding)
    if found is None:
        raise ValueError(
            say("an answer does not end after {count} tokens like these", count=len(tokens))
        )
    return found


def ended(
    tokens: Sequence[int], prompt: Prompt, max_tokens: int, decoding: Decoding = GREEDY
) -> Ended | None:
    """Why `generate` ends after these tokens; None where it goes on."""
    if tokens and tokens[-1] in prompt.ends:
        return "end"
    if decoding.is_greedy and not prompt.may_repeat and goes_round(tokens):
        return "repetition"
    return "length" if len(tokens) >= min(max_tokens, prompt.longest) else None


def goes_round(tokens: Sequence[int]) -> bool:
    """Whether they end in the same tokens over and over, three times at least and 16 tokens long.

    >>> goes_round([5, *[1, 2, 3] * 6]), goes_round([1, 2, 3] * 5), goes_round([*range(40)] * 2)
    (True, False, False)
    """
    for period in range(1, len(tokens) // FEWEST_ROUNDS + 1):
        rounds = max(FEWEST_ROUNDS, -(-FEWEST_TOKENS // period))
        tail = tokens[-rounds * period :]
        if len(tail) == rounds * period and tail[period:] == tail[:-period]:
            return True
    return False


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


def uniform(seed: int, position: int) -> float:
    """The number from 0 to 1, 1 left out, that chooses the token at a position of an answer, which
    is counted from 0: the same for every format, device and version of torch.

    It is Philox4x64-10 (Salmon, Moraes, Dror and Shaw: Parallel Random Numbers: As Easy as 1, 2, 3,
    2011), whose stream numpy promises not to change: of the key `seed`, at the counter after
    `position`, the upper 53 bits of the first word.

    >>> uniform(0, 0) == uniform(0, 0) != uniform(0, 1)
    True
    """
    word: int = np.random.Philox(key=seed, counter=position).random_raw()
    return (word >> 11) * 2.0**-53


def drawn(logits: Tensor, u: float, temperature: float) -> int:
    """The token that `u` chooses: the first, in the order of ids, up to which the probabilities of
    softmax(logits (V,) / temperature) add up to more than `u`; added up on the CPU, in fp64."""
    z = logits.cpu().double()  # MPS has no fp64
    sums = ((z - z.max()) / temperature).exp().cumsum(0)
    total = sums[-1].item()
    target = min(u * total, math.nextafter(total, 0))  # to which the largest u may be rounded up
    return int(torch.searchsorted(sums, target, right=True))


def _chosen(logits: Tensor, position: int, decoding: Decoding) -> Tensor:
    """The token, (), that comes at a position."""
    likeliest = _most_likely(logits)
    if decoding.is_greedy:
        return likeliest
    token = drawn(logits, uniform(decoding.seed, position), decoding.temperature)
    return torch.tensor(token, device=logits.device)


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
