"""Cells that errors of weights are counted in, which are finer than the bins of any histogram.

Floats are in the order of their bits: a cell is the sizes that share the exponent and the first
`FRACTION` bits behind it. The borders of linear bins are sums of a few powers of two, which fall
between cells. The edges of logarithmic bins fall anywhere, and cut their cell in two. The number of
such a part, its rank, is how many cells and edges lie below. A table with an offset for each cell
gives it, as (bits + offset) >> SHIFT: from an edge on the sum carries over. So one look-up and one
count serve both histograms, with exact edges.

Negative errors have cells of their own, and the bits of their sizes are less by one, as a bin holds
its lower edge: of a negative one, the edge that is farther from zero.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qdemo.loops.machine import FIRST_OWN

FRACTION, OCTAVES, EDGES = 6, 46, 109
SHIFT = 23 - FRACTION
CELLS = OCTAVES << FRACTION
"""Of one sign; what lies below is in the lowest one."""

RANKS = CELLS + EDGES
"""Of one sign: each edge makes one cell two."""

LINEAR_BINS = 256
_FINEST = (LINEAR_BINS // 2).bit_length() - 1  # octaves from a bin's width up to the last border

Counts = NDArray[np.int64]

_SIGNS = np.arange(2, dtype=np.int32)[:, None]
_ABOVE_EDGES = _SIGNS * RANKS + np.arange(1, EDGES + 1, dtype=np.int32)
_BORDERS = np.arange(1, LINEAR_BINS // 2, dtype=np.float32).view(np.int32)
"""The bits of all positive borders of linear bins but the last one, in widths of a bin."""


@dataclass(frozen=True)
class Cells:
    """Cells around given edges: the bits of the `low` end of the lowest one, a power of two; their
    `offsets`, (2, CELLS), by sign; how many edges lie `below` them, (2, CELLS + 1); and which cell
    each edge `cut`, (2, EDGES)."""

    low: int
    offsets: NDArray[np.int32]
    below: NDArray[np.int32]
    cut: NDArray[np.int32]

    @classmethod
    def around(cls, edges: NDArray[np.float32]) -> Cells | None:
        """Those, of `EDGES` rising edges, no two of which are in one cell; None where they would
        leave the range of fp32."""
        bits = edges.view(np.int32)
        exponent = (int(bits[0]) >> 23) - 2
        if not 0 < exponent < 255 - OCTAVES:
            return None
        above = bits - (exponent << 23) - _SIGNS
        cut = above >> SHIFT
        below = np.zeros((2, CELLS + 1), np.int32)
        below[_SIGNS, cut + 1] = 1
        np.cumsum(below, axis=1, out=below)
        offsets = (below[:, :-1] + _SIGNS * EDGES) << SHIFT
        offsets[_SIGNS, cut] += (cut + 1 << SHIFT) - above
        return cls(exponent << 23, offsets, below, cut)

    def power(self, largest: float) -> int | None:
        """The smallest power of two that the largest size is below; None where the cells are too
        few for linear bins below that."""
        power = math.frexp(largest)[1]
        octaves = power - ((self.low >> 23) - 127)  # from the lowest cell on
        return power if not largest or _FINEST < octaves <= OCTAVES else None

    def histograms(
        self, counts: NDArray[np.uint32], nonzero: int, power: int
    ) -> tuple[Counts, Counts]:
        """How many of the errors that are not zero, of the counts of all ranks, are in each of
        `LINEAR_BINS` equal bins over [−2^power, 2^power); and how many sizes are below all edges,
        between neighbours and above. Zeros are counted in the lowest rank, if at all."""
        up_to = np.empty(2 * RANKS + 1, np.int64)
        np.cumsum(counts, out=up_to[1:])
        up_to -= up_to[-1] - nonzero
        up_to[0] = 0
        cells = ((_BORDERS + (power - _FINEST << 23) - self.low) >> SHIFT).clip(0, CELLS)
        borders = cells + self.below[:, cells] + _SIGNS * RANKS
        ends = _SIGNS * RANKS
        ranks = np.concatenate(
            [ends, borders, ends + RANKS, ends, self.cut + _ABOVE_EDGES, ends + RANKS], axis=1
        )
        between = np.diff(up_to[ranks], axis=1)
        linear, logarithmic = between[:, : LINEAR_BINS // 2], between[:, -EDGES - 1 :]
        return np.concatenate([linear[1, ::-1], linear[0]]), logarithmic[0] + logarithmic[1]


# --- how the loop is told what to read, and where it tells what it found

SQUARES, ERRORS = range(2)
"""What the kernel does with rows, which is the first number it is called with: Σw², or all else."""

NUMBERS = (
    "length", "group", "numel", "w", "codes", "scales", "zeros", "table", "next_row", "next_group",
    "kind", "rounded", "bits", "offset", "low", "cells", "slots", "scratch", "stride",
)  # fmt: skip
"""What tells of the work behind the machine's own numbers. Rows of `length` values, `numel` in all,
so that the last may be shorter, in groups of `group`. Addresses: `w` fp32, `scales` fp32 or 0 where
there are none, `zeros` uint8 or 0, a `table` of sixteen fp32 values; how far the scale of the next
row, and of the next group, is from one's own. The places of the `kind` of the codes in `KINDS`, and
of what ŵ is `rounded` to in `FLOATS`. The `bits` of numbers in panels, or 0, and what is taken from
numbers, their `offset`. The bits of the `low` end of all cells, and their offsets, uint32. For each
piece of the work a slot, and `scratch` memory of 16 rows, `stride` bytes each, for panels."""

KINDS = ("integers", "bytes", "table", "fp8_e4m3", "fp8_e5m2", "bf16", "fp16", "fp32")

PIECE = 1024
"""Values at a time: with all that is made of them, they fit into a core's nearest cache."""

BEYOND = 0.5 + 2**-10
"""Steps that an error has to be above not to be of rounding, that of a product included."""

HEAD = ("squares", "steps", "beyond", "zeroed", "exact", "largest")
"""A slot begins with so many numbers of 64 bits: Σe² and Σ(e / scale)², fp64; how many are off by
more than half a step, became zero, and have no error; and the bits of the largest size."""
SLOT = 8 * len(HEAD) + 4 * 2 * RANKS
"""Bytes; behind the head are the counts of all ranks, uint32."""


def place_of(name: str) -> int:
    """Where among all numbers of the work one of `NUMBERS` is."""
    return FIRST_OWN + NUMBERS.index(name)
