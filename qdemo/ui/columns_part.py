"""Parts of the page on methods: GPTQ column by column, and a rotation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from qdemo.spec.messages import say
from qdemo.ui import method_part, parts
from qdemo.ui.method_part import Part
from qdemo.views import method_bars, method_plots, methods
from qdemo.views.panels import table_html

if TYPE_CHECKING:
    from torch import Tensor

    from qdemo.lab.columns import Walk
    from qdemo.lab.rotating import Rotated, Side

COLUMN, ALIKE = 3, 0.8
"""How many columns are rounded, and how much inputs are alike, to begin with."""

_MOST = 8


def columns() -> Part:
    """Lay the part on GPTQ out, inside its page."""
    parts.section(
        say("GPTQ"),
        say(
            "Columns still to come make up for the error: one after the other is rounded, and its "
            "error is pushed on to those after it, as far as their inputs are like its own "
            "(Frantar et al., 2023). So GPTQ moves weights further from what they were, SQNR "
            "falls, and what the layer gives comes nearer. How alike inputs are is known from "
            "calibration; here they are 64 drawn ones."
        ),
    )
    with gr.Row():
        column = gr.Slider(
            0,
            _MOST,
            COLUMN,
            step=1,
            label=say("Columns rounded"),
            elem_id="gptq-column",
            min_width=240,
        )
        alike = gr.Slider(
            0,
            0.95,
            ALIKE,
            step=0.05,
            label=say("Correlation of the inputs"),
            elem_id="gptq-alike",
            min_width=240,
        )
        bits = method_part.bits(3, "gptq-bits")
    numbers = parts.html("", "gptq-numbers")
    with gr.Row(equal_height=False):
        with gr.Column(scale=6, min_width=320):
            chart = parts.plot(None, "gptq-chart")
        with gr.Column(scale=5, min_width=320):
            table = parts.html("", "gptq-table", "wraps")
            line = parts.html("", "gptq-line")
    named = {"columns": column, "alike": alike, "gptq_bits": bits}
    return Part(named, (numbers, chart, table, line), _columns)


def _columns(w: Tensor, column: float, alike: float, bits: float) -> tuple[Any, ...]:
    from qdemo.lab.columns import part_of, walk

    found = walk(part_of(w), int(bits), alike)
    at = min(int(column), len(found.after) - 1)
    here, end = found.after[at], found.after[-1]
    errors = [one.output_error for one in found.after], [one.nearest_error for one in found.after]
    line = say(
        "After all {count} columns {changed} of {all} weights have another level than the nearest.",
        count=len(found.after) - 1,
        changed=int((end.w != end.nearest).sum()),
        all=end.w.numel(),
    )
    figures = (here.output_error, here.sqnr), (here.nearest_error, here.nearest_sqnr)
    return (
        methods.numbers_html(*_matrices(found, at)),
        parts.drawn(method_plots.walk(*errors, at)),
        table_html(methods.walk_table(at, *figures)),
        methods.said_html(line),
    )


def _matrices(found: Walk, at: int) -> list[methods.Shown]:
    """W as it is now, the columns that are rounded marked, and what the last of them pushed on."""
    now = found.after[at].w.tolist()
    digits = methods.digits_of(found.w.tolist())
    count = found.w.shape[1]
    marks = ["now" if c == at - 1 else "done" if c < at else "" for c in range(count)]
    title = say("W after {count} columns: rounded ones are framed", count=at)
    shown = [methods.matrix(title, now, marks=marks, digits=digits)]
    if at:
        pushed = found.pushes[at - 1].tolist()
        title = say("What the error of column {column} adds to those after it", column=at)
        shown.append(methods.matrix(title, pushed, marks=marks, digits=digits, skip=at))
    else:
        zeros = [[0.0] * count for _ in now]
        shown.append(methods.matrix(say("Nothing is pushed on yet"), zeros, digits=digits))
    return shown


def rotation() -> Part:
    """Lay the part on rotations out."""
    parts.section(
        say("Rotation"),
        say(
            "Spread an outlier over many columns: XWᵀ = (XR)(WR)ᵀ for every rotation R. With "
            "random signs and a Hadamard matrix each new column is a sum of all old ones, ± each, "
            "divided by a root. What was large in one is small in many, and the scale has less to "
            "reach (Ashkboos et al., QuaRot, 2024). Without an outlier it gains nothing. What is "
            "held of it is the seed of the signs."
        ),
    )
    with gr.Row(equal_height=False):
        with gr.Column(scale=6, min_width=320):
            chart = parts.plot(None, "rotation-chart")
        with gr.Column(scale=5, min_width=320):
            times = gr.Slider(
                1,
                20,
                8,
                step=1,
                label=say("The largest weight, times"),
                elem_id="rotation-times",
                min_width=240,
            )
            bits = method_part.bits(4, "rotation-bits")
            table = parts.html("", "rotation-table", "wraps")
            line = parts.html("", "rotation-line")
    named = {"times": times, "rotation_bits": bits}
    return Part(named, (chart, table, line), _rotation)


def _rotation(w: Tensor, times: float, bits: float) -> tuple[Any, ...]:
    from qdemo.lab.rotating import rotated

    found = rotated(w, int(bits), times)
    rows = found.before.row.tolist(), found.after.row.tolist()
    caption = say("The whole matrix in int{bits}, a scale a row", bits=int(bits))
    return (
        parts.drawn(method_bars.row(*rows)),
        table_html(methods.sides_table(caption, _of(found.before), _of(found.after))),
        methods.said_html(_turned(found)),
    )


def _of(side: Side) -> tuple[float, float, float]:
    return side.absmax, side.rms, side.output_error


def _turned(found: Rotated) -> str:
    if found.size == 1:
        return say("Blocks are as long as the largest power of two that divides a row: here 1, so "
                   "only signs change.")  # fmt: skip
    return say(
        "Row {row}, turned in blocks of {size}: the largest power of two that divides a row.",
        row=found.row + 1,
        size=found.size,
    )
