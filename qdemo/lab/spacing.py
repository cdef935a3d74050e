"""How far the numbers of each format are apart, and how many there are."""

from __future__ import annotations

import math

from qdemo.lab.bitstrip import FLOATS
from qdemo.spec.formats import FORMATS, GRIDS, Format

SPACED = ("fp32", "fp16", "bf16", "fp8_e4m3", "fp8_e5m2", "e2m1")
"""Formats whose numbers are drawn by how far each is from the next."""


def formats() -> list[Format]:
    """Every format that there is, floats first, the widest of them first; then integers."""
    every = FORMATS | {"e2m1": GRIDS["e2m1"]}
    return sorted(every.values(), key=lambda format: (not format.is_float, format.name == "e2m1"))


def relative_spacing(name: str) -> tuple[list[float], list[float]]:
    """Powers of two that the format holds, and at each the step to the next number, relative.

    >>> sizes, steps = relative_spacing("fp16")
    >>> sizes[0], steps[0], sizes[-1], steps[-1]
    (5.960464477539063e-08, 1.0, 32768.0, 0.0009765625)
    """
    format = FLOATS[name]
    low = round(math.log2(format.smallest_subnormal))
    sizes = [2.0**power for power in range(low, math.floor(math.log2(format.max)) + 1)]
    return sizes, [_step(format, size) / size for size in sizes]


def _step(format: Format, size: float) -> float:
    """The unit in the last place: the same for all subnormals, then growing with the size."""
    return max(format.eps * size, format.smallest_subnormal)


def count(name: str) -> int:
    """How many different finite numbers a float format holds, zero once.

    >>> count("fp16"), count("fp8_e4m3")
    (63487, 253)
    """
    format = FLOATS[name]
    exponents = 2**format.exponent_bits - (0 if format.finite_only else 1)
    nans = format.finite_only and format.has_nan
    patterns = int(exponents * 2**format.fraction_bits - nans)
    return 2 * patterns - 1
