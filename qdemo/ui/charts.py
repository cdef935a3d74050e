"""The charts of a report: each section with its reading and its table, tokens, and layers."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gradio as gr

from qdemo.spec.messages import say
from qdemo.spec.report import WHOLE_MODEL, Report
from qdemo.ui import parts
from qdemo.ui.held import Held
from qdemo.ui.insides import plot
from qdemo.views import SECTIONS, panels, plots
from qdemo.views.memory import contexts
from qdemo.views.sections import LOGITS, MEMORY, Section
from qdemo.views.templates import asset, fill
from qdemo.views.wording import parameter_name

_WHOLE = "0"
"""The place of the whole model among the parameters: before each of them."""


_TABLE = 800
"""What the widest table needs, in px, so that nothing of it is cut; else it stands below."""


@dataclass(frozen=True, eq=False)
class Shown:
    """The components of one section, those that it has."""

    figure: gr.Plot | None
    drawn: gr.HTML | None
    reading: gr.HTML
    table: gr.HTML | None

    @property
    def components(self) -> list[Any]:
        """All of them, as the outputs of an event."""
        every = (self.figure, self.drawn, self.reading, self.table)
        return [part for part in every if part is not None]


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
    context: gr.Radio  # tokens that a language model has read
    context_lost: gr.HTML

    @property
    def components(self) -> list[Any]:
        """All of them, as the outputs of an event."""
        shown = [part for one in self.sections.values() for part in one.components]
        tokens = [self.ribbon, self.position, self.top_lost, self.top]
        chosen = [self.parameter, self.parameter_lost, self.context, self.context_lost]
        return [self.whole, *shown, *tokens, *chosen]

    @property
    def of_parameter(self) -> list[Any]:
        """What depends on the chosen parameter."""
        chosen = [self.sections[one.key] for one in SECTIONS if one.by_parameter]
        return [part for shown in chosen for part in shown.components]


def _values(section: Section, report: Report, parameter: str) -> dict[str, Any]:
    """What the components of a section show, in the order of `Shown.components`."""
    found: dict[str, Any] = {}
    if section.figure:
        found["figure"] = plot(plots.for_browser(section.figure(report, parameter)))
    if section.drawn:
        found["drawn"] = section.drawn(report, parameter)
    found["reading"] = fill("reading", text=section.told(report, parameter))
    if section.table:
        found["table"] = panels.table_html(section.table(report, parameter))
    return found


def of_parameter(report: Report, place: str) -> tuple[Any, ...]:
    """The histograms, the reading and the table of the errors of the parameter that has that place
    in the list."""
    parameter = report.parameters[int(place)]
    chosen = [one for one in SECTIONS if one.by_parameter]
    return tuple(value for one in chosen for value in _values(one, report, parameter).values())


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
        found |= zip(shown, _values(section, report, WHOLE_MODEL).values(), strict=True)
    return found | {
        charts.ribbon: _ribbon(report),
        charts.position: "0",
        charts.top_lost: "",
        charts.top: panels.top_html(report, 0),
        charts.parameter: gr.update(choices=_layers(report), value=_WHOLE),
        charts.parameter_lost: "",
        charts.context: gr.update(**_contexts(report)),
        charts.context_lost: "",
    }


def build(report: Report) -> Charts:
    """Lay the charts out with a report to begin with; the caller is inside a Blocks."""
    shown: dict[str, Shown] = {}
    chosen: tuple[gr.Dropdown, gr.HTML] | None = None
    with gr.Column(elem_id="charts") as whole:
        for section in SECTIONS:
            if section.text:
                parts.section(section.title, section.text)
            if section.by_parameter:
                chosen = _parameter(report)
            if section is MEMORY:
                context = gr.Radio(
                    **_contexts(report), label=say("Tokens of context"), elem_id="context",
                    interactive=True,
                ), parts.html("", "context-lost")  # fmt: skip
            shown[section.key] = _section(report, section)
            if section is LOGITS:
                ribbon, position, top_lost, top = _tokens(report)
    assert chosen is not None
    return Charts(whole, shown, ribbon, position, top_lost, top, *chosen, *context)


def _section(report: Report, section: Section) -> Shown:
    """A figure with its reading under it and its table beside it; below, and as wide as the page,
    what is drawn as HTML."""
    values = _values(section, report, WHOLE_MODEL)
    figure = table = drawn = None
    if section.figure is None:
        drawn = _drawn(section, values["drawn"])
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            if section.figure:
                figure = parts.plot(values["figure"], f"{section.key}-chart")
            reading = parts.html(values["reading"], f"{section.key}-reading")
        if section.table:
            with gr.Column(scale=6, min_width=_TABLE):
                table = parts.html(values["table"], f"{section.key}-table")
    if section.figure and section.drawn:
        drawn = _drawn(section, values["drawn"])
    return Shown(figure, drawn, reading, table)


def _drawn(section: Section, value: str) -> gr.HTML:
    js = asset(section.script) if section.script else None
    return parts.html(value, f"{section.key}-drawn", js=js)


def _parameter(report: Report) -> tuple[gr.Dropdown, gr.HTML]:
    """The layer whose weights are shown, by its name or by its place on the map, which marks it."""
    dropdown = gr.Dropdown(
        _layers(report), value=_WHOLE, label=say("Layer"), elem_id="parameter",
        interactive=True,
    )  # fmt: skip
    picked = parts.unseen("layer")
    dropdown.change(None, dropdown, None, js=_MARK, **parts.QUICK)
    picked.change(None, picked, dropdown, js="picked => picked.split(' ')[0]", **parts.QUICK)
    return dropdown, parts.html("", "parameter-lost")


_MARK = "place => { document.dispatchEvent(new CustomEvent('layer', {detail: place})); }"


def _layers(report: Report) -> list[tuple[str, str]]:
    """The parameters, as they are read, each with its place: hundreds of names are long enough."""
    return [(parameter_name(name), str(i)) for i, name in enumerate(report.parameters)]


def _contexts(report: Report) -> dict[str, Any]:
    """The choice of how much a language model has read; of others there is none."""
    cache = report.cache
    value = str(cache.context) if cache else None
    return {"choices": contexts(cache), "value": value, "visible": cache is not None}


def _tokens(report: Report) -> tuple[gr.HTML, gr.Textbox, gr.HTML, gr.HTML]:
    """The ribbon, the token that is chosen on it, and the likeliest ones there."""
    return (
        parts.html(_ribbon(report), "ribbon", js=asset("ribbon.js")),
        parts.unseen("position", "0"),
        parts.html("", "top-lost"),
        parts.html(panels.top_html(report, 0), "top"),
    )


def connect(charts: Charts, held: gr.Textbox) -> None:
    """Have what is chosen shown, of the report that `held` says is on the page."""
    charts.parameter.change(  # not its input, which comes twice with a mouse
        partial(_of_parameter, charts), [held, charts.parameter],
        [charts.parameter_lost, *charts.of_parameter], preprocess=False, **parts.QUICK,
    )  # fmt: skip
    charts.context.input(
        partial(_of_context, charts), [held, charts.context],
        [charts.context_lost, *charts.sections[MEMORY.key].components], preprocess=False,
        **parts.QUICK,
    )  # fmt: skip
    charts.position.change(
        _top, [held, charts.position], [charts.top_lost, charts.top], **parts.QUICK
    )


def _of_context(charts: Charts, text: str, tokens: str) -> tuple[Any, ...]:
    """What is held after so many tokens."""
    report = Held.read(text).report()
    if report is None or report.cache is None:
        return parts.lost(), *parts.nothing(len(charts.sections[MEMORY.key].components))
    chosen = replace(report, cache=report.cache.at(int(tokens)))
    return "", *_values(MEMORY, chosen, WHOLE_MODEL).values()


def _of_parameter(charts: Charts, text: str, place: str) -> tuple[Any, ...]:
    report = Held.read(text).report()
    if report is None:
        return parts.lost(), *parts.nothing(len(charts.of_parameter))
    return "", *of_parameter(report, place)


def _top(text: str, position: str) -> tuple[Any, Any]:
    report = Held.read(text).report()
    if report is None:
        return parts.lost(), gr.skip()
    return "", panels.top_html(report, int(position))
