"""An evaluation as files to take away: JSON, CSV, and one HTML page that needs nothing else."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping

from qdemo.spec import evidence_file
from qdemo.spec.figure import Figures
from qdemo.views import evidence, evidence_items, terms
from qdemo.views.evidence_plots import chart_html
from qdemo.views.evidence_points import COSTS, Findings, measures
from qdemo.views.evidence_reading import reading
from qdemo.views.files import disarmed, named
from qdemo.views.panels import table_html
from qdemo.views.templates import asset, fill, style

_ITEMS = 20
"""Of each format, in a page."""

_NESTED = ("outcomes", "by_task")


def as_csv(findings: Findings) -> str:
    """One row a format, every figure unrounded, under the names that the JSON has."""
    found = evidence_file.as_json(findings.evidence)
    results = found["results"]
    assert isinstance(results, list)
    about = {key: found[key] for key in ("model", "seed", "max_tokens", "computed")}
    data = {"data": findings.evidence.data.name, "items_of_data": findings.evidence.data.total}
    rows = [about | data | _flat(one) for one in results]
    keys = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, keys, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: disarmed(cell) for key, cell in row.items()} for row in rows)
    return text.getvalue()


def _flat(result: Mapping[str, object]) -> dict[str, object]:
    return {key: value for key, value in result.items() if key not in _NESTED}


def as_page(findings: Findings, figures: Figures = ()) -> str:
    """The whole evaluation as one HTML page, for a browser without a network; `figures` explain
    their terms."""
    tasks = evidence.tasks_table(findings)
    names = [one.format for one in findings.variants]
    return fill(
        "evidence_report",
        style=style(own_colours=True),
        terms=terms.head(figures),
        script=asset("evidence.js"),
        model=findings.evidence.model,
        reading=terms.with_terms(reading(findings)),
        charts=[chart_html(findings, cost, one) for one in measures(findings) for cost in COSTS],
        verdicts=evidence.verdicts_html(findings),
        tasks=table_html(tasks) if tasks else "",
        basis=evidence.basis_html(findings),
        items=[
            (name, evidence_items.items_html(findings, name, can_ask=False, most=_ITEMS))
            for name in names
        ],
    )


WRITERS: Mapping[str, Callable[[Findings, Figures], str]] = {
    "json": lambda findings, _: evidence_file.as_text(findings.evidence) + "\n",
    "csv": lambda findings, _: as_csv(findings),
    "html": as_page,
}
"""What can be taken away, by the ending of the file's name."""


def written(findings: Findings, ending: str, figures: Figures = ()) -> str:
    """The file of that ending."""
    return WRITERS[ending](findings, figures)


def file_name(findings: Findings, ending: str) -> str:
    """A name that says which evaluation it is."""
    found = findings.evidence
    names = [one.format for one in found.judged]
    return named("-".join(["evidence", found.model, found.data.name, *names]), ending)
