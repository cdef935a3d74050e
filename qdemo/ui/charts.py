"""Memory, logits and weights: each chart with its reading and its table."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, fields
from typing import Any

import gradio as gr
from gradio.components.plot import PlotData

from qdemo.document import WHOLE_MODEL, Document, parameters, variants
from qdemo.ui import parts
from qdemo.views import panels, plots, readings, tables
from qdemo.views.templates import fill

_PICKED = """
element.addEventListener("change", event => qdemo.put("position", event.target.value));
watch("value", () => {  // a new comparison begins at its first token, whatever was chosen before
  const first = element.querySelector("input[checked]");
  if (first) first.checked = true;
});
"""


@dataclass(frozen=True, eq=False)
class Charts:
    """The components, by what they show; `whole` holds all of them."""

    whole: gr.Column
    memory: gr.Plot
    memory_reading: gr.HTML
    memory_table: gr.HTML
    logits: gr.Plot
    logits_reading: gr.HTML
    logits_table: gr.HTML
    ribbon: gr.HTML
    position: gr.Textbox  # of the token whose likeliest ones are shown, from 0
    top_lost: gr.HTML  # where the server no longer has them
    top: gr.HTML
    parameter: gr.Dropdown
    parameter_lost: gr.HTML
    weights: gr.Plot
    weights_reading: gr.HTML
    weights_table: gr.HTML
    map: gr.Plot
    map_reading: gr.HTML

    @property
    def components(self) -> list[Any]:
        """All of them, as the outputs of an event."""
        return [getattr(self, field.name) for field in fields(self)]

    @property
    def of_parameter(self) -> list[Any]:
        """What depends on the chosen parameter."""
        return [self.weights, self.weights_reading, self.weights_table]


def values(document: Document) -> dict[str, Any]:
    """What each component shows of a document in which a format was compared with fp32."""
    weights, reading, table = of_parameter(document, WHOLE_MODEL)
    return {
        "memory": plot(plots.memory(document)),
        "memory_reading": _reading(readings.memory(document)),
        "memory_table": panels.table_html(tables.memory(document)),
        "logits": plot(plots.logits(document)),
        "logits_reading": _reading(readings.logits(document)),
        "logits_table": panels.table_html(tables.logits(document)),
        # Another each time, so that it is drawn again, with its first token chosen.
        "ribbon": f"{panels.ribbon_html(document)}<!-- {secrets.token_hex(4)} -->",
        "position": "0",
        "top_lost": "",
        "top": panels.top_html(document, 0),
        "parameter_lost": "",
        "weights": weights,
        "weights_reading": reading,
        "weights_table": table,
        "map": plot(plots.sqnr_map(document)),
        "map_reading": _reading(readings.hardest(document)),
    }


def of_parameter(document: Document, parameter: str) -> tuple[Any, ...]:
    """The histograms, the reading and the table of one parameter's errors."""
    return (
        plot(plots.weights(document, parameter)),
        _reading(readings.weights(document, parameter)),
        panels.table_html(tables.weights(document, parameter)),
    )


def updates(charts: Charts, document: Document) -> dict[Any, Any]:
    """What changes on the page for a new document; without a comparison the charts are hidden."""
    if not variants(document):
        return {charts.whole: gr.update(visible=False)}
    shown = {getattr(charts, name): value for name, value in values(document).items()}
    choice = gr.update(choices=parameters(document), value=WHOLE_MODEL)
    return {charts.whole: gr.update(visible=True), charts.parameter: choice, **shown}


def plot(figure: Any) -> PlotData:
    """A figure as gradio's plot takes it."""
    return PlotData(type="plotly", plot=plots.for_browser(figure))


def build(document: Document) -> Charts:
    """Lay the charts out with a document to begin with; the caller is inside a Blocks."""
    shown = values(document)
    with gr.Column(elem_id="charts") as whole:
        parts.section("Memory", "Bytes of storage really held, shared storage counted once.")
        memory, memory_reading, memory_table = _chart("memory", shown)
        parts.section(
            "Logits",
            "Every format is fed fp32's own answer, so that each position compares like with like.",
        )
        logits, logits_reading, logits_table = _chart("logits", shown)
        ribbon = _html("ribbon", shown, js=_PICKED)
        position = parts.unseen("position", "0")
        top_lost = _html("top_lost", shown)
        top = _html("top", shown)
        parts.section("Weights", "What a format changes in the weights themselves.")
        parameter = gr.Dropdown(
            parameters(document), value=WHOLE_MODEL, label="Layer", elem_id="parameter",
            interactive=True,
        )  # fmt: skip
        lost = _html("parameter_lost", shown)
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=320):
                weights = _plot("weights", shown)
                reading = _html("weights_reading", shown)
            with gr.Column(scale=7, min_width=320):  # a long table, and a low chart under it
                table = _html("weights_table", shown)
                map_ = _plot("map", shown)
                map_reading = _html("map_reading", shown)
    return Charts(
        whole, memory, memory_reading, memory_table, logits, logits_reading, logits_table, ribbon,
        position, top_lost, top, parameter, lost, weights, reading, table, map_, map_reading,
    )  # fmt: skip


def _reading(text: str) -> str:
    return fill("reading", text=text)


def _chart(name: str, shown: dict[str, Any]) -> tuple[gr.Plot, gr.HTML, gr.HTML]:
    """A chart with its reading under it and its table beside it."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            figure = _plot(name, shown)
            reading = _html(f"{name}_reading", shown)
        with gr.Column(scale=6, min_width=320):
            table = _html(f"{name}_table", shown)
    return figure, reading, table


def _plot(name: str, shown: dict[str, Any]) -> gr.Plot:
    return parts.plot(shown[name], f"{name}-chart")


def _html(name: str, shown: dict[str, Any], js: str | None = None) -> gr.HTML:
    return parts.html(shown[name], name.replace("_", "-"), js=js)
