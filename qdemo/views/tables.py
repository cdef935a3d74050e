"""The report as tables of text, for the page, the files and the terminal.

Their columns are the figures that a report brings: whoever measures more names it once, there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from qdemo.spec.figure import Figure, Place
from qdemo.spec.report import Report, Trial, Values
from qdemo.views.wording import NONE, megabytes, percent, written


@dataclass(frozen=True)
class Table:
    """A table with what it is about, its column names (units in them) and its rows."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, caption: str, frame: pd.DataFrame) -> Table:
        """The cells of a frame."""
        rows = tuple(tuple(map(str, row)) for row in frame.itertuples(index=False))
        return cls(caption, tuple(frame.columns), rows)


def figures_at(report: Report, place: Place) -> dict[str, Figure]:
    """The figures that stand there, by what they are called there."""
    heads = ((figure.head(place), figure) for figure in report.figures)
    return {head: figure for head, figure in heads if head}


def _of_figures(
    caption: str, formats: Sequence[str], heads: Mapping[str, Figure], rows: Sequence[Values]
) -> Table:
    """A row a format, a column a figure."""
    cells = {head: [written(figure, row) for row in rows] for head, figure in heads.items()}
    return Table.of(caption, pd.DataFrame({"format": list(formats), **cells}))


def _at(report: Report, place: Place, caption: str, trials: Sequence[Trial]) -> Table:
    names = [trial.format for trial in trials]
    rows = [trial.figures for trial in trials]
    return _of_figures(caption, names, figures_at(report, place), rows)


def summary(report: Report) -> Table:
    """Every format with the figures of its card."""
    return _at(report, "summary", f"{report.model}: {report.input}", report.results)


def memory(report: Report) -> Table:
    """Bytes held by kind, in MB."""
    held = [trial.footprint for trial in report.results]
    kinds = [
        kind for kind in (held[0].by_kind if held else ()) if any(h.by_kind[kind] for h in held)
    ]
    cells = {kind: [megabytes(h.by_kind[kind] or None) for h in held] for kind in kinds}
    cells["quantized"] = [_quantized(trial) for trial in report.results]
    cells["together"] = [megabytes(h.total) for h in held]
    cells["smaller"] = [f"{held[0].total / h.total:.2f}×" for h in held]
    names = [trial.format for trial in report.results]
    caption = "Memory held, 1 MB = 1,000,000 bytes"
    return Table.of(caption, pd.DataFrame({"format": names, **cells}))


def _quantized(trial: Trial) -> str:
    """The share of parameters that is quantized."""
    return percent(trial.coverage.share) if trial.coverage and trial.coverage.quantized else NONE


def logits(report: Report) -> Table:
    """What separates the logits of each format from fp32's, both fed fp32's output."""
    caption = (
        "Logits beside fp32's, both fed the answer of fp32; 95% intervals (Wilson), as if its "
        "tokens were independent"
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
    return _of_figures(f"Weight errors of {parameter}", [*found], heads, [*found.values()])


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
                "computed": trial.computed,
                "device": trial.device,
                "largest_inside": trial.span.largest if trial.span else None,
                "overflow_at": trial.span.overflow.module
                if trial.span and trial.span.overflow
                else None,
            }
            for trial in report.results
        ]
    )


def glossary(report: Report) -> Table:
    """Every figure that a report has, and what it means."""
    rows = tuple((f.label, f.key, f.unit, f.definition) for f in report.figures)
    return Table("Every figure of a report, as files name it", _GLOSSARY, rows)


_GLOSSARY = ("figure", "in files", "unit", "what it means")
