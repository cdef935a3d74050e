"""The scales and minima that K-quants of GGUF files ask for: a search by weighted least squares.

Blocks are rounded with a few scales around that of their range, and for the integers that come out
the scale, and the minimum, are those of least squares; the best is kept. Larger weights count more:
by |w| and the root mean square of their block, or by w². (As ggml does it: make_qkx2_quants,
make_qx_quants, by I. Kawrakow.)
"""

from __future__ import annotations

import torch
from torch import Tensor

from qdemo.numerics.blocks import TILE
from qdemo.numerics.qparams import QParams
from qdemo.spec.scheme import Scheme

_TILE = TILE // 4
"""Values at a time: each has several others beside it."""


def searched(blocks: Tensor, scheme: Scheme) -> QParams:
    """What blocks (n_blocks, length) ask for: (n_blocks,) each."""
    if not blocks.numel():
        none = blocks.new_zeros(0, dtype=torch.float32)
        return QParams(none, minimum=None if scheme.symmetric else none)
    height = max(1, _TILE // max(1, blocks.shape[1]))
    search = _symmetric if scheme.symmetric else _affine
    parts = [search(part.float(), scheme) for part in blocks.split(height)]
    scale, minimum = (torch.cat(every) for every in zip(*parts, strict=True))
    return QParams(scale, minimum=None if scheme.symmetric else minimum)


_TRIALS = {2: (-0.5, 16), 4: (-1.0, 21), 5: (-0.5, 16)}
"""By bits: where trials begin, in tenths of a step that the range is more than qmax of, and how
many there are."""


def _affine(x: Tensor, scheme: Scheme) -> tuple[Tensor, Tensor]:
    """Scales, and minima that are not above 0."""
    qmax, (first, trials) = scheme.qmax, _TRIALS[scheme.bits]
    high, minimum = x.amax(1, keepdim=True), x.amin(1, keepdim=True).clamp(max=0)
    is_flat = high <= minimum
    high = torch.where(is_flat, 1, high)
    scale = (high - minimum) / qmax
    fit = _Fit(x, scheme)
    least = fit.error(fit.rounded(1 / scale, minimum), scale, minimum)
    for trial in range(trials):
        # From the best minimum so far on, which is nearer to where the next trial ends.
        q = fit.rounded((qmax + first + 0.1 * trial) / (high - minimum), minimum)
        own, lowest = fit.solved(q)
        error = fit.error(q, own, lowest)
        is_better = error < least  # never where there is no solution, which is NaN
        least = torch.where(is_better, error, least)
        scale = torch.where(is_better, own, scale)
        minimum = torch.where(is_better, lowest, minimum)
    return torch.where(is_flat, 0, scale)[:, 0], minimum[:, 0]


class _Fit:
    """Weighted least squares of blocks (n, length): all sums are (n, 1)."""

    def __init__(self, x: Tensor, scheme: Scheme) -> None:
        self.x, self.qmax = x, scheme.qmax
        self.by_size = scheme.bits == 2  # then errors themselves add up, not their squares
        size = x.abs()
        self.weight = size if self.by_size else size + x.square().mean(1, keepdim=True).sqrt()
        self.weights = self._sum(self.weight)
        self.weighted = self.weight * x
        self.values = self._sum(self.weighted)

    def rounded(self, inverse: Tensor, low: Tensor) -> Tensor:
        """The integers of such a scale and minimum."""
        return ((self.x - low) * inverse).round_().clamp_(0, self.qmax)

    def solved(self, q: Tensor) -> tuple[Tensor, Tensor]:
        """The scale and minimum nearest to x for these integers; the minimum is 0 where it would be
        above."""
        by_q = self.weight * q
        ones, squares, products = self._sum(by_q), self._sum(by_q * q), self._sum(self.weighted * q)
        inverse = 1 / (self.weights * squares - ones.square())
        scale = (self.weights * products - self.values * ones) * inverse
        minimum = (squares * self.values - ones * products) * inverse
        is_above = minimum > 0
        scale = torch.where(is_above, products / squares, scale)
        return scale, torch.where(is_above, 0, minimum)

    def error(self, q: Tensor, scale: Tensor, minimum: Tensor) -> Tensor:
        """What is left."""
        apart = q * scale + minimum - self.x
        return self._sum(self.weight * (apart.abs() if self.by_size else apart.square()))

    def _sum(self, x: Tensor) -> Tensor:
        return x.sum(1, keepdim=True)


_STEPS = {3: [0], 6: sorted(range(-9, 10), key=abs)}
"""By bits: trials, in tenths of a step that the largest is more than the lowest integer."""


def _symmetric(x: Tensor, scheme: Scheme) -> tuple[Tensor, Tensor]:
    """Scales with a sign, as the value of largest size is among the lowest integers; no minima."""
    levels = 2.0 ** (scheme.bits - 1)
    largest = x.gather(1, x.abs().argmax(1, keepdim=True))
    safe = torch.where(largest == 0, 1, largest)
    weighted = x.square() * x  # Σ w² · (s·q − w)² is least for s = Σ w³q / Σ w²q²
    scale, best, found = torch.zeros_like(largest), torch.zeros_like(largest), torch.zeros_like(x)
    for step in _STEPS[scheme.bits]:
        q = (x * (-(levels + 0.1 * step) / safe)).round_().clamp_(-levels, levels - 1)
        products = (weighted * q).sum(1, keepdim=True)
        squares = (x * q).square().sum(1, keepdim=True)
        gained = products.square() / squares  # how much less is left than of zeros
        is_better = gained > best
        best = torch.where(is_better, gained, best)
        scale = torch.where(is_better, products / squares, scale)
        found = torch.where(is_better, q, found)
    if scheme.bits == 3:
        scale = _refined(x, found)
    return scale[:, 0], torch.zeros_like(scale)[:, 0]


_PASSES = 5


def _refined(x: Tensor, q: Tensor) -> Tensor:
    """The scale once each integer in turn, of few levels, became the nearest for the others."""
    q, weight = q.clone(), x.square()
    products = (weight * x * q).sum(1)
    squares = (weight * q * q).sum(1)
    for column in [*range(x.shape[1])] * _PASSES:
        w, one, old = weight[:, column], x[:, column], q[:, column]
        others, size = products - w * one * old, squares - w * old * old
        new = (one * size / others).round_().clamp_(-4, 3)
        more, length = others + w * one * new, size + w * new * new
        gains = more.square() * squares > products.square() * length
        is_better = (others > 0) & (length > 0) & gains  # others' scale is above 0: as ggml does
        q[:, column] = torch.where(is_better, new, old)
        products = torch.where(is_better, more, products)
        squares = torch.where(is_better, length, squares)
    return torch.where(squares > 0, products / squares, 0)[:, None]
