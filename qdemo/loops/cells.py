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

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FRACTION, OCTAVES, EDGES = 6, 46, 109
SHIFT = 23 - FRACTION
CELLS = OCTAVES << FRACTION
"""Of one sign; what lies below is in the lowest one."""

RANKS = CELLS + EDGES
"""Of one sign: each edge makes one cell two."""

LINEAR_BINS = 256
_FINEST = (LINEAR_BINS // 2).bit_length() - 1  # octaves from a bin's width up to the last border

Integers = NDArray[np.int64]

_BORDERS = np.arange(LINEAR_BINS // 2, dtype=np.float32).view(np.int32)[1:]
"""The bits of all positive borders of linear bins but the last one, in widths of a bin."""


@dataclass(frozen=True)
class Cells:
    """Cells around the edges of each of T tensors: the bits of those, (T, EDGES), and of the `low`
    end of the lowest cell, a power of two, (T,)."""

    edges: NDArray[np.int32]
    low: NDArray[np.int32]

    @classmethod
    def around(cls, edges: NDArray[np.float32]) -> Cells:
        """Those, of rising edges, no two of which are in one cell."""
        bits = edges.view(np.int32)
        return cls(bits, ((bits[:, 0] >> 23) - 2) << 23)

    def of(self, which: list[int]) -> Cells:
        """Those of some of the tensors."""
        return Cells(self.edges[which], self.low[which])

    @property
    def are_floats(self) -> NDArray[np.bool_]:
        """Whether all cells of a tensor are in the range of fp32, (T,)."""
        exponent = self.low >> 23
        return (exponent > 0) & (exponent < 255 - OCTAVES)

    def powers(self, largest: NDArray[np.float32]) -> tuple[Integers, NDArray[np.bool_]]:
        """The smallest powers of two that the largest sizes (T,) are below, and whether there are
        cells enough for linear bins below that."""
        power = np.frexp(largest)[1].astype(np.int64)
        octaves = power - ((self.low >> 23) - 127)  # from the lowest cell on
        return power, (largest == 0) | ((octaves > _FINEST) & (octaves <= OCTAVES))

    def borders(self, power: Integers) -> Integers:
        """The cells at which linear bins of one sign begin or end, (T, LINEAR_BINS / 2 + 1)."""
        first = (power - _FINEST << 23) - self.low
        inner = (_BORDERS + first[:, None] >> SHIFT).clip(0, CELLS)
        return np.pad(inner, ((0, 0), (1, 1)), constant_values=((0, 0), (0, CELLS)))


def histograms(
    below_borders: Integers, below_edges: Integers, zeros: Integers
) -> tuple[Integers, Integers]:
    """How many errors are in each of `LINEAR_BINS` equal bins over [−2^power, 2^power); and how
    many sizes are below all edges, between neighbours and above: (T, bins).

    Given is how many lie below each border and each edge, (T, 2, borders), by sign, and how many of
    these are `zeros`, (T,), which count for nothing: they are in the lowest cell.
    """
    linear = np.diff(below_borders, axis=2)
    ends = below_borders[:, :, [0, -1]]
    below = np.concatenate([ends[..., :1], below_edges, ends[..., 1:]], axis=2)
    logarithmic = np.diff(below, axis=2).sum(1)
    linear[:, 0, 0] -= zeros
    logarithmic[:, 0] -= zeros
    return np.concatenate([linear[:, 1, ::-1], linear[:, 0]], axis=1), logarithmic


# --- how the loop is told what to read, and where it tells what it found

SQUARES, ERRORS = range(2)
"""What the kernel does with rows, which is the first number it is called with: Σw², or all else."""

PART = ("numbers", "first", "last", "slot", "scratch")
"""What tells of an item, a part of the rows of a tensor, 64 bits each: where the tensor's `NUMBERS`
are, the first row and the one behind the last, where the part's slot is, and memory of 16 rows,
`stride` bytes each, for panels."""

NUMBERS = (
    "rows", "length", "group", "numel", "w", "codes", "scales", "zeros", "table", "next_row",
    "next_group", "kind", "rounded", "bits", "offset", "low", "edges", "stride",
)  # fmt: skip
"""What tells of a tensor: `rows` of `length` values, `numel` in all, so that the last may be
shorter, in groups of `group`. Addresses: `w` fp32, `scales` fp32 or 0 where there are none, `zeros`
uint8 or 0, a `table` of sixteen fp32 values; how far the scale of the next row, and of the next
group, is from one's own. The places of the `kind` of the codes in `KINDS`, and of what ŵ is
`rounded` to in `FLOATS`. The `bits` of numbers in panels, or 0, and what is taken from numbers,
their `offset`. The bits of the `low` end of all cells, and where those of the `edges` are."""

KINDS = ("integers", "bytes", "table", "fp8_e4m3", "fp8_e5m2", "bf16", "fp16", "fp32")

PIECE = 1024
"""Values at a time: with all that is made of them, they fit into a core's nearest cache."""

BEYOND = 0.5 + 2**-10
"""Steps that an error has to be above not to be of rounding, that of a product included."""

HEAD = ("squares", "steps", "beyond", "zeroed", "exact", "largest")
"""A slot begins with so many numbers of 64 bits: Σe² and Σ(e / scale)², fp64; how many are off by
more than half a step, became zero, and have no error; and the bits of the largest size."""

AT_CELLS, AT_EDGES = 8 * len(HEAD), 8 * len(HEAD) + 8 * (CELLS + 1)
SLOT = AT_EDGES + 8 * EDGES
"""Bytes of a slot; from `AT_CELLS` on, (2, CELLS + 1), by sign, is how many lie below each cell and
below all ends, and from `AT_EDGES` on, (2, EDGES), how many below each edge: uint32."""
