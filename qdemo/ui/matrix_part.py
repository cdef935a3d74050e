"""Part of the page on linear quantization: the small matrix, and how it is to be quantized."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from qdemo import lab
from qdemo.spec.messages import say
from qdemo.spec.scheme import Scheme
from qdemo.ui import parts
from qdemo.ui.address import Named
from qdemo.views import lab_told

RANGES = {"symmetric": True, "affine": False}
SCALES: dict[str, dict[str, Any]] = {
    "a row": {},
    "the whole matrix": {"axis": None},
    "a column": {"axis": 1},
    "a group of 4": {"group_size": 4},
}
"""What may share a scale. The keys, like those of `RANGES`, stand in addresses, in any language."""

START = (3, "symmetric", "a row", 1)
"""Bits, range, scales, and the part of the range kept. Three bits: of few, most is seen."""

CELL = "0,0"
"""Row and column of the weight that is chosen first."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """What is chosen, the line that says what is wrong with it, the weight that is looked at, and
    the line that says what a choice changed."""

    text: gr.Textbox
    bits: gr.Slider
    range: gr.Radio
    scales: gr.Radio
    clip: gr.Slider
    problem: gr.HTML
    cell: gr.Textbox
    line: gr.HTML

    @property
    def named(self) -> Named:
        """The components, in the order of `START`, by the names that an address has for them."""
        return {
            "matrix": self.text,
            "bits": self.bits,
            "range": self.range,
            "scales": self.scales,
            "clip": self.clip,
        }


def scheme(bits: float, range_: str, scales: str) -> Scheme:
    """The scheme that the choices mean."""
    return Scheme(f"int{int(bits)}", symmetric=RANGES[range_], **SCALES[scales])


def build() -> Chosen:
    """Lay it out and connect what changes a choice; the caller is inside its page."""
    with gr.Row(equal_height=False, elem_classes="choices"):
        with gr.Column(scale=3, min_width=260):
            kind = gr.Dropdown(
                presets(), value=lab.NORMAL, label=say("Matrix"),
                elem_id="matrix-kind", filterable=False,
            )  # fmt: skip
            text = gr.Textbox(
                lab.START, label=say("Its numbers, a row a line"), lines=2, max_lines=2,
                elem_id="matrix", max_length=5000,
            )  # fmt: skip
        with gr.Column(scale=3, min_width=260):
            bits = gr.Slider(2, 8, START[0], step=1, label=say("Bits"), elem_id="bits")
            range_ = gr.Radio(ranges(), value=START[1], label=say("Range"), elem_id="range")
        with gr.Column(scale=3, min_width=260):
            scales = gr.Radio(
                shares(), value=START[2], label=say("One scale for"), elem_id="scales"
            )
            with gr.Row():
                outlier = button(say("Add an outlier"), "outlier", 110)
                again = button(say("Draw again"), "again-matrix", 110)
        with gr.Column(scale=3, min_width=260):
            clip = gr.Slider(
                0.2, 1, START[3], step=0.01, label=say("Part of the range kept"), elem_id="clip"
            )
            clippers = _clippers()
    problem = parts.problem("matrix")
    line = parts.html("", "changed")
    cell = parts.unseen("cell", CELL)
    chosen = Chosen(text, bits, range_, scales, clip, problem, cell, line)
    _clipping(chosen, *clippers)
    follow(kind, again, outlier, text, problem, cell)
    return chosen


def presets() -> list[tuple[str, str]]:
    """The matrices there are, as they are read, each with its value."""
    told = {
        lab.NORMAL: say("a normal distribution"),
        lab.UNIFORM: say("evenly from −1 … 1"),
        lab.COURSE: say("the course: 0 1 2 3"),
    }
    return [(told.get(name, name), name) for name in lab.PRESETS]


def told(choices: list[tuple[str, str]]) -> dict[str, str]:
    """The words of each choice, by its value."""
    return {value: words for words, value in choices}


def ranges() -> list[tuple[str, str]]:
    """The ranges, in words, each with its value."""
    return [(say("symmetric"), "symmetric"), (say("affine"), "affine")]


def shares() -> list[tuple[str, str]]:
    """What may share a scale, in words, each with its value."""
    names = (
        say("a row"),
        say("the whole matrix"),
        say("a column"),
        say("a group of {size}", size=4),
    )
    return list(zip(names, SCALES, strict=True))


def _clippers() -> tuple[gr.Button, gr.Button, gr.Button]:
    """Three ways to choose the part of the range that is kept."""
    with gr.Row():
        return (
            button(say("Min–max"), "minmax", 80),
            button(say("99th percentile"), "percentile", 80),
            button(say("Least error"), "best", 80),
        )


def _clipping(chosen: Chosen, minmax: gr.Button, percentile: gr.Button, best: gr.Button) -> None:
    changed = [chosen.clip, chosen.problem, chosen.line]
    ways: list[tuple[gr.Button, Callable[..., Any], list[Any]]] = [
        (minmax, _minmax, []),
        (percentile, _percentile, [chosen.text]),
        (best, _best, [chosen.text, chosen.range, chosen.scales]),
    ]
    for button, way, more in ways:
        parts.on_untouched(
            [button.click], way, [chosen.clip], changed, f"{button.elem_id}-found",
            [chosen.bits, *more],
        )  # fmt: skip


def follow(
    kind: gr.Dropdown,
    again: gr.Button,
    outlier: gr.Button,
    text: gr.Textbox,
    problem: gr.HTML,
    cell: gr.Textbox | None = None,
) -> None:
    """Have the numbers be of the kind that is chosen, drawn again, or with an outlier, which is
    the `cell` that is looked at, if there is one."""
    seed, cells = parts.unseen("drawn", "0"), [cell] if cell else []
    parts.on_untouched([kind.input], preset, [text, kind], [text], "preset")
    parts.on_untouched([again.click], draw, [text], [text, seed], "draw", [kind, seed])
    outputs = [text, problem, *cells]
    parts.on_untouched([outlier.click], outlier_in, [text], outputs, "outlier-in")


def button(text: str, name: str, width: int) -> gr.Button:
    """A small button, at least so many px wide."""
    return gr.Button(text, elem_id=name, min_width=width, size="md")


@parts.computing
def preset(_: str, kind: str, seed: int = 0) -> tuple[str]:
    """The matrix of that name, as text, in the place of any other."""
    from qdemo.lab import matrices

    return (matrices.write(matrices.preset(kind, seed)),)


def draw(text: str, kind: str, seed: str) -> tuple[str, str]:
    """The matrix of that name from the next seed, and that seed."""
    return *preset(text, kind, int(seed) + 1), str(int(seed) + 1)


@parts.computing
def outlier_in(text: str) -> tuple[Any, str, Any]:
    """The matrix with an outlier, what is wrong with it, and where the outlier is."""
    from qdemo.lab.matrices import outlier_at, read, with_outlier, write

    try:
        w = read(text)
    except ValueError as error:
        return gr.skip(), parts.problem_html(str(error)), gr.skip()
    return write(with_outlier(w)), "", "{},{}".format(*outlier_at(w))


def _minmax(now: float, bits: float) -> tuple[Any, ...]:
    return _kept(now, bits, lambda: 1)


@parts.computing
def _best(now: float, bits: float, text: str, range_: str, scales: str) -> tuple[Any, ...]:
    from qdemo.lab.by_hand import best_clip, clip_errors
    from qdemo.lab.matrices import read

    asked = scheme(bits, range_, scales)
    return _kept(now, bits, lambda: best_clip(clip_errors(read(text), asked)), is_best=True)


@parts.computing
def _percentile(now: float, bits: float, text: str) -> tuple[Any, ...]:
    from qdemo.lab.by_hand import percentile_clip
    from qdemo.lab.matrices import read

    return _kept(now, bits, lambda: max(0.2, round(percentile_clip(read(text)), 2)))


def _kept(
    now: float, bits: float, compute: Callable[[], float], is_best: bool = False
) -> tuple[Any, Any, Any]:
    """The part of the range that is to be kept, or why there is none; where it is kept already, a
    line says so, as nothing on the page moves."""
    try:
        kept = compute()
    except ValueError as error:
        return gr.skip(), parts.problem_html(str(error)), gr.skip()
    if kept != now:
        return kept, "", gr.skip()
    return gr.skip(), "", parts.changed_html(lab_told.kept_already(kept, bits, is_best))
