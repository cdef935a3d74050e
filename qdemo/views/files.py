"""A report as files to take away: JSON, CSV, and one HTML page that needs nothing else."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from hashlib import sha256

from qdemo.spec import document
from qdemo.spec.report import WHOLE_MODEL, Report
from qdemo.views import SECTIONS, panels, plots, tables, terms
from qdemo.views.cards import cards
from qdemo.views.templates import fill, style

LONGEST = 150
"""Characters of a file's name; what is longer ends in a hash of the whole."""


def as_csv(report: Report) -> str:
    """One row a format, every plain figure unrounded; the keys name the units."""
    frame = tables.frame(report).map(_disarmed)
    return str(frame.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC))


def _disarmed(cell: object) -> object:
    """Text that a spreadsheet would take for a formula, made text again, by OWASP's list ("CSV
    Injection"); quotes and separators are the writer's."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULAS) else cell


_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def as_page(report: Report) -> str:
    """The whole comparison as one HTML page, with its charts, for a browser without a network."""
    compared = bool(report.variants)
    return fill(
        "report",
        style=style(own_colours=True),
        script=plots.script() if compared else "",
        terms=terms.head(report.figures),
        report=report,
        verdict=panels.verdict_html(report),
        cards=panels.cards_html(cards(report)),
        summary=panels.table_html(tables.summary(report)),
        sections=_sections(report) if compared else [],
    )


def _sections(report: Report) -> list[tuple[str, str, str, str]]:
    """Title, chart, reading and table of each."""
    return [
        (
            section.title,
            plots.for_page(section.figure(report, WHOLE_MODEL)),
            terms.with_terms(section.reading(report, WHOLE_MODEL)),
            panels.table_html(section.table(report, WHOLE_MODEL)) if section.table else "",
        )
        for section in SECTIONS
    ]


WRITERS: dict[str, Callable[[Report], str]] = {
    "json": document.as_text,
    "csv": as_csv,
    "html": as_page,
}
"""What can be taken away, by the ending of the file's name."""


def file_name(report: Report, ending: str) -> str:
    """A name that says which comparison it is."""
    asked = "-".join([report.model, *report.formats])
    name = re.sub(r"[^A-Za-z0-9+@_.~=-]+", "-", asked)
    if len(name) > LONGEST:
        name = f"{name[:LONGEST]}-{sha256(asked.encode()).hexdigest()[:8]}"
    return f"qdemo-{name}.{ending}"
