"""A document as files to take away: JSON, CSV, and one HTML page that needs nothing else."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from qdemo.document import WHOLE_MODEL, Document, variants
from qdemo.views import panels, plots, readings, tables
from qdemo.views.cards import cards
from qdemo.views.templates import asset, fill


def as_json_text(document: Document) -> str:
    """The document itself."""
    return json.dumps(document, allow_nan=False, ensure_ascii=False)


def as_csv(document: Document) -> str:
    """One row a format, every plain figure unrounded; the keys name the units."""
    asked = {"model": document["model"], "input": document["input"]}
    rows = [_disarmed(asked | _plain(result)) for result in document["results"]]
    return str(pd.DataFrame(rows).to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC))


def _plain(result: Mapping[str, Any]) -> dict[str, Any]:
    """Its figures; of what is nested, how far numbers went inside."""
    kept = {key: value for key, value in result.items() if key not in _NESTED}
    span = result["span"] or {"largest": None, "overflow": None}
    first = span["overflow"] or {"module": None}
    return kept | {"largest_inside": span["largest"], "overflow_at": first["module"]}


_NESTED = {"tokens", "pieces", "footprint", "top", "kl_by_position", "max_abs_by_position",
           "weights", "span"}  # fmt: skip


def _disarmed(row: Mapping[str, Any]) -> dict[str, Any]:
    """Text that a spreadsheet would take for a formula, made text again, by OWASP's list ("CSV
    Injection"); quotes and separators are the writer's."""
    return {
        key: f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULAS) else cell
        for key, cell in row.items()
    }


_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def as_page(document: Document) -> str:
    """The whole comparison as one HTML page, with its charts, for a browser without a network."""
    compared = bool(variants(document))
    return fill(
        "report",
        style=asset("style.css"),
        colours=asset("colours.css"),
        script=plots.script() if compared else "",
        document=document,
        verdict=panels.verdict_html(document),
        cards=panels.cards_html(cards(document)),
        summary=panels.table_html(tables.summary(document)),
        sections=_sections(document) if compared else [],
    )


def _sections(document: Document) -> list[dict[str, object]]:
    weights = (document, WHOLE_MODEL)
    return [
        {
            "title": "Memory",
            "figure": plots.for_page(plots.memory(document)),
            "reading": readings.memory(document),
            "table": panels.table_html(tables.memory(document)),
        },
        {
            "title": "Logits",
            "figure": plots.for_page(plots.logits(document)),
            "reading": readings.logits(document),
            "table": panels.table_html(tables.logits(document)),
        },
        {
            "title": "Weights",
            "figure": plots.for_page(plots.weights(*weights)),
            "reading": readings.weights(*weights),
            "table": panels.table_html(tables.weights(*weights)),
        },
        {
            "title": "Matrix by matrix",
            "figure": plots.for_page(plots.sqnr_map(document)),
            "reading": readings.hardest(document),
            "table": "",
        },
    ]


WRITERS: dict[str, Callable[[Document], str]] = {
    "json": as_json_text,
    "csv": as_csv,
    "html": as_page,
}
"""What can be taken away, by the ending of the file's name."""


def file_name(document: Document, ending: str) -> str:
    """A name that says which comparison it is."""
    asked = "-".join([document["model"], *document["formats"]])
    return f"qdemo-{re.sub(r'[^A-Za-z0-9+@_-]+', '-', asked)[:100]}.{ending}"
