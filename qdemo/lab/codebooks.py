"""What a grid's levels make of weights, in units of the largest weight of each block.

ŵ = absmax · level, the level nearest to w / absmax (Dettmers et al., "QLoRA", 2023, arXiv
2305.14314). So every grid, of integers too, is a codebook of levels from −1 to 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from qdemo.lab import CODEBOOKS, matrices
from qdemo.measure.weights import weight_error
from qdemo.numerics.grids import grid_of
from qdemo.numerics.linear import quantize_tensor
from qdemo.numerics.qtensor import blocks_of
from qdemo.spec.formats import GRIDS
from qdemo.spec.scheme import Scheme

GROUP = 64
"""Weights of a row that share a largest one; of a shorter row, all."""

BINS = 61
"""Of the histogram, from −1 to 1: an odd number, so that one of them has its middle at 0."""


@dataclass(frozen=True, eq=False)
class Snapped:
    """Weights in one grid. `levels` are all there are, −1 … 1; `units` (n_blocks, length) are the
    weights w / absmax, and `snapped` the levels that they become.

    `bits` are those a weight, scales counted; `rms` is of ŵ − w, and `sqnr` in dB, None where
    nothing is lost.
    """

    grid: str
    levels: tuple[float, ...]
    units: Tensor
    snapped: Tensor
    bits: float
    rms: float
    sqnr: float | None


def snapped(w: Tensor, grid: str) -> Snapped:
    """Weights (rows, columns) on that grid."""
    scheme = Scheme(grid, group_size=GROUP)
    q = quantize_tensor(w, scheme)
    error = weight_error(w, q)
    # What a level of 1 is worth in each block.
    whole = q.scale.reshape(-1, 1) * scheme.qmax
    units, values = blocks_of(w, scheme) / whole, blocks_of(q.dequantize(), scheme) / whole
    sqnr = error.sqnr_db if error.sum_sq_error else None
    bits = 8 * q.nbytes / w.numel()
    return Snapped(grid, levels(grid), units, values, bits, error.rms, sqnr)


def levels(grid: str) -> tuple[float, ...]:
    """Every number of a grid over its largest, each once, from −1 to 1.

    >>> levels("int2"), [round(level, 3) for level in levels("nf2")]
    ((-1.0, 0.0, 1.0), [-1.0, 0.0, 0.436, 1.0])
    """
    found = grid_of(GRIDS[grid])
    if found.format.kind == "integer":
        numbers = [float(q) for q in range(int(found.qmin), int(found.qmax) + 1)]
    else:
        numbers = found.decode(torch.arange(2**found.bits, dtype=torch.uint8)).tolist()
    return tuple(sorted({number / found.qmax + 0.0 for number in numbers}))


def all_snapped(w: Tensor) -> list[Snapped]:
    """The same weights on each of the grids."""
    return [snapped(w, grid) for grid in CODEBOOKS]


@cache
def of_layer(name: str) -> list[Snapped]:
    """Those of a whole weight of t5-tiny."""
    return all_snapped(matrices.layer(name))


def histogram(found: Snapped) -> tuple[list[float], list[float]]:
    """The middle of each bin of the weights in units, and the share of the weights in it."""
    counts = torch.histc(found.units.clamp(-1, 1), BINS, -1, 1)  # the last digit may be beyond
    width = 2 / BINS
    middles = [round(-1 + width * (i + 0.5), 6) for i in range(BINS)]
    return middles, (counts / max(1, found.units.numel())).tolist()
