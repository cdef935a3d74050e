"""Histograms of weight errors that add up exactly over tensors."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
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
        return self.pooled((self, other))

    @classmethod
    def pooled(cls, every: Iterable[LinearHistogram]) -> LinearHistogram:
        """The histogram of all of them; where none counts anything, that of the last."""
        counts: dict[int, list[Tensor]] = defaultdict(list)
        for one in every:
            counts[one.power].append(one.counts)
        sums = [cls(power, torch.stack(several).sum(0)) for power, several in counts.items()]
        filled = [one for one in sums if one.counts.any()] or sums[-1:]
        power = max(one.power for one in filled)
        wide = torch.stack([one.widened(power).counts for one in filled])
        return cls(power, wide.sum(0))


def log_counts(sizes: Tensor, unit: float, zeros: int | None = None) -> Tensor:
    """Counts of log10(size / unit), (LOG_BINS,) over LOG_RANGE; sizes of zero are left out.

    The end bins take what is beyond. On this axis fp16, bf16, int8 and int4 are all readable in
    one picture. Each size is in its own bin exactly, whatever the rounding of a logarithm.
    """
    zeros = sizes.numel() - nonzero(sizes) if zeros is None else zeros
    edges = log_edges_of(unit, sizes.dtype)
    is_usual = sizes.dtype == torch.float32 and edges[0] >= _SMALLEST and edges[-1] <= _LARGEST
    if is_usual and sizes.is_cpu:
        places = _looked_up(sizes, edges)
    else:
        borders = torch.from_numpy(edges).to(sizes.device)
        places = torch.bucketize(sizes, borders, right=True, out_int32=True)
    counts = _count(places)[:LOG_BINS]
    counts[0] -= zeros
    return counts


_SMALLEST, _LARGEST = (getattr(torch.finfo(torch.float32), name) for name in ("tiny", "max"))
_CELL = 20  # bits below those that tell a cell: eight to an octave, so at most one edge is in one


def _looked_up(sizes: Tensor, edges: NDArray[Any]) -> Tensor:
    """The bins of sizes, int32, from the bits of both. A cell has an offset: the bin of its lowest
    size, and what makes those from an edge on carry over. (Far faster than `bucketize`.)"""
    bits = edges.view(np.int32)
    cut = bits >> _CELL
    offsets = np.zeros(1 << 31 - _CELL, np.int32)
    offsets[cut + 1] = 1
    offsets = np.cumsum(offsets, dtype=np.int32) << _CELL
    offsets[cut] += (cut + 1 << _CELL) - bits
    ours = sizes.reshape(-1).view(torch.int32)
    cells = torch.bitwise_right_shift(ours, _CELL, out=scratch_like(ours, "cells"))
    index = converted(cells, torch.int64, "index")
    places = torch.index_select(torch.from_numpy(offsets), 0, index, out=cells)
    own = torch.bitwise_and(ours, (1 << _CELL) - 1, out=scratch_like(ours, "own"))
    return places.add_(own).bitwise_right_shift_(_CELL)


def log_edges_of(
    unit: float | NDArray[np.float64], dtype: torch.dtype = torch.float32
) -> NDArray[Any]:
    """Where all bins of `log_counts` but the first begin, (LOG_BINS − 1,), or (T, LOG_BINS − 1) for
    T units, (T, 1): the smallest numbers of fp32 or fp64 that are not below unit · 10^k / 10."""
    exact = unit * _DECADES
    if dtype == torch.float64:
        return exact
    with np.errstate(over="ignore"):
        edges = exact.astype(np.float32)
    return np.where(edges < exact, np.nextafter(edges, np.float32(np.inf)), edges)


_DECADES = 10.0 ** np.linspace(*LOG_RANGE, LOG_BINS + 1)[1:-1]


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
