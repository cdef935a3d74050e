"""Parts of the page on methods: levels of a codebook, and scales of blocks in few bits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from qdemo import lab
from qdemo.spec.messages import say
from qdemo.ui import method_part, parts
from qdemo.ui.method_part import Part
from qdemo.views import lab as lab_html
from qdemo.views import method_plots, methods
from qdemo.views.axes import power
from qdemo.views.numbers import significant
from qdemo.views.panels import table_html

if TYPE_CHECKING:
    from torch import Tensor

    from qdemo.lab.block_scales import Block
    from qdemo.lab.codebooks import Snapped


def codebook() -> Part:
    """Lay the part on codebooks out, inside its page."""
    parts.section(
        say("Codebooks"),
        say(
            "Levels where the weights are: integers are evenly spaced, a codebook puts its levels "
            "where it likes. Those of nf4 are quantiles of a normal distribution, so that each is "
            "used about equally often. ŵ = absmax · level, in blocks of 64 weights (Dettmers et "
            "al., QLoRA, 2023)."
        ),
    )
    with gr.Row():
        names = [(say("the matrix above"), lab.ABOVE), *((f"t5-tiny: {n}", n) for n in lab.LAYERS)]
        weights = gr.Dropdown(
            names, value=lab.LAYERS[0], label=say("Weights"), elem_id="codebook-weights",
            filterable=False, min_width=320,
        )  # fmt: skip
        grid = method_part.grids(lab.CODEBOOKS, "nf4", say("Grid"), "codebook-grid")
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            over = parts.plot(None, "codebook-chart")
        with gr.Column(scale=5, min_width=320):
            snap = parts.plot(None, "snapping-chart")
        with gr.Column(scale=4, min_width=320):
            table = parts.html("", "codebook-table", "wraps")
    named, shown = {"weights": weights, "grid": grid}, (over, snap, table)
    return Part(named, shown, _codebook, lambda chosen, _: chosen == lab.ABOVE)


def _codebook(w: Tensor, weights: str, grid: str) -> tuple[Any, ...]:
    from qdemo.lab import codebooks

    every = codebooks.all_snapped(w) if weights == lab.ABOVE else codebooks.of_layer(weights)
    chosen = next(one for one in every if one.grid == grid)
    units, snapped = chosen.units[0].tolist(), chosen.snapped[0].tolist()
    return (
        parts.drawn(method_plots.levels_over(grid, chosen.levels, *codebooks.histogram(chosen))),
        parts.drawn(method_plots.snapping(grid, chosen.levels, units, snapped)),
        table_html(methods.grids_table([_figures(one) for one in every])),
    )


def _figures(one: Snapped) -> tuple[str, int, float, float, float | None]:
    return one.grid, len(one.levels), one.bits, one.rms, one.sqnr


def scales() -> Part:
    """Lay the part on the scales of blocks out."""
    parts.section(
        say("Block scales"),
        say(
            "A scale in 8 bits: if few weights share a block scale it fits them closely, and has "
            "to be small itself. MX holds a power of two for 32 weights, so the largest of them "
            "are clipped, or steps are up to half as coarse again (Open Compute Project, "
            "Microscaling Formats, 2023). NVFP4 holds an e4m3 number for 16, times one fp32 scale "
            "of the whole tensor. A shorter row is one block."
        ),
    )
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320):
            chart = parts.plot(None, "scales-chart")
        with gr.Column(scale=7, min_width=320):
            table = parts.html("", "scales-table")
            line = parts.html("", "scales-line")
    return Part({}, (chart, table, line), _scales)


def _scales(w: Tensor) -> tuple[Any, ...]:
    from qdemo.lab.block_scales import FORMATS, block_scales

    found = {name: block_scales(w, name) for name in FORMATS}
    ratios = {name: [one.held / one.wanted for one in f.blocks] for name, f in found.items()}
    mx, nv = found.values()
    rows = [_row(i, *pair) for i, pair in enumerate(zip(mx.blocks, nv.blocks, strict=True), 1)]
    line = say(
        "RMS error of the whole: {mx} in mxfp4, {nv} in nvfp4, {ideal} with the scales that are "
        "wanted. The scale of the tensor is {scale}.",
        mx=significant(mx.rms),
        nv=significant(nv.rms),
        ideal=significant(mx.ideal),
        scale=significant(nv.tensor_scale),
    )
    return (
        parts.drawn(method_plots.held_scales(ratios)),
        lab_html.stacked_html(methods.scales_table(rows)),
        methods.said_html(line),
    )


def _row(number: int, mx: Block, nv: Block) -> tuple[str, ...]:
    return (
        str(number),
        significant(mx.absmax),
        significant(mx.wanted, 4),
        power(int(mx.stored), 2),
        significant(mx.held, 4),
        significant(mx.error),
        say("{number} × tensor", number=f"{nv.stored:g}"),
        significant(nv.held, 4),
        significant(nv.error),
    )
