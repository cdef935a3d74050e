"""Part of the page on linear quantization: the same weights downcast and quantized."""

from __future__ import annotations

from typing import Any

import gradio as gr

from qdemo import lab
from qdemo.spec.messages import say
from qdemo.ui import beginning, parts
from qdemo.views import lab_plots
from qdemo.views.panels import table_html
from qdemo.views.tables import Table
from qdemo.views.wording import significant


def build(blocks: gr.Blocks) -> gr.Dropdown:
    """Lay it out and connect it, inside its page; what chooses the layer."""
    parts.section(
        say("Downcasting against linear quantization"),
        say(
            "A cast keeps the digits of every number, large or small: its error is a share of the "
            "number, and needs no scale. Linear quantization spreads even steps over the range of "
            "all that share a scale: its error is a share of the largest. At 8 bits and below that "
            "is the better bargain, as long as no outlier stretches the range."
        ),
    )
    name = gr.Dropdown(
        list(lab.LAYERS), value=lab.LAYERS[0], label=say("A weight of {model}", model="t5-tiny"),
        elem_id="beside-layer", filterable=False,
    )  # fmt: skip
    with gr.Row(equal_height=False):
        with gr.Column(scale=6, min_width=320):
            chart = parts.plot(None, "beside-chart")
        with gr.Column(scale=5, min_width=320):
            table = parts.html("", "beside-table", "wraps")
    beginning.begin(blocks, [chart, table], lambda: _parts(lab.LAYERS[0]))
    name.change(_parts, name, [chart, table], **parts.QUICK)
    return name


@parts.computing
def _parts(name: str) -> tuple[Any, str]:
    from qdemo.lab import matrices

    found = matrices.layer_errors(name)
    rows = tuple(
        (way, f"{size:,}", significant(error.sqnr_db), significant(error.rms),
         significant(error.max_abs))
        for way, (error, size) in found.items()
    )  # fmt: skip
    head = (say("way"), say("bytes"), say("SQNR, dB"), say("RMS error"), say("max error"))
    lines = {way: matrices.histogram(error) for way, (error, _) in found.items()}
    return parts.drawn(lab_plots.error_sizes(lines)), table_html(Table(name, head, rows))
