"""The report as tables of text, for the page, the files and the terminal.

Their columns are the figures that a report brings: whoever measures more names it once, there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from qdemo.spec.figure import Figure, Place
from qdemo.spec.messages import say
from qdemo.spec.report import Report, Trial, Values
from qdemo.views.memory import cached, held_by, title
from qdemo.views.numbers import NONE, megabytes, percent, times
from qdemo.views.wording import parameter_name, written


@dataclass(frozen=True)
class Table:
    """A table with what it is about, its column names (units in them) and its rows; `keys` are the
    terms that the names are, empty for those that are none; without any they are known by name."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    of_words: bool = False  # and not of numbers
    keys: tuple[str, ...] = ()

    @classmethod
    def of(cls, caption: str, *columns: tuple[str, Sequence[str]]) -> Table:
        """A table of columns, each a name and its cells."""
        cells = zip(*(cells for _, cells in columns), strict=True)
        return cls(caption, tuple(name for name, _ in columns), tuple(cells))


def figures_at(report: Report, place: Place) -> list[tuple[str, Figure]]:
    """The figures that stand there, each with what it is called there."""
    heads = ((figure.head(place), figure) for figure in report.figures)
    return [(say(head), figure) for head, figure in heads if head]


def _of_figures(
    caption: str,
    formats: Sequence[str],
    figures: Sequence[tuple[str, Figure]],
    rows: Sequence[Values],
) -> Table:
    """A row a format, a column a figure."""
    columns = [(head, [written(figure, row) for row in rows]) for head, figure in figures]
    table = Table.of(caption, (say("format"), formats), *columns)
    return replace(table, keys=("", *(figure.key for _, figure in figures)))


def _at(report: Report, place: Place, caption: str, trials: Sequence[Trial]) -> Table:
    names = [trial.format for trial in trials]
    rows = [trial.figures for trial in trials]
    return _of_figures(caption, names, figures_at(report, place), rows)


def summary(report: Report) -> Table:
    """Every format with the figures of its card."""
    return _at(report, "summary", f"{report.model}: {report.input}", report.results)


def memory(report: Report) -> Table:
    """Bytes held by kind, in MB."""
    held = [held_by(report, trial) for trial in report.results]
    kinds = [kind for kind in (held[0] if held else ()) if any(h[kind] for h in held)]
    totals = [sum(h.values()) for h in held]
    return Table.of(
        say("{what}, 1 MB = 1,000,000 bytes", what=title(report)),
        (say("format"), [trial.format for trial in report.results]),
        *((say(kind), [megabytes(h[kind] or None) for h in held]) for kind in kinds),
        (say("together"), [megabytes(total) for total in totals]),
        (say("smaller"), [times(totals[0] / total) for total in totals]),
        (say("share quantized"), [_quantized(trial) for trial in report.results]),
    )


def _quantized(trial: Trial) -> str:
    """The share of parameters that is quantized."""
    return percent(trial.coverage.share) if trial.coverage and trial.coverage.quantized else NONE


def logits(report: Report) -> Table:
    """What separates the logits of each format from fp32's, both fed fp32's output."""
    caption = (
        say(
            "Logits beside fp32's, both fed the same text; 95% intervals (Wilson), as if its "
            "tokens were independent"
        )
        if report.is_scored
        else say(
            "Logits beside fp32's, both fed the answer of fp32; 95% intervals (Wilson), as if its "
            "tokens were independent"
        )
    )
    return _at(report, "logits", caption, report.variants)


def weights(report: Report, parameter: str) -> Table:
    """The weight errors of one parameter, or of the whole model, in each format."""
    found = {
        trial.format: trial.weights[parameter].values_by_key
        for trial in report.variants
        if parameter in trial.weights
    }
    heads = figures_at(report, "weights")
    caption = say("Weight errors of {parameter}", parameter=parameter_name(parameter))
    return _of_figures(caption, [*found], heads, [*found.values()])


def _cached(report: Report, trial: Trial) -> dict[str, int]:
    """The cache of a language model, and after how many tokens it is so large."""
    if report.cache is None:
        return {}
    return {"cache_bytes": cached(report, trial), "cache_tokens": report.cache.context}


def frame(report: Report) -> pd.DataFrame:
    """Every plain figure, unrounded, a row a format; the keys name the units."""
    keys = [figure.key for figure in report.figures]
    return pd.DataFrame(
        [
            {
                "model": report.model,
                "input": report.input,
                "format": trial.format,
                "output": trial.output,
                **{key: trial.figures.get(key) for key in keys},
                "ended": trial.ended,
                "read_as": report.decoding.read_as,
                "temperature": report.decoding.temperature,
                "seed": report.decoding.seed,
                **_cached(report, trial),
                "computed": trial.computed,
                "device": trial.device,
                "ways": " ".join(trial.ways),
                "largest_inside": trial.span.largest if trial.span else None,
                "overflow_at": trial.span.overflow.module
                if trial.span and trial.span.overflow
                else None,
            }
            for trial in report.results
        ]
    )
