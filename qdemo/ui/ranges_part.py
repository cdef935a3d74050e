"""Parts of the page on methods: ranges that are searched for, and zero points that move."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import gradio as gr

from qdemo import lab
from qdemo.spec.messages import say
from qdemo.ui import method_part, parts
from qdemo.ui.method_part import Part
from qdemo.views import method_plots, methods
from qdemo.views.numbers import percent

if TYPE_CHECKING:
    from torch import Tensor

    from qdemo.lab.found_ranges import Search

ROW = 4
"""The row that is searched for first, counted from 1."""

_MOST_ROWS = 12


def search() -> Part:
    """Lay the part on the range search out, inside its page."""
    parts.section(
        say("Range search"),
        say(
            "Clip a few weights, and all the others have finer steps: the range search of -mse "
            "tries 40 ranges for each block, 100%, 98% … 22% of the whole, and keeps the one with "
            "the least Σ|ŵ − w|^2.4 (as the mse observer of llm-compressor). No data is needed."
        ),
    )
    with gr.Row(equal_height=False):
        with gr.Column(scale=6, min_width=320):
            chart = parts.plot(None, "search-chart")
        with gr.Column(scale=5, min_width=320):
            grid = method_part.grids(lab.RANGED, "int2", say("Grid"), "search-grid")
            row = gr.Slider(
                1,
                _MOST_ROWS,
                ROW,
                step=1,
                label=say("Row of the matrix"),
                elem_id="search-row",
                min_width=240,
            )
            numbers = parts.html("", "search-numbers")
            line = parts.html("", "search-line")
    return Part({"range_grid": grid, "range_row": row}, (chart, numbers, line), _search)


def _search(w: Tensor, grid: str, row: float) -> tuple[Any, ...]:
    from qdemo.lab import found_ranges

    place = min(int(row), len(w)) - 1
    found = found_ranges.search(w[place], grid)
    curve = found.shares, found.powers, found.squares, found.chosen
    return (
        parts.drawn(method_plots.search(*curve)),
        methods.numbers_html(_numbers(found, place)),
        methods.said_html(_gain(found)),
    )


def _numbers(found: Search, place: int) -> methods.Shown:
    rows = [x.tolist() for x in (found.w, found.whole, found.narrow)]
    share = percent(round(found.chosen, 2))
    names = ["w", say("ŵ at {share}", share="100%"), say("ŵ at {share}", share=share)]
    title = say("Row {row}, and what comes back of it", row=place + 1)
    return methods.matrix(title, rows, names, digits=methods.digits_of(rows))


def _gain(found: Search) -> str:
    before, after = found.powers[0], min(found.powers)
    if not before or after == before:
        return say("The whole range is the best of the forty here.")
    return say(
        "Keeping {share} of the range leaves {left} of Σ|e|^2.4; of Σe² alone, {square} would "
        "leave least.",
        share=percent(round(found.chosen, 2)),
        left=percent(after / before),
        square=percent(round(found.best_square, 2)),
    )


def zero_points() -> Part:
    """Lay the part on HQQ out."""
    parts.section(
        say("HQQ"),
        say(
            "A zero point that moves: HQQ looks for the float zero point that makes Σ|ŵ − w|^0.7 "
            "small, which forgives a few large errors sooner than many small ones. Large errors "
            "are set aside, the rest of each row gives a new zero point, and so on until the mean "
            "error no longer falls (Badri and Shaji, Half-Quadratic Quantization, 2023). The scale "
            "stays as it is, and no data is needed."
        ),
    )
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            moves = parts.plot(None, "zeros-chart")
        with gr.Column(scale=5, min_width=320):
            errors = parts.plot(None, "hqq-chart")
        with gr.Column(scale=3, min_width=260):
            bits = method_part.bits(4, "hqq-bits")
            line = parts.html("", "hqq-line")
    return Part({"hqq_bits": bits}, (moves, errors, line), _zero_points)


def _zero_points(w: Tensor, bits: float) -> tuple[Any, ...]:
    from qdemo.lab import found_ranges

    found = found_ranges.moving(w, int(bits))
    moved = (found.zero_points - found.zero_points[0]).t().tolist()
    line = say(
        "After {steps} steps the mean |e| is {mean} and the RMS of e {rms} of what they were with "
        "the zero points of the whole range.",
        steps=len(found.means) - 1,
        mean=_left(found.means),
        rms=_left(found.rms),
    )
    return (
        parts.drawn(method_plots.zero_points(moved)),
        parts.drawn(method_plots.falling(found.means, found.rms)),
        methods.said_html(line),
    )


def _left(errors: tuple[float, ...]) -> str:
    return percent(errors[-1] / errors[0]) if errors[0] else percent(1.0)
