"""What is drawn of a report: each chart with its words and its table, for the page and for files.

A further chart is one more file with a `Section`, and its place in `qdemo.views.SECTIONS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import plotly.graph_objects as go
from markupsafe import Markup

from qdemo.spec.messages import say
from qdemo.spec.report import Report
from qdemo.views import matrices, plots, readings, scored, tables
from qdemo.views.exceptions import shortened_in
from qdemo.views.tables import Table
from qdemo.views.terms import with_terms

Parameter = str


@dataclass(frozen=True)
class Section:
    """A chart, what to see in it, and its figures as a table, where it has one. What it shows is a
    `figure`, is `drawn` as HTML, or both; `script` names what makes a choice of the latter.

    Each is made of a report and of one of its parameters, which only those look at that are
    `by_parameter`. One that has no `text` of its own stands under the table of the one before.
    `heading` and `lead` are the templates of its `title` and its `text`.
    """

    key: str
    heading: str
    lead: str
    figure: Callable[[Report, Parameter], go.Figure] | None
    reading: Callable[[Report, Parameter], str]
    table: Callable[[Report, Parameter], Table] | None = None
    by_parameter: bool = False
    drawn: Callable[[Report, Parameter], str] | None = None
    script: str = ""

    @property
    def title(self) -> str:
        """What stands above it."""
        return say(self.heading)

    @property
    def text(self) -> str:
        """What stands under its title."""
        return say(self.lead)

    def told(self, report: Report, parameter: Parameter) -> Markup:
        """What to see in it, as HTML in which terms can be pressed."""
        return with_terms(shortened_in(self.reading(report, parameter)))


MEMORY = Section(
    "memory", "Memory", "Bytes of storage really held, shared storage counted once.",
    lambda report, _: plots.memory(report),
    lambda report, _: readings.memory(report),
    lambda report, _: tables.memory(report),
)  # fmt: skip
LOGITS = Section(
    "logits", "Logits",
    "Every format is fed the same tokens, fp32's own answer or the text that is scored, so that "
    "each position compares like with like.",
    lambda report, _: plots.logits(report),
    lambda report, _: readings.logits(report),
    lambda report, _: tables.logits(report),
    drawn=lambda report, _: scored.loss_html(report),
)  # fmt: skip
WEIGHTS = Section(
    "weights", "Weights", "What a format changes in the weights themselves.",
    plots.weights, readings.weights, tables.weights, by_parameter=True,
    drawn=matrices.errors_html,
)  # fmt: skip
MAP = Section(
    "map", "Matrix by matrix", "",
    None,
    lambda report, _: readings.hardest(report),
    drawn=lambda report, _: matrices.map_html(report), script="map.js",
)  # fmt: skip
