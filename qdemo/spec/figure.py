"""A figure: a number that is measured, and all that is needed to show it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Place = Literal["scored", "row", "held", "strip", "card", "bar", "summary", "logits", "weights"]
"""Where a figure may stand: in the place of an answer, where a text is scored; beside a format's
answer; beside the bytes that it holds there; beside
the strip of its tokens; among the other figures of its card; the bar
on it, of a token's time in parts; the table
of all formats, which the terminal has too; the table of the logits; that of the weights, which has
a parameter's own."""


_TABLES = ("summary", "logits", "weights")  # where the unit stands in the head


@dataclass(frozen=True)
class Figure:
    """A number that a measure gives, known everywhere by its `key`.

    A report carries the figures that it has, so whatever shows it needs to know none by name.
    `heads` are the places where it stands, each with what it is called there; all of them stand in
    files and in the glossary. `form` says how it is written, `better` which end is the good one,
    `none` what is written where there is none. `low` and `high` are the keys of its interval,
    `zero` that of a figure which makes it `exact` where it is 0. `alone`: whether fp32 has it too.
    """

    key: str
    label: str
    definition: str
    unit: str = ""
    better: Literal["low", "high", ""] = ""
    digits: int = 3
    form: Literal["number", "count", "bytes", "times", "share", "position"] = "number"
    heads: tuple[tuple[Place, str], ...] = ()
    none: str = "–"
    low: str = ""
    high: str = ""
    zero: str = ""
    alone: bool = False

    def head(self, place: Place) -> str | None:
        """What it is called in that place, with its unit; None where it does not stand."""
        found = dict(self.heads).get(place)
        told = self.unit and place in _TABLES and self.form == "number"
        return f"{found}, {self.unit}" if found and told else found


Figures = tuple[Figure, ...]
