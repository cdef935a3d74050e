"""Histograms of weight errors that add up exactly over tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from qdemo.numerics.blocks import converted, scratch_like

BINS = 256
LOG_RANGE = (-9.0, 2.0)
LOG_BINS = 110  # tenths of a decade


@dataclass(frozen=True, eq=False)
class LinearHistogram:
    """Counts of errors in `BINS` equal bins over [−2^power, 2^power).

    The power is the smallest that holds the largest error. Doubling a range joins neighbouring
    bins in pairs, so histograms of different powers add up exactly.
    """

    power: int
    counts: Tensor

    @classmethod
    def of(
        cls, values: Tensor, zeros: int | None = None, largest: float | None = None
    ) -> LinearHistogram:
        """The histogram of `values`, floats and all finite, of which `zeros` are left out.

        `largest` is the largest size, where it is known already.
        """
        zeros = values.numel() - nonzero(values) if zeros is None else zeros
        if largest is None:
            largest = values.abs().max().item() if values.numel() else 0.0
        # largest = m · 2^power with m below 1; beyond the limit 2^-power would be infinite
        power = max(math.frexp(largest)[1], -1000)
        places = torch.mul(
            values, math.ldexp(BINS / 2, -power), out=scratch_like(values, "passing")
        ).floor_()  # exact; −128 … 127
        counts = _count(places).roll(BINS // 2)
        counts[BINS // 2] -= zeros
        return cls(power, counts)

    @property
    def edges(self) -> Tensor:
        """The borders of the bins, (BINS + 1,), fp64, in the unit of the weights."""
        steps = torch.arange(-BINS // 2, BINS // 2 + 1, dtype=torch.float64)
        return steps * math.ldexp(2 / BINS, self.power)

    def widened(self, power: int) -> LinearHistogram:
        """The same counts over the wider range [−2^power, 2^power)."""
        counts = self.counts
        for _ in range(min(power - self.power, BINS.bit_length())):
            halves = counts.reshape(-1, 2).sum(1)  # (BINS / 2,), the middle of the new range
            counts = torch.nn.functional.pad(halves, (BINS // 4, BINS // 4))
        return LinearHistogram(power, counts)

    def __add__(self, other: LinearHistogram) -> LinearHistogram:
        """The histogram of both."""
        if not (self.counts.any() and other.counts.any()):
            return self if self.counts.any() else other
        power = max(self.power, other.power)
        counts = self.widened(power).counts + other.widened(power).counts
        return LinearHistogram(power, counts)


def log_counts(sizes: Tensor, unit: float, zeros: int | None = None) -> Tensor:
    """Counts of log10(size / unit), (LOG_BINS,) over LOG_RANGE; sizes of zero are left out.

    The end bins take what is beyond. On this axis fp16, bf16, int8 and int4 are all readable in
    one picture. In fp32 about one size in a million falls into the bin beside its own.
    """
    zeros = sizes.numel() - nonzero(sizes) if zeros is None else zeros
    low, high = LOG_RANGE
    decades = torch.log10(sizes, out=scratch_like(sizes, "passing")).sub_(math.log10(unit) + low)
    places = decades.mul_(LOG_BINS / (high - low)).clamp_(0, LOG_BINS - 1)
    counts = _count(places)[:LOG_BINS]
    counts[0] -= zeros  # log10(0) fell below
    return counts


def log_edges() -> Tensor:
    """The borders of the bins of `log_counts`, (LOG_BINS + 1,), in decades."""
    return torch.linspace(*LOG_RANGE, LOG_BINS + 1, dtype=torch.float64)


def nonzero(values: Tensor) -> int:
    """How many are not zero, NaN none of them. (torch's own count takes twice as long.)"""
    counting = torch.float32 if values.numel() < _EXACT else torch.float64
    wide = converted(values, torch.promote_types(values.dtype, counting), "passing")
    signs = torch.sign(wide, out=scratch_like(wide, "passing"))
    return int(signs.abs_().sum().item())


_EXACT = 2**24
"""Up to here fp32 counts without a gap."""


def _count(places: Tensor) -> Tensor:
    """How often each byte occurs, (256,), negative ones last. torch makes floats signed bytes five
    times as fast as unsigned ones, and counts bytes fastest."""
    as_bytes = scratch_like(places, "bytes", torch.int8).copy_(places).view(torch.uint8)
    return torch.bincount(as_bytes.reshape(-1), minlength=256).cpu()
