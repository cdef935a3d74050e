"""The page on linear quantization: a small matrix, every number of it, by hand."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import gradio as gr

from qdemo import lab
from qdemo.spec.scheme import Scheme
from qdemo.ui import address, beside_part, parts, training_part
from qdemo.views import lab as lab_html
from qdemo.views import lab_plots
from qdemo.views.panels import table_html
from qdemo.views.tables import Table
from qdemo.views.templates import asset
from qdemo.views.wording import percent, significant

if TYPE_CHECKING:
    from qdemo.lab.by_hand import ByHand

_LEAD = (
    "q = clamp(round(w / scale) + zero_point, qmin, qmax), and back: ŵ = scale · (q − zero_point). "
    "Change a number, the bits, who shares a scale, and watch the integers and the error."
)
_RANGES = {"symmetric": True, "affine": False}
_SCALES: dict[str, dict[str, Any]] = {
    "a row": {},
    "the whole matrix": {"axis": None},
    "a column": {"axis": 1},
    "a group of 4": {"group_size": 4},
}
_FIRST_CELL = "0,0"
_START = (4, "symmetric", "a row", 1)  # bits, range, scales, and the part of the range kept


@dataclass(frozen=True, eq=False)
class Page:
    """What is chosen, and what shows it."""

    text: gr.Textbox
    bits: gr.Slider
    range: gr.Radio
    scales: gr.Radio
    clip: gr.Slider
    cell: gr.Textbox
    shown: tuple[Any, ...]
    problem: gr.HTML

    @property
    def chosen(self) -> list[Any]:
        """The inputs of `_show`."""
        return [self.text, self.bits, self.range, self.scales, self.clip, self.cell]

    @property
    def outputs(self) -> list[Any]:
        """The outputs of `_show`."""
        return [*self.shown, self.problem]


def build(blocks: gr.Blocks) -> None:
    """Lay the page out and connect it; the caller is inside its route."""
    parts.masthead("Linear quantization", _LEAD)
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320):
            kind = gr.Dropdown(
                list(lab.PRESETS), value=lab.NORMAL, label="Matrix",
                elem_id="matrix-kind", filterable=False,
            )  # fmt: skip
            text = gr.Textbox(
                lab.START, label="Its numbers, a row a line", lines=6, max_lines=12,
                elem_id="matrix", max_length=5000,
            )  # fmt: skip
            problem = parts.problem("matrix")
        with gr.Column(scale=3, min_width=300):
            bits = gr.Slider(2, 8, _START[0], step=1, label="Bits", elem_id="bits")
            range_ = gr.Radio(list(_RANGES), value=_START[1], label="Range", elem_id="range")
            scales = gr.Radio(
                list(_SCALES), value=_START[2], label="One scale for", elem_id="scales"
            )
        with gr.Column(scale=3, min_width=300):
            clip = _clip(text, bits, range_, scales, problem)
            with gr.Row():
                outlier = gr.Button("Add an outlier", elem_id="outlier", min_width=120, size="md")
                again = gr.Button("Draw again", elem_id="again-matrix", min_width=120, size="md")
    page = _shown(text, bits, range_, scales, clip, problem)
    inputs = page.chosen[:-1]
    gr.on([part.change for part in inputs], _show, page.chosen, page.outputs, **parts.QUICK)
    seed = parts.unseen("drawn", "0")
    kind.input(_preset, kind, text, **parts.QUICK)
    again.click(_draw, [kind, seed], [text, seed], **parts.QUICK)
    outlier.click(_outlier, text, [text, problem], **parts.QUICK)
    layer = beside_part.build(blocks)
    train_bits, train_seed = training_part.build(blocks)
    parts.section("The figures of the course", "Lesson 4, linear quantization. A tick: the same.")
    figures = parts.html("", "course-linear")
    named = {
        "matrix": text, "bits": bits, "range": range_, "scales": scales, "clip": clip,
        "layer": layer, "train_bits": train_bits, "train_seed": train_seed,
    }  # fmt: skip
    address.connect(blocks, named, [*page.shown, figures], _first)
    flan = parts.html("", "course-flan")
    blocks.load(_flan_figures, None, flan, show_progress="hidden", api_visibility="private")


def _clip(text: Any, bits: Any, range_: Any, scales: Any, problem: Any) -> gr.Slider:
    """The part of the range that is kept, and three ways to choose it."""
    clip = gr.Slider(0.2, 1, _START[3], step=0.01, label="Part of the range kept", elem_id="clip")
    with gr.Row():
        minmax = gr.Button("Min–max", elem_id="minmax", min_width=90, size="md")
        percentile = gr.Button("99th percentile", elem_id="percentile", min_width=90, size="md")
        best = gr.Button("Least error", elem_id="best", min_width=90, size="md")
    minmax.click(lambda: 1, None, clip, **parts.QUICK)
    percentile.click(_percentile, text, [clip, problem], **parts.QUICK)
    best.click(_best, [text, bits, range_, scales], [clip, problem], **parts.QUICK)
    return clip


@parts.computing
@cache
def _first() -> tuple[Any, ...]:
    from qdemo.lab import course

    figures = course.figures("linear", course.LINEAR)
    return *_parts(lab.START, *_START, _FIRST_CELL), lab_html.course_html(figures)


@parts.computing
def _flan_figures() -> str:
    from qdemo.lab import course

    return lab_html.course_html(course.figures("linear", course.FLAN))


def _shown(text: Any, bits: Any, range_: Any, scales: Any, clip: Any, problem: Any) -> Page:
    """The part of the page that shows what comes out."""
    cell = parts.unseen("cell", _FIRST_CELL)
    grids = parts.html("", "grids", js=asset("cells.js"))
    steps = parts.html("", "steps")
    with gr.Row():
        stairs = parts.plot(None, "staircase-chart")
        clipping = parts.plot(None, "clipping-chart")
    table = parts.html("", "by-hand-table")
    parts.html(parts.link("linear"), "link")
    page = Page(
        text,
        bits,
        range_,
        scales,
        clip,
        cell,
        (grids, steps, stairs, clipping, table),
        problem,
    )
    cell.change(_choose, page.chosen, page.outputs, **parts.QUICK)
    return page


@parts.computing
def _show(*chosen: Any) -> tuple[Any, ...]:
    """Everything for what is chosen; what can't be read leaves the last picture as it was."""
    try:
        return *_parts(*chosen), ""
    except ValueError as error:
        return *(gr.skip() for _ in range(5)), parts.problem_html(str(error))


@parts.computing
def _choose(
    text: str, bits: float, range_: str, scales: str, clip: float, cell: str
) -> tuple[Any, ...]:
    """What belongs to one cell; the rest of the page stays."""
    from qdemo.lab import by_hand, matrices

    try:
        found = by_hand.by_hand(matrices.read(text), _scheme(bits, range_, scales), clip)
    except ValueError as error:
        return *(gr.skip() for _ in range(5)), parts.problem_html(str(error))
    return *_of_cell(found, cell), gr.skip(), gr.skip(), ""


def _scheme(bits: float, range_: str, scales: str) -> Scheme:
    return Scheme(f"int{int(bits)}", symmetric=_RANGES[range_], **_SCALES[scales])


def _parts(
    text: str, bits: float, range_: str, scales: str, clip: float, cell: str
) -> tuple[Any, ...]:
    from qdemo.lab import by_hand, matrices

    w, scheme = matrices.read(text), _scheme(bits, range_, scales)
    found = by_hand.by_hand(w, scheme, clip)
    errors = by_hand.clip_errors(w, scheme)
    return (
        *_of_cell(found, cell),
        parts.drawn(lab_plots.clipping(errors, clip, by_hand.best_clip(errors))),
        table_html(_table(found, clip)),
    )


def _of_cell(found: ByHand, cell: str) -> tuple[Any, ...]:
    """The grids with a cell chosen, its steps, and the weights that share its scale."""
    from qdemo.lab import by_hand

    row, column = map(int, cell.split(","))
    at = (min(row, found.w.shape[0] - 1), min(column, found.w.shape[1] - 1))
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
        f"{found.nbytes} instead of {4 * found.w.numel()}",
    )
    head = ("scheme", "range kept", "RMS error", "max error", "relative", "rounding Σe²",
            "clipping Σe²", "clipped", "bytes")  # fmt: skip
    return Table("What it costs", head, (row,))


@parts.computing
def _preset(kind: str, seed: int = 0) -> str:
    from qdemo.lab import matrices

    return matrices.write(matrices.preset(kind, seed))


def _draw(kind: str, seed: str) -> tuple[str, str]:
    return _preset(kind, int(seed) + 1), str(int(seed) + 1)


@parts.computing
def _outlier(text: str) -> tuple[Any, str]:
    from qdemo.lab.matrices import read, with_outlier, write

    return _tried(lambda: write(with_outlier(read(text))))


@parts.computing
def _best(text: str, bits: float, range_: str, scales: str) -> tuple[Any, str]:
    from qdemo.lab.by_hand import best_clip, clip_errors
    from qdemo.lab.matrices import read

    scheme = _scheme(bits, range_, scales)
    return _tried(lambda: best_clip(clip_errors(read(text), scheme)))


@parts.computing
def _percentile(text: str) -> tuple[Any, str]:
    from qdemo.lab.by_hand import percentile_clip
    from qdemo.lab.matrices import read

    return _tried(lambda: max(0.2, round(percentile_clip(read(text)), 2)))


def _tried(compute: Any) -> tuple[Any, str]:
    try:
        return compute(), ""
    except ValueError as error:
        return gr.skip(), parts.problem_html(str(error))
