"""Where the numbers of each format lie: how far each is from the next, beside its own size."""

from __future__ import annotations

import math

from qdemo.spec.formats import FORMATS, Format

SHOWN = ("fp32", "fp16", "bf16", "fp8_e4m3", "fp8_e5m2")


def formats() -> list[Format]:
    """Every format that there is, of floats and of integers."""
    return list(FORMATS.values())


def relative_spacing(name: str) -> tuple[list[float], list[float]]:
    """Powers of two that the format holds, and at each the step to the next number, relative.

    >>> sizes, steps = relative_spacing("fp16")
    >>> sizes[0], steps[0], sizes[-1], steps[-1]
    (5.960464477539063e-08, 1.0, 32768.0, 0.0009765625)
    """
    format = FORMATS[name]
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
    format = FORMATS[name]
    exponents = 2**format.exponent_bits - (0 if format.finite_only else 1)
    patterns = int(exponents * 2**format.fraction_bits - format.finite_only)
    return 2 * patterns - 1
