"""A number format as a value: its bits, its range, its precision, the dtype that stores it.

Floating point follows IEEE 754-2019; the 8-bit formats follow Micikevicius et al., "FP8 Formats
for Deep Learning", 2022 (arXiv 2209.05433); bf16 is the upper half of an IEEE single.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch


@dataclass(frozen=True)
class Format:
    """A number format.

    `bits` is what one number needs; `dtype` is the torch dtype that holds it, which is wider than
    `bits` for integers below 8 bits until they are packed. `exponent_bits` and `fraction_bits`
    are zero for integers. `finite_only` marks the formats without infinities, whose topmost
    exponent counts as an ordinary one (E4M3).
    """

    name: str
    kind: Literal["float", "integer"]
    bits: int
    dtype: torch.dtype
    exponent_bits: int = 0
    fraction_bits: int = 0
    finite_only: bool = False
    signed: bool = True

    @property
    def is_float(self) -> bool:
        """Whether numbers are spaced by their size (float) or evenly (integer)."""
        return self.kind == "float"

    @property
    def bias(self) -> int:
        """What is subtracted from the stored exponent."""
        return int(2 ** (self.exponent_bits - 1)) - 1

    @property
    def max(self) -> float:
        """The largest finite number.

        >>> FORMATS["fp16"].max, FORMATS["fp8_e4m3"].max, FORMATS["int4"].max
        (65504.0, 448.0, 7)
        """
        if not self.is_float:
            return int(2 ** (self.bits - self.signed)) - 1
        # E4M3 gives up only the last fraction of the top exponent (NaN), IEEE the whole exponent.
        fraction = 2 - 2 * self.eps if self.finite_only else 2 - self.eps
        return float(fraction * 2.0 ** (self.bias + self.finite_only))

    @property
    def rounds_to_max(self) -> float:
        """The largest fp64 number that still rounds to `max`; above it is overflow.

        >>> FORMATS["fp16"].rounds_to_max < 65520, FORMATS["fp8_e4m3"].rounds_to_max
        (True, 464.0)
        """
        half_step = math.ulp(self.max) * 2.0 ** (51 - self.fraction_bits)
        middle = self.max + half_step
        # A tie goes to the even neighbour: `max` ends in a one, except in E4M3.
        return middle if self.finite_only else math.nextafter(middle, 0)

    @property
    def min(self) -> float:
        """The lowest finite number; two's complement reaches one further than `-max`."""
        if self.is_float:
            return -self.max
        return -self.max - 1 if self.signed else 0

    @property
    def eps(self) -> float:
        """The distance from 1 to the next larger number."""
        return 2.0**-self.fraction_bits if self.is_float else 1

    @property
    def smallest_normal(self) -> float:
        """The smallest positive number that has the full precision."""
        return 2.0 ** (1 - self.bias) if self.is_float else 1

    @property
    def smallest_subnormal(self) -> float:
        """The smallest positive number."""
        return self.smallest_normal * self.eps

    @property
    def unsigned(self) -> Format:
        """The same integers counted from 0, as affine quantization uses them.

        >>> FORMATS["int2"].unsigned.name, FORMATS["int2"].unsigned.max
        ('uint2', 3)
        """
        if self.is_float:
            raise ValueError(f"{self.name} has no unsigned view; only integer formats have one")
        return FORMATS["u" + self.name.removeprefix("u")]

    def __str__(self) -> str:
        """The name."""
        return self.name


def _float(
    name: str, dtype: torch.dtype, exponent: int, fraction: int, finite_only: bool = False
) -> Format:
    return Format(name, "float", 1 + exponent + fraction, dtype, exponent, fraction, finite_only)


def _integer(bits: int, signed: bool) -> Format:
    name, dtype = ("int", torch.int8) if signed else ("uint", torch.uint8)
    return Format(f"{name}{bits}", "integer", bits, dtype, signed=signed)


FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        _float("fp64", torch.float64, 11, 52),
        _float("fp32", torch.float32, 8, 23),
        _float("fp16", torch.float16, 5, 10),
        _float("bf16", torch.bfloat16, 8, 7),
        _float("fp8_e4m3", torch.float8_e4m3fn, 4, 3, finite_only=True),
        _float("fp8_e5m2", torch.float8_e5m2, 5, 2),
        *(_integer(bits, signed=True) for bits in range(8, 1, -1)),
        *(_integer(bits, signed=False) for bits in range(8, 1, -1)),
    )
}
"""Every format by name."""


def get_format(name: str | torch.dtype | Format) -> Format:
    """The format of that name or torch dtype.

    >>> get_format("bf16") is get_format(torch.bfloat16)
    True

    Raises:
        ValueError: there is no such format.
    """
    if isinstance(name, Format):
        return name
    if isinstance(name, torch.dtype):
        found = next((f for f in FORMATS.values() if f.dtype == name), None)
    else:
        found = FORMATS.get(name)
    if found is None:
        raise ValueError(f"unknown format {str(name)!r}; the formats are {', '.join(FORMATS)}")
    return found
