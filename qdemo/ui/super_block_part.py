"""Part of the page on methods: a super-block of a K-quant, every number of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from qdemo import lab
from qdemo.spec.messages import say
from qdemo.ui import parts
from qdemo.ui.method_part import Part
from qdemo.views import lab as lab_html
from qdemo.views import method_plots, methods
from qdemo.views.numbers import significant

if TYPE_CHECKING:
    from torch import Tensor

    from qdemo.lab.super_blocks import SuperBlock

_ROWS = 192


def super_block() -> Part:
    """Lay it out, inside its page."""
    parts.section(
        say("K-quants"),
        say(
            "Scales have scales, too: double quantization holds those of nf4 in 0.127 instead of "
            "0.5 bits a weight. Q4_K takes a super-block of 256 weights of a row, in 8 blocks of "
            "32. Each block has a scale s and a minimum m, which are integers of 6 bits in units "
            "of the fp16 pair d and dmin: ŵ = d · s · q − dmin · m (llama.cpp, ggml-quants.c). "
            "These are found by a weighted search. Here it is one of t5-tiny's own."
        ),
    )
    with gr.Row():
        layer = gr.Dropdown(
            [(f"t5-tiny: {name}", name) for name in lab.LONG], value=lab.LONG[0],
            label=say("A weight of {model}", model="t5-tiny"), elem_id="super-layer",
            filterable=False, min_width=320,
        )  # fmt: skip
        row = gr.Slider(
            1, _ROWS, 1, step=1, label=say("Row of it"), elem_id="super-row", min_width=320
        )
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            chart = parts.plot(None, "super-chart")
        with gr.Column(scale=6, min_width=320):
            table = parts.html("", "super-table")
    held = parts.html("", "super-bytes")
    named, shown = {"super_layer": layer, "super_row": row}, (chart, table, held)
    return Part(named, shown, _super_block, lambda *values: False)


def _super_block(_: Tensor, layer: str, row: float) -> tuple[Any, ...]:
    from qdemo.lab.super_blocks import FORMAT, of_layer

    found = of_layer(layer, int(row) - 1)
    numbers = (found.w.tolist(), found.values.tolist(), found.levels.tolist())
    return (
        parts.drawn(method_plots.super_block(FORMAT, *numbers)),
        lab_html.stacked_html(methods.super_table(_rows(found))),
        _bytes(found),
    )


def _rows(found: SuperBlock) -> list[tuple[str, ...]]:
    return [
        (
            str(number), significant(one.scale), str(one.scale_code), significant(one.scale_held),
            significant(one.minimum), str(one.minimum_code), significant(one.minimum_held),
            significant(one.rms),
        )
        for number, one in enumerate(found.blocks, 1)
    ]  # fmt: skip


def _bytes(found: SuperBlock) -> str:
    sizes = found.sizes
    beside = [
        (sizes["super_scale"], say("d = {value}, fp16", value=significant(found.d))),
        (sizes["super_min"], say("dmin = {value}, fp16", value=significant(found.dmin))),
        (sizes["scale"] + sizes["min"], say("8 scales and 8 minima of 6 bits")),
        (sizes["codes"], say("256 integers of 4 bits")),
    ]
    sum_ = " + ".join(str(size) for size, _ in beside)
    total = say(
        "{sum} = {bytes} bytes for {count} weights: {bits} bits a weight.",
        sum=sum_,
        bytes=sum(sizes.values()),
        count=found.w.numel(),
        bits=f"{found.bits:g}",
    )
    return methods.bytes_html(say("What is held, in bytes"), beside, total)
