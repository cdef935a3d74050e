"""How the loop over weights is told what to read, and where it tells what it found."""

from __future__ import annotations

from qdemo.loops.cells import RANKS
from qdemo.loops.machine import FIRST_OWN

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
FLOATS = ("fp32", "bf16", "fp16")

VECTOR = 16
"""Values of a vector, to which a row is filled up with zeros; and rows of a panel, of which a piece
of the work has whole ones."""

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


def takes_fp16(kind: str) -> bool:
    """Whether CPUs of that kind convert fp16, all of them."""
    return kind != "portable"
