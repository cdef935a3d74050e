"""A number format as a value: its bits, its range, its precision, its levels.

Floating point follows IEEE 754-2019; the 8-bit formats follow Micikevicius et al., "FP8 Formats
for Deep Learning", 2022 (arXiv 2209.05433); e2m1 the Open Compute Project's "Microscaling Formats",
2023; bf16 is the upper half of an IEEE single. Codebooks have levels of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Literal

from qdemo.spec.messages import say

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Format:
    """A number format.

    `bits` is what one number needs. `exponent_bits` and `fraction_bits` are zero where it is no
    float. `finite_only` marks the formats without infinities, whose topmost exponent counts as an
    ordinary one (E4M3), and `has_nan` those in which all ones stand for NaN (E2M1 has none).
    `levels` are a codebook's numbers, in order, of which a stored one is the index.
    """

    name: str
    kind: Literal["float", "integer", "codebook"]
    bits: int
    exponent_bits: int = 0
    fraction_bits: int = 0
    finite_only: bool = False
    has_nan: bool = True
    signed: bool = True
    levels: tuple[float, ...] = ()

    @property
    def dtype(self) -> torch.dtype:
        """The torch dtype that holds one number: wider than `bits` below 8 bits, until they are
        packed."""
        import torch  # not sooner: it takes a second

        found: torch.dtype = getattr(torch, self.dtype_name)
        return found

    @property
    def dtype_name(self) -> str:
        """Its name: torch's own for its floats, and bytes for all else."""
        if self.kind == "integer" and self.signed:
            return "int8"
        return _DTYPES.get(self.name, "uint8")

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
        if self.kind == "codebook":
            return self.levels[-1]
        if not self.is_float:
            return int(2 ** (self.bits - self.signed)) - 1
        # E4M3 gives up only the last fraction of the top exponent (NaN), IEEE the whole exponent.
        fraction = 2 - 2 * self.eps if self.finite_only and self.has_nan else 2 - self.eps
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
        return middle if self.finite_only and self.has_nan else math.nextafter(middle, 0)

    @property
    def min(self) -> float:
        """The lowest finite number; two's complement reaches one further than `-max`."""
        if self.levels:
            return self.levels[0]
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
            raise ValueError(
                say("{name} has no unsigned view; only integer formats have one", name=self.name)
            )
        return FORMATS["u" + self.name.removeprefix("u")]

    @property
    def numbers(self) -> int:
        """How many different patterns there are."""
        return int(2**self.bits)

    def __str__(self) -> str:
        """The name."""
        return self.name


_DTYPES = {
    "fp64": "float64",
    "fp32": "float32",
    "fp16": "float16",
    "bf16": "bfloat16",
    "fp8_e4m3": "float8_e4m3fn",
    "fp8_e5m2": "float8_e5m2",
}


def _float(
    name: str, exponent: int, fraction: int, finite_only: bool = False, has_nan: bool = True
) -> Format:
    bits = 1 + exponent + fraction
    return Format(name, "float", bits, exponent, fraction, finite_only, has_nan)


def _integer(bits: int, signed: bool) -> Format:
    return Format(f"{'int' if signed else 'uint'}{bits}", "integer", bits, signed=signed)


def _codebook(name: str, *levels: float) -> Format:
    """Of 2^bits levels, in order; its largest is 1, what a block's largest weight becomes."""
    return Format(name, "codebook", len(levels).bit_length() - 1, levels=tuple(sorted(levels)))


def _normal_float(bits: int) -> tuple[float, ...]:
    """Levels that the weights of a normal distribution use evenly: one more above zero than below
    (Dettmers et al., "QLoRA", 2023, arXiv 2305.14314, equation 4, and the offset of its code)."""
    half = 2 ** (bits - 1)
    offset = 1 - (1 / (2 * half + 2 * half) + 1 / (2 * (2 * half - 1))) / 2
    quantile = NormalDist().inv_cdf
    above = [quantile(offset + (0.5 - offset) * i / half) for i in range(half)]
    below = [-quantile(offset + (0.5 - offset) * i / (half - 1)) for i in range(half - 1)]
    return tuple(level / above[0] for level in (*above, 0.0, *below))


FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        _float("fp64", 11, 52),
        _float("fp32", 8, 23),
        _float("fp16", 5, 10),
        _float("bf16", 8, 7),
        _float("fp8_e4m3", 4, 3, finite_only=True),
        _float("fp8_e5m2", 5, 2),
        *(_integer(bits, signed=True) for bits in range(8, 1, -1)),
        *(_integer(bits, signed=False) for bits in range(8, 1, -1)),
    )
}
"""Every number format by name."""

STORED_FORMATS = tuple(n for n, f in FORMATS.items() if f.signed and f.bits <= 8)
"""Those that weights can be quantized to."""

GRIDS: dict[str, Format] = {
    **{name: FORMATS[name] for name in STORED_FORMATS},
    **{
        format.name: format
        for format in (
            _float("e2m1", 2, 1, finite_only=True, has_nan=False),
            # Literals of QLoRA's code: its formula in fp64 differs in the seventh digit.
            _codebook(
                "nf4",
                -1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
                -0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0.0,
                0.07958029955625534, 0.16093020141124725, 0.24611230194568634,
                0.33791524171829224, 0.44070982933044434, 0.5626170039176941,
                0.7229568362236023, 1.0,
            ),
            _codebook("nf3", *_normal_float(3)),
            _codebook("nf2", *_normal_float(2)),
            # bitsandbytes' own float of 4 bits, which is not e2m1; its two zeros are one.
            _codebook(
                "fp4bnb",
                *(sign * size / 12 for size in (0, 0.0625, 2, 3, 4, 6, 8, 12) for sign in (1, -1)),
            ),
        )
    },
}  # fmt: skip
"""What a quantized weight may be stored in: those, and grids that only have a meaning with a scale.
A new one is one line."""


def get_format(name: str | torch.dtype | Format) -> Format:
    """The format of that name or torch dtype.

    >>> get_format("bf16").dtype_name
    'bfloat16'

    Raises:
        ValueError: there is no such format.
    """
    if isinstance(name, Format):
        return name
    found = FORMATS.get(name) if isinstance(name, str) else _of_dtype(str(name))
    if found is None:
        raise ValueError(
            say(
                "unknown format {text!r}; the formats are {names}",
                text=str(name),
                names=", ".join(FORMATS),
            )
        )
    return found


def _of_dtype(dtype: str) -> Format | None:
    named = dtype.removeprefix("torch.")
    return next((f for f in FORMATS.values() if f.dtype_name == named), None)
