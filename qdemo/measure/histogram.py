"""Histograms of weight errors that add up exactly over tensors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

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
    def of(cls, values: Tensor) -> LinearHistogram:
        """The histogram of `values`, fp64 and all finite, zeros left out."""
        largest = values.abs().max().item() if values.numel() else 0.0
        # largest = m · 2^power with m below 1; beyond the limit 2^-power would be infinite
        power = max(math.frexp(largest)[1], -1000)
        places = (values * math.ldexp(BINS / 2, -power)).floor_() + BINS // 2  # both are exact
        counts = _count(places, BINS)
        counts[BINS // 2] -= values.numel() - int(torch.count_nonzero(values))
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


def log_counts(values: Tensor, unit: float) -> Tensor:
    """Counts of log10(|value| / unit), (LOG_BINS,) over LOG_RANGE; zeros are left out.

    The end bins take what is beyond. On this axis fp16, bf16, int8 and int4 are all readable in
    one picture.
    """
    low, high = LOG_RANGE
    decades = values.abs().log10_().sub_(math.log10(unit) + low)
    places = decades.mul_(LOG_BINS / (high - low)).clamp_(0, LOG_BINS - 1)
    counts = _count(places, LOG_BINS)
    counts[0] -= values.numel() - int(torch.count_nonzero(values))  # log10(0) fell below
    return counts


def log_edges() -> Tensor:
    """The borders of the bins of `log_counts`, (LOG_BINS + 1,), in decades."""
    return torch.linspace(*LOG_RANGE, LOG_BINS + 1, dtype=torch.float64)


def _count(places: Tensor, bins: int) -> Tensor:
    """How often each of 0 … bins − 1 is the whole part; bytes are counted fastest."""
    return torch.bincount(places.reshape(-1).to(torch.uint8), minlength=bins).cpu()
