"""The bits of one value in a float format: sign, exponent, fraction, value, neighbours.

Everything is exact: values are fractions, rounding is done on integers. Nothing here asks torch,
which makes this the second opinion that torch's casts are tested against.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from qdemo.numerics.exact import Exact, is_finite, to_decimal, to_exact
from qdemo.spec.formats import Format, get_format
from qdemo.spec.messages import say


@dataclass(frozen=True)
class Bits:
    """One pattern of a float format, as an unsigned integer of `format.bits` bits."""

    format: Format
    pattern: int

    def __post_init__(self) -> None:
        """Refuse a pattern that the format has no room for."""
        if not self.format.is_float:
            raise ValueError(say("{format} is not a float format", format=self.format))
        if not 0 <= self.pattern < 2**self.format.bits:
            raise ValueError(
                say(
                    "pattern {pattern:#x} does not fit the {bits} bits of {format}",
                    pattern=self.pattern,
                    bits=self.format.bits,
                    format=self.format,
                )
            )

    @property
    def sign(self) -> int:
        """1 where negative."""
        return self.pattern >> (self.format.bits - 1)

    @property
    def exponent(self) -> int:
        """The exponent as stored, the bias included."""
        return self.pattern >> self.format.fraction_bits & _ones(self.format.exponent_bits)

    @property
    def fraction(self) -> int:
        """The fraction as stored, without the implicit leading one."""
        return self.pattern & _ones(self.format.fraction_bits)

    @property
    def kind(self) -> str:
        """One of normal, subnormal, zero, infinity, NaN."""
        if self.exponent == _ones(self.format.exponent_bits):
            if not self.format.finite_only:
                return "NaN" if self.fraction else "infinity"
            if self.format.has_nan and self.fraction == _ones(self.format.fraction_bits):
                return "NaN"
        if self.exponent:
            return "normal"
        return "subnormal" if self.fraction else "zero"

    @property
    def value(self) -> Exact:
        """The value stored, exactly.

        >>> from_pattern(0x3C00, "fp16").value
        Fraction(1, 1)
        """
        sign = -1 if self.sign else 1
        if self.kind == "NaN":
            return math.nan
        if self.kind == "infinity":
            return sign * math.inf
        if self.kind == "zero" and self.sign:
            return -0.0
        implicit = 1 << self.format.fraction_bits if self.exponent else 0
        power = max(self.exponent, 1) - self.format.bias - self.format.fraction_bits
        return sign * (implicit + self.fraction) * Fraction(2) ** power

    @property
    def below(self) -> Bits | None:
        """The next lower pattern in value, or None where there is none."""
        return self._neighbour(-1)

    @property
    def above(self) -> Bits | None:
        """The next higher pattern in value, or None where there is none."""
        return self._neighbour(1)

    def flip(self, bit: int) -> Bits:
        """The pattern with one bit toggled; bit 0 is the last of the fraction.

        >>> from_value(1, "fp16").flip(15).value
        Fraction(-1, 1)

        Raises:
            ValueError: there is no such bit.
        """
        if not 0 <= bit < self.format.bits:
            raise ValueError(
                say(
                    "bit {bit} is not in 0 … {last} of {format}",
                    bit=bit,
                    last=self.format.bits - 1,
                    format=self.format,
                )
            )
        return Bits(self.format, self.pattern ^ 1 << bit)

    def decimal(self, digits: int = 60) -> str:
        """The stored value with `digits` digits after the point, rounded half to even.

        >>> from_value(Fraction(1, 3), "bf16").decimal(12)
        '0.333984375000'
        """
        return to_decimal(self.value, digits)

    def error(self, wanted: Exact) -> Exact:
        """Stored minus wanted, exactly; NaN where either is not finite and they differ."""
        if self.value == wanted:
            return Fraction(0)
        if not (is_finite(self.value) and is_finite(wanted)):
            return math.nan
        return Fraction(self.value) - Fraction(wanted)

    def _neighbour(self, step: int) -> Bits | None:
        if self.kind == "NaN":
            return None
        order = -(self.pattern ^ 1 << self.format.bits - 1) if self.sign else self.pattern
        if order + step == 0 and self.kind != "zero":
            moved = self.sign << self.format.bits - 1  # a zero keeps the sign that led to it
        else:
            order += step
            if abs(order) >= 1 << self.format.bits - 1:
                return None
            moved = order if order >= 0 else -order | 1 << self.format.bits - 1
        found = Bits(self.format, moved)
        return None if found.kind == "NaN" else found


def from_pattern(pattern: int | str, format: str | Format) -> Bits:
    """The bits given as an unsigned integer, or as text such as "0x3C00" or "0b101".

    Raises:
        ValueError: the text is no integer, or the pattern does not fit the format.
    """
    if isinstance(pattern, str):
        try:
            pattern = int(pattern, 0)
        except ValueError:
            raise ValueError(
                say("{pattern!r} is no pattern; expected one such as 0x3C00", pattern=pattern)
            ) from None
    return Bits(get_format(format), pattern)


def from_value(value: int | float | str | Decimal | Fraction, format: str | Format) -> Bits:
    """The pattern nearest to `value`, ties to even; text may be a decimal or a fraction.

    What is too large becomes infinite; in fp8_e4m3, which has no infinity, it stays at ±448
    (the saturating conversion of arXiv 2209.05433, torch's since 2.12), and so in e2m1 at ±6.

    >>> hex(from_value("1/3", "bf16").pattern)
    '0x3eab'

    Raises:
        ValueError: the text is not a number, or NaN is asked of a format that has none.
    """
    target = get_format(format)
    exact = to_exact(value)
    negative = math.copysign(1, exact) < 0 if isinstance(exact, float) else exact < 0
    sign = int(negative) << target.bits - 1
    if isinstance(exact, float) and math.isnan(exact):
        return Bits(target, sign | nan_pattern(target))
    if isinstance(exact, float) and math.isinf(exact):
        return Bits(target, sign | _overflow(target))
    return Bits(target, sign | _round(abs(Fraction(exact)), target))


def _round(size: Fraction, target: Format) -> int:
    """The pattern, without its sign, nearest to a size of zero or more."""
    exponent = max(_floor_log2(size), 1 - target.bias) if size else 1 - target.bias
    steps = round(size / Fraction(2) ** (exponent - target.fraction_bits))  # half to even
    # A normal number's steps hold the implicit one, which adds the missing 1 to the exponent;
    # steps that reach the next power of two carry into it in the same way.
    return min(((exponent + target.bias - 1) << target.fraction_bits) + steps, _overflow(target))


def _floor_log2(size: Fraction) -> int:
    guess = size.numerator.bit_length() - size.denominator.bit_length()
    return guess if size >= Fraction(2) ** guess else guess - 1


def nan_pattern(target: Format) -> int:
    """The pattern of NaN, without a sign: the quiet one where there are several.

    Raises:
        ValueError: the format has none.
    """
    if not target.has_nan:
        raise ValueError(
            say("{target} has no NaN; expected a finite number, or an infinite one", target=target)
        )
    fraction = _ones(target.fraction_bits) if target.finite_only else 1 << target.fraction_bits - 1
    return _exponent_ones(target) | fraction


def _overflow(target: Format) -> int:
    """What stands for all that is too large: infinity, or the largest number without one."""
    if not target.finite_only:
        return _exponent_ones(target)
    return _ones(target.bits - 1) - target.has_nan


def _exponent_ones(target: Format) -> int:
    return _ones(target.exponent_bits) << target.fraction_bits


def _ones(n: int) -> int:
    return (1 << n) - 1
