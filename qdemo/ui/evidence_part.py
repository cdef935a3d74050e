"""What an evaluation comes to, on the page: the chart with its switches, the items of a format, the
tables; all of it of the evaluation that the page holds, whatever is chosen by then."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import gradio as gr

from qdemo.models.pictures import named_picture, thumbnail
from qdemo.spec.messages import say
from qdemo.ui import evidence_held, parts
from qdemo.ui.address import Named
from qdemo.ui.controls import fields_of
from qdemo.views import evidence, evidence_items, evidence_plots
from qdemo.views.evidence_points import (
    COSTS,
    Findings,
    cost_named,
    measure_named,
    offered,
)
from qdemo.views.evidence_reading import reading
from qdemo.views.panels import table_html
from qdemo.views.templates import asset, fill
from qdemo.views.terms import with_terms

_PICTURES, _SIDE = 24, 112
"""Of items that are pictures so many are shown, and their width in px."""

Updates = Mapping[Any, Any]


@dataclass(frozen=True, eq=False)
class Shown:
    """The components; `held` is what is shown, as `evidence_held` writes it, and `format` the one
    whose items are."""

    held: gr.Textbox
    format: gr.Textbox
    cost: gr.Radio
    measure: gr.Radio
    note: gr.HTML
    chart: gr.HTML
    items: gr.HTML
    reading: gr.HTML
    verdicts: gr.HTML
    tasks: gr.HTML
    basis: gr.HTML

    @property
    def named(self) -> Named:
        """What an address carries, by name."""
        return {"x": self.cost, "y": self.measure, "format": self.format}

    @property
    def drawn(self) -> list[Any]:
        """What changes when there is something new."""
        text = [self.note, self.reading, self.verdicts, self.tasks, self.basis]
        return [self.measure, self.chart, self.items, *text]

    @property
    def chosen(self) -> list[Any]:
        """What all of it is drawn of."""
        return [self.held, self.cost, self.measure, self.format]


def build_note() -> gr.HTML:
    """The line that says where what is shown comes from, for where there is room."""
    return parts.html(_note(evidence_held.EXAMPLE), "evidence-note")


def build(note: gr.HTML) -> Shown:
    """Lay it out with the example; the caller is inside a Blocks."""
    found = evidence_held.example()
    first, best = cost_named(""), measure_named("", found)
    reading = parts.html(_reading(found), "evidence-reading")
    with gr.Row(equal_height=False, elem_id="front"):
        with gr.Column(scale=7, min_width=320):
            with gr.Row(elem_id="axes"):
                measure = gr.Radio(
                    _measures(found), value=best.key, label=say("Up"), elem_id="up", min_width=160
                )
                cost = gr.Radio(
                    [(one.name, one.key) for one in COSTS], value=first.key, min_width=160,
                    label=say("Along"), elem_id="along",
                )  # fmt: skip
            chart = parts.html(
                evidence_plots.chart_html(found, first, best), "evidence-chart",
                js=asset("evidence.js"),
            )  # fmt: skip
        with gr.Column(scale=4, min_width=320):
            items = parts.html(_items(found, ""), "evidence-items")
    parts.section(say("Verdicts"), say("Every format beside fp32, on the same items."))
    verdicts = parts.html(evidence.verdicts_html(found), "evidence-verdicts")
    tasks = parts.html(_tasks(found), "evidence-tasks")
    basis = parts.html(evidence.basis_html(found), "evidence-basis")
    return Shown(
        parts.unseen("evidence-held", evidence_held.EXAMPLE), parts.unseen("evidence-format"),
        cost, measure, note, chart, items, reading, verdicts, tasks, basis,
    )  # fmt: skip


def connect(shown: Shown) -> None:
    """Have all of it follow what is held, and what is chosen of it."""
    shown.held.change(partial(_draw, shown), shown.chosen, shown.drawn, **parts.QUICK)
    for part in (shown.cost, shown.measure):
        part.change(_chart, shown.chosen, shown.chart, **parts.QUICK)
    shown.format.change(_chosen, shown.chosen, shown.items, **parts.QUICK)


def _draw(shown: Shown, held: str, cost: str, measure: str, format: str) -> Updates:
    found = evidence_held.findings(held)
    if found is None:
        return {shown.note: parts.problem_html(gone())}
    up = measure_named(measure, found)
    return {
        shown.measure: gr.update(choices=_measures(found), value=up.key),
        shown.note: _note(held),
        shown.chart: evidence_plots.chart_html(found, cost_named(cost), up),
        shown.items: _items(found, format),
        shown.reading: _reading(found),
        shown.verdicts: evidence.verdicts_html(found),
        shown.tasks: _tasks(found),
        shown.basis: evidence.basis_html(found),
    }


def _chart(held: str, cost: str, measure: str, _: str) -> Any:
    found = evidence_held.findings(held)
    if found is None:
        return gr.skip()
    return evidence_plots.chart_html(found, cost_named(cost), measure_named(measure, found))


def _chosen(held: str, _: str, __: str, format: str) -> str:
    found = evidence_held.findings(held)
    return parts.problem_html(gone()) if found is None else _items(found, format)


def gone() -> str:
    """That what is shown is no longer held."""
    return say("The server no longer has these results; press Evaluate to compute them again.")


def _measures(found: Findings) -> list[tuple[str, str]]:
    return [(one.name, one.key) for one in offered(found)]


def _items(found: Findings, format: str) -> str:
    """An item is asked for again by its text, or by the name of a picture that is made here."""
    fields = fields_of(found.evidence.model)
    if not any(field.kind == "picture" for field in fields.values()):
        return evidence_items.items_html(found, format)
    is_ours = found.evidence.data.is_held_out
    pictures = _picture if is_ours else evidence_items.no_picture
    return evidence_items.items_html(found, format, is_ours, _PICTURES, pictures)


@lru_cache(maxsize=4 * _PICTURES)  # while an evaluation runs they are shown again each second
def _picture(name: str) -> str:
    """A picture that is made here, small."""
    try:
        return thumbnail(named_picture(name), _SIDE)
    except ValueError:
        return ""


def _note(held: str) -> str:
    return fill("evidence_note", note=evidence_held.note(held))


def _reading(found: Findings) -> str:
    return fill("reading", text=with_terms(reading(found)))


def _tasks(found: Findings) -> str:
    table = evidence.tasks_table(found)
    return table_html(table, say("Task by task")) if table else ""
