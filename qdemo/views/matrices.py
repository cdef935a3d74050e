"""What became of the matrices, as HTML that a page of any width lays out itself: which layer hurts,
and how the errors lie around zero, each format on its own scale."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TypeVar

from qdemo.spec.messages import say
from qdemo.spec.report import Histogram, Parameter, Report, Trial
from qdemo.views.axes import Axis, nice, power
from qdemo.views.colours import colour
from qdemo.views.templates import fill

Label = TypeVar("Label")

LEVELS = 8
"""The level of the cell that is hurt most in its row; the one that is hurt least has 0."""

LEAST = 6.0
"""Decibels, one bit, that the colours of a row span at least: less is no difference to show."""

EXACT, OVERFLOWED, LACKING = "e", "o", "n"
"""The levels of cells without decibels: kept exactly, overflowed, and not in the report at all."""

SHOWN = 0.999
"""The share of the errors that is drawn: one that lies far out would make a spike of all others."""

_FEWEST = 6  # bins on each side of zero


@dataclass(frozen=True)
class _Row:
    """A format in the map: a level and a number for each matrix, and the range of the numbers."""

    format: str
    colour: str
    levels: str
    decibels: str
    span: str


def map_html(report: Report) -> str:
    """The SQNR of each matrix in each format: the stronger the colour, the more it is hurt beside
    the others of its row. map.js makes a choice of it."""
    names = report.matrices
    places = {name: i for i, name in enumerate(report.parameters)}
    return fill(
        "map",
        rows=[_row(trial, names) for trial in report.variants],
        names="\n".join(names),
        places=" ".join(str(places[name]) for name in names),
        parts=_runs(block for block, _ in map(block_of, names)),
        blocks=_runs(map(block_of, names)),
    )


def block_of(name: str) -> tuple[str, str]:
    """The part of the model that a parameter belongs to, and the number of its block there, if any.

    >>> block_of("encoder.block.3.layer.0.SelfAttention.q.weight"), block_of("shared.weight")
    (('encoder', '3'), ('shared', ''))
    """
    part, *inner = name.split(".")
    return part, next((piece for piece in inner if piece.isdigit()), "")


def _runs(labels: Iterable[Label]) -> list[tuple[Label, int]]:
    """Each label with how often it comes in a row."""
    return [(label, len(list(run))) for label, run in groupby(labels)]


def _row(trial: Trial, names: Sequence[str]) -> _Row:
    found = [trial.weights.get(name) for name in names]
    decibels = [one.figures["sqnr_db"] if one else None for one in found]
    known = [one for one in decibels if one is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    span = say("{low} to {high} dB", low=f"{low:.1f}", high=f"{high:.1f}")
    return _Row(
        trial.format,
        colour(trial.format),
        "".join(_level(*pair, low, high) for pair in zip(found, decibels, strict=True)),
        " ".join("" if one is None else f"{one:.1f}" for one in decibels),
        span if known else say("exact") if EXACT in map(_without, found) else "",
    )


def _level(one: Parameter | None, decibels: float | None, low: float, high: float) -> str:
    if decibels is None:
        return _without(one)
    spread = max(high - low, LEAST)
    return str(round(LEVELS * (high - decibels) / spread))


def _without(one: Parameter | None) -> str:
    """The level of a cell without decibels."""
    if one is None:
        return LACKING
    return OVERFLOWED if one.figures["overflowed"] else EXACT


@dataclass(frozen=True)
class _Panel:
    """The errors of a format: `path` in a box of `bins` by 100, ticks as (text, per cent of its
    width), and what the highest bin holds. Without a `path` there are no errors."""

    format: str
    colour: str
    path: str = ""
    bins: int = 0
    ticks: tuple[tuple[str, float], ...] = ()
    most: str = ""


def errors_html(report: Report, parameter: str) -> str:
    """How the errors lie around zero, a small chart a format."""
    panels = [
        _panel(trial.format, trial.weights[parameter].histogram)
        for trial in report.variants
        if parameter in trial.weights
    ]
    return fill("errors", panels=panels)


def _panel(format: str, histogram: Histogram) -> _Panel:
    counts = around_zero(histogram)
    width, most = histogram.bin_width, max(counts, default=0)
    if not most:
        return _Panel(format, colour(format))
    limit = len(counts) // 2 * width
    axis, tick = Axis(-limit, limit, 0, 100), nice(0, _ROOM * limit, 3)[-1]
    ticks = [("0", axis.at(0)), (in_words(tick), axis.at(tick))]
    ticks.insert(0, (f"−{ticks[1][0]}", axis.at(-tick)))
    told = say("up to {count:,} a bin, {width} wide", count=most, width=in_words(width))
    steps = "".join(f"V{100 - 100 * count / most:.4g}h1" for count in counts)
    return _Panel(format, colour(format), f"M0 100{steps}V100z", len(counts), tuple(ticks), told)


_ROOM = 0.8
"""Up to which share of the axis a tick stands, so that its text has room."""


def around_zero(histogram: Histogram) -> list[int]:
    """The counts of as many bins on both sides of zero as hold `SHOWN` of the errors."""
    below = round(-histogram.start / histogram.bin_width)
    half = max(below, len(histogram.counts) - below, 0)
    counts = [0] * (2 * half)
    for i, count in enumerate(histogram.counts):
        counts[half - below + i] = count
    total, reach = sum(counts), half
    while reach > _FEWEST and sum(counts[half - reach + 1 : half + reach - 1]) >= SHOWN * total:
        reach -= 1
    return counts[half - reach : half + reach]


def in_words(value: float) -> str:
    """A small number as a person writes it.

    >>> in_words(1.52587890625e-05), in_words(0.015625), in_words(0.05)
    ('1.53·10⁻⁵', '0.0156', '0.05')
    """
    if value >= 1e-3:
        return f"{value:.3g}"
    exponent = math.floor(math.log10(value))
    return f"{value / 10.0**exponent:.3g}·{power(exponent)}"
