"""The page on linear quantization: a small matrix, every number of it, by hand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import gradio as gr

from qdemo import lab
from qdemo.spec.messages import say
from qdemo.ui import address, beginning, beside_part, matrix_part, parts, training_part
from qdemo.ui.changed import Place, changed, place, quantized
from qdemo.views import lab as lab_html
from qdemo.views import lab_plots
from qdemo.views.tables import Table
from qdemo.views.templates import asset
from qdemo.views.wording import percent, significant

if TYPE_CHECKING:
    from qdemo.lab.by_hand import ByHand


@dataclass(frozen=True, eq=False)
class Page:
    """What is chosen, what shows it, and what was shown last."""

    matrix: matrix_part.Chosen
    shown: tuple[Any, ...]
    last: gr.Textbox

    @property
    def chosen(self) -> list[Any]:
        """The inputs of `_show`."""
        return [*self.matrix.named.values(), self.matrix.cell, self.last]

    @property
    def outputs(self) -> list[Any]:
        """The outputs of `_show`."""
        return [*self.shown, self.last, self.matrix.problem]


def build(blocks: gr.Blocks) -> None:
    """Lay the page out and connect it; the caller is inside its route."""
    parts.masthead(
        say("Linear quantization"),
        say(
            "q = clamp(round(w / scale) + zero_point, qmin, qmax), and back: ŵ = scale · (q − "
            "zero_point)."
        ),
    )
    matrix = matrix_part.build()
    page = _shown(matrix)
    choices = [part.change for part in matrix.named.values()]
    gr.on(choices, _show, page.chosen, page.outputs, **parts.QUICK)
    matrix.cell.change(_choose, page.chosen, page.outputs, **parts.QUICK)
    layer = beside_part.build(blocks)
    train_bits, train_seed = training_part.build(blocks)
    parts.section(
        say("The figures of the course"), say("Lesson 4, linear quantization. A tick: the same.")
    )
    figures = parts.html("", "course-linear")
    named = {**matrix.named, "layer": layer, "train_bits": train_bits, "train_seed": train_seed}
    address.connect(blocks, named, [*page.shown, figures], _first)
    flan = parts.html("", "course-flan")
    beginning.begin(blocks, [flan], _flan_figures)


@parts.computing
@cache
def _first() -> tuple[Any, ...]:
    from qdemo.lab import course

    figures = course.figures("linear", course.LINEAR)
    chosen = lab.START, *matrix_part.START
    return *_parts(*chosen, matrix_part.CELL, ""), lab_html.course_html(figures)


@parts.computing
def _flan_figures() -> str:
    from qdemo.lab import course

    return lab_html.course_html(course.figures("linear", course.FLAN))


def _shown(matrix: matrix_part.Chosen) -> Page:
    """The part of the page that shows what comes out."""
    grids = parts.html("", "grids", js=asset("cells.js"))
    steps = parts.html("", "steps")
    with gr.Row():
        stairs = parts.plot(None, "staircase-chart")
        clipping = parts.plot(None, "clipping-chart")
    table = parts.html("", "by-hand-table")
    parts.html(parts.link("linear"), "link")
    last = parts.unseen("last-shown", json.dumps([lab.START, *matrix_part.START]))
    return Page(matrix, (matrix.line, grids, steps, stairs, clipping, table), last)


@parts.computing
def _show(*chosen: Any) -> tuple[Any, ...]:
    """Everything for what is chosen; what can't be read leaves the last picture as it was."""
    try:
        return *_parts(*chosen), json.dumps(chosen[:5]), ""
    except ValueError as error:
        return *parts.nothing(7), parts.problem_html(str(error))


@parts.computing
def _choose(
    text: str, bits: float, range_: str, scales: str, clip: float, cell: str, _: str
) -> tuple[Any, ...]:
    """What belongs to one cell; the rest of the page stays."""
    try:
        found = quantized(text, bits, range_, scales, clip)
    except ValueError as error:
        return *parts.nothing(7), parts.problem_html(str(error))
    return gr.skip(), *_of_cell(found, place(found, cell)), *parts.nothing(3), ""


def _parts(
    text: str, bits: float, range_: str, scales: str, clip: float, cell: str, last: str
) -> tuple[Any, ...]:
    from qdemo.lab import by_hand

    found = quantized(text, bits, range_, scales, clip)
    errors = by_hand.clip_errors(found.w, found.scheme)
    best = by_hand.best_clip(errors)
    chosen, at = (text, bits, range_, scales, clip), place(found, cell)
    return (
        parts.changed_html(changed(found, chosen, at, last, clip == best < 1)),
        *_of_cell(found, at),
        parts.drawn(lab_plots.clipping(errors, clip, best)),
        lab_html.stacked_html(_table(found, clip)),
    )


def _of_cell(found: ByHand, at: Place) -> tuple[Any, ...]:
    """The grids with a cell chosen, its steps, and the weights that share its scale."""
    from qdemo.lab import by_hand

    return (
        lab_html.grids_html(found, at),
        lab_html.steps_html(by_hand.choice(found, *at), found.formula(*at), at),
        parts.drawn(lab_plots.staircase(*by_hand.block(found, *at))),
    )


def _table(found: ByHand, clip: float) -> Table:
    error = found.error
    relative = error.norm() / found.w.norm() if found.w.norm() else error.norm()
    row = (
        str(found.scheme),
        percent(clip),
        significant(error.square().mean().sqrt().item()),
        significant(error.abs().max().item()),
        significant(relative.item()),
        significant(found.rounding),
        significant(found.clipping),
        str(int(found.clipped.sum())),
        say("{bytes} instead of {bytes_fp32}", bytes=found.nbytes, bytes_fp32=4 * found.w.numel()),
    )
    head = (
        say("scheme"),
        say("range kept"),
        say("RMS error"),
        say("max error"),
        say("relative"),
        say("rounding Σe²"),
        say("clipping Σe²"),
        say("clipped"),
        say("bytes"),
    )
    return Table(say("What it costs"), head, (row,))
