"""How far one model's logits are from another's on many inputs: one KL and one count an input.

As `qdemo.measure.logits`, which says all that there is to say of one input, but for a thousand of
them: inputs together, and only what their evaluation asks for.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from qdemo.measure.likelihood import losses

_TOGETHER = 2**21
"""Logits that are looked at together: 16 MB in fp64."""


@dataclass(frozen=True)
class Apart:
    """Of one input: the mean of KL(P_ref ‖ P) over its `positions`, in nats, infinite where a logit
    is not finite; and how many have a most likely token in common."""

    kl: float
    same: int
    positions: int


def apart(reference: Sequence[Tensor], other: Sequence[Tensor]) -> list[Apart]:
    """That of each input, from logits (T, V) at the same T positions of both.

    >>> z = torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    >>> apart([z], [z])
    [Apart(kl=0.0, same=2, positions=2)]
    """
    lengths = [len(z) for z in reference]
    if not lengths:
        return []
    parts = zip(_together(reference), _together(other), strict=True)
    kl, same = zip(*(_by_position(*part) for part in parts), strict=True)
    each = zip(torch.cat(kl).split(lengths), torch.cat(same).split(lengths), strict=True)
    return [Apart(_mean(k), int(s.sum()), len(k)) for k, s in each]


def loss_of(logits: Tensor, tokens: Sequence[int]) -> float:
    """The mean of −log p of the T tokens that came, in nats, of logits (T, V) before each."""
    known = torch.tensor(tokens, device=logits.device)
    return _mean(losses(logits, known))


def _together(each: Sequence[Tensor]) -> Iterator[Tensor]:
    """All positions, a bounded number of them at a time."""
    every = torch.cat(list(each))
    return iter(every.split(max(1, _TOGETHER // every.shape[1])))


def _by_position(z_ref: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    """KL (T,) and whether the most likely token is the same (T,), on the CPU."""
    z_ref, z = z_ref.cpu().double(), z.cpu().double()  # MPS has no fp64
    finite = torch.isfinite(z).all(1)
    log_ref, log_p = z_ref.log_softmax(1), z.log_softmax(1)
    kl = (log_ref.exp() * (log_ref - log_p)).sum(1).clamp(min=0)  # rounding can dip below 0
    both = (z == z.amax(1, keepdim=True)) & (z_ref == z_ref.amax(1, keepdim=True))
    return torch.where(finite, kl, math.inf), both.any(1) & finite


def _mean(values: Tensor) -> float:
    found: float = values.mean().item()
    return found if math.isfinite(found) else math.inf
