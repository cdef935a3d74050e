"""Ranges that are searched for, every try kept so that it can be shown."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from qdemo.numerics.linear import choose_qparams, quantize_tensor
from qdemo.numerics.ranges import POWER, SHRINKINGS, STEPS, Rounder, half_quadratic, narrowed
from qdemo.spec.scheme import Scheme
from qdemo.spec.step import Step


@dataclass(frozen=True, eq=False)
class Search:
    """Forty ranges of the weights `w` (n,) that share a scale: of each its share of the whole range
    (`shares`), Σ|e|^2.4 (`powers`) and Σe² (`squares`). `whole` and `narrow` are ŵ with the whole
    range, and with the share `chosen` of it."""

    w: Tensor
    shares: tuple[float, ...]
    powers: tuple[float, ...]
    squares: tuple[float, ...]
    chosen: float
    whole: Tensor
    narrow: Tensor

    @property
    def best_square(self) -> float:
        """The share that leaves the least Σe², the widest of equals."""
        return self.shares[self.squares.index(min(self.squares))]


def search(w: Tensor, grid: str) -> Search:
    """The search of -mse for one block of weights (n,), on that grid."""
    scheme, block = Scheme(grid), w[None]
    rounder, (scale, _) = Rounder.of(scheme), choose_qparams(block, scheme)
    unit = scale.reshape(1, 1)
    least = torch.finfo(unit.dtype).tiny
    tried = [rounder(block, (unit * share).clamp(min=least))[1][0] for share in SHRINKINGS]
    errors = [(values - w).double().abs() for values in tried]
    share = (narrowed(block, rounder, unit) / unit).item()
    chosen = min(range(len(SHRINKINGS)), key=lambda i: abs(SHRINKINGS[i] - share))
    return Search(
        w,
        SHRINKINGS,
        tuple(error.pow(POWER).sum().item() for error in errors),
        tuple(error.square().sum().item() for error in errors),
        SHRINKINGS[chosen],
        tried[0],
        tried[chosen],
    )


@dataclass(frozen=True, eq=False)
class Moving:
    """HQQ's zero points while it looks for better ones: `zero_points` (steps, rows), from those
    that just hold each row's range to those that are kept; and of the whole matrix, at each step,
    the mean |e|, whose first rise ends the search, and the RMS of e."""

    zero_points: Tensor
    means: tuple[float, ...]
    rms: tuple[float, ...]


def moving(w: Tensor, bits: int) -> Moving:
    """The search of -hqq for weights (rows, columns), a scale a row, until it ends."""
    scheme = Step.parse(f"int{bits}-hqq").scheme
    assert scheme is not None
    found: list[Tensor] = []
    errors: list[Tensor] = []
    for steps in range(STEPS + 1):
        scale, zeros = half_quadratic(w, scheme.qmax, steps)
        if found and torch.equal(zeros[:, 0], found[-1]):
            break
        q = quantize_tensor(w, scheme, scale[:, 0], zeros[:, 0])
        found.append(zeros[:, 0])
        errors.append((q.dequantize() - w).double())
    means = tuple(error.abs().mean().item() for error in errors)
    rms = tuple(error.square().mean().sqrt().item() for error in errors)
    return Moving(torch.stack(found), means, rms)
