"""Numbers held exactly: fractions, and floats only for what fractions lack."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

from qdemo.spec.messages import say

Exact = Fraction | float
"""A finite value exactly; infinities, NaN and minus zero as floats."""

_LONGEST = 200
_LARGEST_POWER = 5000  # fp64 ends at 308; an exact fraction of far more digits would never end


def to_exact(value: int | float | str | Decimal | Fraction) -> Exact:
    """The value as an exact fraction, or as a float where it is NaN, infinite or minus zero.

    Raises:
        ValueError: the text is not a number.
    """
    if isinstance(value, str):
        value = _read(value)
    if not is_finite(value):
        return float(value)
    if value == 0 and not isinstance(value, Fraction) and math.copysign(1, value) < 0:
        return -0.0
    return Fraction(value)


def to_decimal(value: Exact, digits: int) -> str:
    """`value` with `digits` digits after the point, rounded half to even.

    Raises:
        ValueError: `digits` is negative.
    """
    if digits < 0:
        raise ValueError(say("digits is {digits}, expected 0 or more", digits=digits))
    if not is_finite(value):
        return str(value)
    exact = Fraction(value)
    scaled = round(abs(exact) * 10**digits)
    negative = exact < 0 or (isinstance(value, float) and math.copysign(1, value) < 0)
    text = str(scaled).rjust(digits + 1, "0")
    whole, rest = text[: len(text) - digits], text[len(text) - digits :]
    return ("-" if negative else "") + whole + ("." + rest if digits else "")


def is_finite(value: int | float | Decimal | Fraction) -> bool:
    """Whether it is neither infinite nor NaN."""
    if isinstance(value, Decimal):
        return value.is_finite()
    return isinstance(value, int | Fraction) or math.isfinite(value)


def _read(text: str) -> Fraction | Decimal:
    if len(text) > _LONGEST:
        raise ValueError(
            say(
                "{count} characters are too long for a number; at most {longest}",
                count=len(text),
                longest=_LONGEST,
            )
        )
    try:
        number = Fraction(text) if "/" in text else Decimal(text)
    except (ValueError, ArithmeticError):
        raise ValueError(
            say("{text!r} is not a number; expected a decimal or a fraction", text=text)
        ) from None
    if isinstance(number, Decimal) and number.is_finite() and _is_extreme(number):
        raise ValueError(
            say(
                "{text!r} is beyond 10 to the power ±{largest_power}",
                text=text,
                largest_power=_LARGEST_POWER,
            )
        )
    return number


def _is_extreme(number: Decimal) -> bool:
    return number != 0 and abs(number.adjusted()) > _LARGEST_POWER
