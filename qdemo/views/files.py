"""A report as files to take away: JSON, CSV, and one HTML page that needs nothing else."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from math import inf

import plotly.graph_objects as go

from qdemo.spec import document
from qdemo.spec.report import WHOLE_MODEL, Report
from qdemo.views import SECTIONS, panels, readings, svg, tables, terms
from qdemo.views.cards import cards
from qdemo.views.templates import asset, fill, style
from qdemo.views.wording import is_picture

LONGEST = 150
"""Characters of a file's name; what is longer ends in a hash of the whole."""


def as_csv(report: Report) -> str:
    """One row a format, every plain figure unrounded; the keys name the units."""
    frame = tables.frame(report).map(disarmed)
    return str(frame.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC))


def disarmed(cell: object) -> object:
    """Text that a spreadsheet would take for a formula, made text again, by OWASP's list ("CSV
    Injection"); quotes and separators are the writer's."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULAS) else cell


_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def as_page(report: Report, picture: str = "") -> str:
    """The whole comparison as one HTML page, with its charts, for a browser without a network.

    `picture` is what was asked about, as a `data:` address, where that is a picture that is had.
    """
    compared = bool(report.variants)
    return fill(
        "report",
        style=style(own_colours=True),
        terms=terms.head(report.figures),
        report=report,
        picture=picture,
        lacks_picture=not picture and is_picture(report.input),
        verdict=panels.verdict_html(report),
        cards=panels.cards_html(cards(report)),
        summary=panels.table_html(tables.summary(report)),
        sections=_sections(report) if compared else [],
        ribbon=panels.ribbon_html(report) if compared else "",
        scripts={name: asset(f"{name}.js") for name in ("layout", "ribbon", "map")},
        tops=_tops(report) if compared else [],
        count=len(report.results[0].pieces) if compared else 0,
        most=readings.worst_position(report)[:2] if compared else ("", 0),
    )


_MOST_TOPS = 640
"""Lists of likeliest tokens in a report: so it stays below a megabyte with a dozen formats."""


def _tops(report: Report) -> list[tuple[int, str]]:
    """The likeliest tokens at each position, or at those that differ most, if there are many."""
    apart = [
        max(inf if kl is None else kl for kl in kls)
        for kls in zip(
            *(trial.by_position["kl_by_position"] for trial in report.variants), strict=True
        )
    ]
    worst_first = sorted(range(len(apart)), key=lambda at: -apart[at])
    room = max(1, _MOST_TOPS // len(report.results))
    return [(at, panels.top_html(report, at)) for at in sorted(worst_first[:room])]


@dataclass(frozen=True)
class _Part:
    """A section in the report: `charts` is its figure for a wide and for a narrow page."""

    key: str
    title: str
    text: str
    charts: tuple[str, ...]
    drawn: str
    reading: str
    table: str


def _sections(report: Report) -> list[_Part]:
    """Every section, of the whole model."""
    return [
        _Part(
            section.key,
            section.title,
            section.text,
            _charts(section.figure(report, WHOLE_MODEL)) if section.figure else (),
            section.drawn(report, WHOLE_MODEL) if section.drawn else "",
            section.told(report, WHOLE_MODEL),
            panels.table_html(section.table(report, WHOLE_MODEL)) if section.table else "",
        )
        for section in SECTIONS
    ]


def _charts(figure: go.Figure) -> tuple[str, ...]:
    """For a wide and for a narrow page: text that shrinks with a chart can't be read."""
    return tuple(svg.drawn(figure, width) for width in WIDTHS)


WIDTHS = (660, 340)
"""Of a chart, in px: on a desktop, and on a phone."""


WRITERS: dict[str, Callable[[Report], str]] = {
    "json": document.as_text,
    "csv": as_csv,
    "html": as_page,
}
"""What can be taken away, by the ending of the file's name."""


def written(report: Report, ending: str, picture: str = "") -> str:
    """The file of that ending; `picture` is what the page shows of what was asked about."""
    return as_page(report, picture) if ending == "html" else WRITERS[ending](report)


def file_name(report: Report, ending: str) -> str:
    """A name that says which comparison it is."""
    return named("-".join([report.model, *report.formats]), ending)


def named(asked: str, ending: str) -> str:
    """A file's name of that text; a long one ends in a hash of the whole."""
    name = re.sub(r"[^A-Za-z0-9+@_.~=-]+", "-", asked)
    if len(name) > LONGEST:
        name = f"{name[:LONGEST]}-{sha256(asked.encode()).hexdigest()[:8]}"
    return f"qdemo-{name}.{ending}"
