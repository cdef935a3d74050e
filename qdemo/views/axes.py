"""Axes: how values become places, and which values are written at them. A log axis has powers of
ten and nothing between them."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

MOST = 8
"""How many powers are written on an axis."""

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Axis:
    """How values become places: `low` is drawn at `start` and `high` at `end`, both in px."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def at(self, value: float) -> float:
        """The place of a value; on a log axis, of one above zero."""
        shown = math.log10(value) if self.is_log else value
        share = (shown - self.low) / ((self.high - self.low) or 1)
        return self.start + share * (self.end - self.start)

    def holds(self, value: float) -> bool:
        """Whether the value lies on the axis, and not beyond its ends."""
        low, high = sorted((self.start, self.end))
        return low - 0.01 <= self.at(value) <= high + 0.01


def nice(low: float, high: float, most: int) -> list[float]:
    """Round values from low to high, so many steps at most, of 1, 2 or 5 times a power of ten.

    >>> nice(0, 17, 5), nice(-0.3, 0.3, 4)
    ([0.0, 5.0, 10.0, 15.0], [-0.2, 0.0, 0.2])
    """
    if not high > low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    steps = (s * power for s in (1, 2, 5, 10, 20))  # 2.5 times the one before, at most
    step = next(step for step in steps if (high - low) / step <= max(most, 2.5))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{k * step:.12g}") for k in range(first, last + 1)]


def power(exponent: int, base: int = 10) -> str:
    """A power of ten as it is written; raised digits that are letters, so as large as all others.

    >>> power(-4), power(-3, 2)
    ('10⁻⁴', '2⁻³')
    """
    return str(base) + str(exponent).translate(_RAISED)


def ticks(exponents: Iterable[int]) -> dict[str, list[Any]]:
    """Where there are logarithms already: those, and what they stand for."""
    shown = list(exponents)
    return {"tickvals": shown, "ticktext": [power(n) for n in shown]}


def written(exponents: Iterable[int]) -> dict[str, object]:
    """A log axis of plotly's on which these powers of ten are written."""
    told = ticks(exponents)
    return {"type": "log", **told, "tickvals": [float(f"1e{n}") for n in told["tickvals"]]}


def powers(values: Iterable[float | None]) -> dict[str, object]:
    """A log axis of plotly's over whole powers of ten that hold the values which are above zero."""
    logs = [math.log10(value) for value in values if value and value > 0]
    low, high = (math.floor(min(logs)), math.ceil(max(logs))) if logs else (-1, 0)
    high = max(high, low + 1)
    step = -(-(high - low + 1) // MOST)
    edge = 0.02 * (high - low)  # so that what lies on an end is not cut in half
    return written(range(low, high + 1, step)) | {"range": [low - edge, high + edge]}
