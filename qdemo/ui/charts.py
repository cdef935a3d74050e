"""The charts of a report: each section with its reading and its table, tokens, and layers."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from qdemo.spec.messages import say
from qdemo.spec.report import WHOLE_MODEL, Report
from qdemo.ui import parts
from qdemo.ui.insides import plot
from qdemo.views import SECTIONS, panels, plots
from qdemo.views.sections import LOGITS, Section
from qdemo.views.templates import asset, fill
from qdemo.views.terms import with_terms
from qdemo.views.wording import parameter_name

_WHOLE = "0"
"""The place of the whole model among the parameters: before each of them."""


@dataclass(frozen=True, eq=False)
class Shown:
    """The components of one section."""

    figure: gr.Plot
    reading: gr.HTML
    table: gr.HTML | None

    @property
    def components(self) -> list[Any]:
        """All of them, as the outputs of an event."""
        return [self.figure, self.reading, *([self.table] if self.table else [])]


@dataclass(frozen=True, eq=False)
class Charts:
    """The components, by what they show; `whole` holds all of them."""

    whole: gr.Column
    sections: Mapping[str, Shown]
    ribbon: gr.HTML
    position: gr.Textbox  # of the token whose likeliest ones are shown, from 0
    top_lost: gr.HTML  # where the server no longer has them
    top: gr.HTML
    parameter: gr.Dropdown
    parameter_lost: gr.HTML

    @property
    def components(self) -> list[Any]:
        """All of them, as the outputs of an event."""
        shown = [part for one in self.sections.values() for part in one.components]
        tokens = [self.ribbon, self.position, self.top_lost, self.top]
        return [self.whole, *shown, *tokens, self.parameter, self.parameter_lost]

    @property
    def of_parameter(self) -> list[Any]:
        """What depends on the chosen parameter."""
        chosen = [self.sections[one.key] for one in SECTIONS if one.by_parameter]
        return [part for shown in chosen for part in shown.components]


def _values(section: Section, report: Report, parameter: str) -> list[Any]:
    """What the components of a section show."""
    found = [
        plot(plots.for_browser(section.figure(report, parameter))),
        fill("reading", text=with_terms(section.reading(report, parameter))),
    ]
    if section.table:
        found.append(panels.table_html(section.table(report, parameter)))
    return found


def of_parameter(report: Report, place: str) -> tuple[Any, ...]:
    """The histograms, the reading and the table of the errors of the parameter that has that place
    in the list."""
    parameter = report.parameters[int(place)]
    chosen = [one for one in SECTIONS if one.by_parameter]
    return tuple(value for one in chosen for value in _values(one, report, parameter))


def _ribbon(report: Report) -> str:
    """Another each time, so that it is drawn again, with its first token chosen."""
    return f"{panels.ribbon_html(report)}<!-- {secrets.token_hex(4)} -->"


def updates(charts: Charts, report: Report) -> dict[Any, Any]:
    """What changes on the page for a new report; without a comparison the charts are hidden."""
    if not report.variants:
        return {charts.whole: gr.update(visible=False)}
    found: dict[Any, Any] = {charts.whole: gr.update(visible=True)}
    for section in SECTIONS:
        shown = charts.sections[section.key].components
        found |= zip(shown, _values(section, report, WHOLE_MODEL), strict=True)
    return found | {
        charts.ribbon: _ribbon(report),
        charts.position: "0",
        charts.top_lost: "",
        charts.top: panels.top_html(report, 0),
        charts.parameter: gr.update(choices=_layers(report), value=_WHOLE),
        charts.parameter_lost: "",
    }


def build(report: Report) -> Charts:
    """Lay the charts out with a report to begin with; the caller is inside a Blocks."""
    shown: dict[str, Shown] = {}
    chosen: tuple[gr.Dropdown, gr.HTML] | None = None
    with gr.Column(elem_id="charts") as whole:
        for first, *under in _rows():
            parts.section(first.title, first.text)
            if first.by_parameter:
                chosen = _parameter(report)
            _row(report, first, under, shown)
            if first is LOGITS:
                ribbon, position, top_lost, top = _tokens(report)
    assert chosen is not None
    return Charts(whole, shown, ribbon, position, top_lost, top, *chosen)


def _rows() -> Iterator[list[Section]]:
    """Each section that has a heading, with those that stand under its table."""
    row: list[Section] = []
    for section in SECTIONS:
        if section.text and row:
            yield row
            row = []
        row.append(section)
    yield row


def _row(report: Report, first: Section, under: list[Section], shown: dict[str, Shown]) -> None:
    """A chart with its reading under it; its table beside it, and what stands under that."""
    wide = 7 if under else 6  # a long table, and a low chart under it
    with gr.Row(equal_height=False):
        with gr.Column(scale=11 - wide, min_width=320):
            figure, reading, *table = _values(first, report, WHOLE_MODEL)
            chart = parts.plot(figure, f"{first.key}-chart")
            text = parts.html(reading, f"{first.key}-reading")
        with gr.Column(scale=wide, min_width=320):
            cells = parts.html(table[0], f"{first.key}-table") if table else None
            for section in under:
                figure, reading, *table = _values(section, report, WHOLE_MODEL)
                shown[section.key] = Shown(
                    parts.plot(figure, f"{section.key}-chart"),
                    parts.html(reading, f"{section.key}-reading"),
                    parts.html(table[0], f"{section.key}-table") if table else None,
                )
    shown[first.key] = Shown(chart, text, cells)


def _parameter(report: Report) -> tuple[gr.Dropdown, gr.HTML]:
    """The layer whose weights are shown."""
    dropdown = gr.Dropdown(
        _layers(report), value=_WHOLE, label=say("Layer"), elem_id="parameter",
        interactive=True,
    )  # fmt: skip
    return dropdown, parts.html("", "parameter-lost")


def _layers(report: Report) -> list[tuple[str, str]]:
    """The parameters, as they are read, each with its place: hundreds of names are long enough."""
    return [(parameter_name(name), str(i)) for i, name in enumerate(report.parameters)]


def _tokens(report: Report) -> tuple[gr.HTML, gr.Textbox, gr.HTML, gr.HTML]:
    """The ribbon, the token that is chosen on it, and the likeliest ones there."""
    return (
        parts.html(_ribbon(report), "ribbon", js=asset("ribbon.js")),
        parts.unseen("position", "0"),
        parts.html("", "top-lost"),
        parts.html(panels.top_html(report, 0), "top"),
    )
