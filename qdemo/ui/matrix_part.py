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

RANGES = {"symmetric": True, "affine": False}
SCALES: dict[str, dict[str, Any]] = {
    "a row": {},
    "the whole matrix": {"axis": None},
    "a column": {"axis": 1},
    "a group of 4": {"group_size": 4},
}
"""What may share a scale. The keys, like those of `RANGES`, stand in addresses, in any language."""

START = (4, "symmetric", "a row", 1)
"""Bits, range, scales, and the part of the range kept."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """What is chosen, and the line that says what is wrong with it."""

    text: gr.Textbox
    bits: gr.Slider
    range: gr.Radio
    scales: gr.Radio
    clip: gr.Slider
    problem: gr.HTML

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
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320):
            kind = gr.Dropdown(
                _presets(), value=lab.NORMAL, label=say("Matrix"),
                elem_id="matrix-kind", filterable=False,
            )  # fmt: skip
            text = gr.Textbox(
                lab.START, label=say("Its numbers, a row a line"), lines=6, max_lines=12,
                elem_id="matrix", max_length=5000,
            )  # fmt: skip
            problem = parts.problem("matrix")
        with gr.Column(scale=3, min_width=300):
            bits = gr.Slider(2, 8, START[0], step=1, label=say("Bits"), elem_id="bits")
            range_ = gr.Radio(_ranges(), value=START[1], label=say("Range"), elem_id="range")
            scales = gr.Radio(
                _shares(), value=START[2], label=say("One scale for"), elem_id="scales"
            )
        with gr.Column(scale=3, min_width=300):
            clip = gr.Slider(
                0.2, 1, START[3], step=0.01, label=say("Part of the range kept"), elem_id="clip"
            )
            chosen = Chosen(text, bits, range_, scales, clip, problem)
            _clipping(chosen)
            with gr.Row():
                outlier = _button(say("Add an outlier"), "outlier", 120)
                again = _button(say("Draw again"), "again-matrix", 120)
    seed = parts.unseen("drawn", "0")
    kind.input(_preset, kind, text, **parts.QUICK)
    again.click(_draw, [kind, seed], [text, seed], **parts.QUICK)
    outlier.click(_outlier, text, [text, problem], **parts.QUICK)
    return chosen


def _presets() -> list[tuple[str, str]]:
    """The matrices there are, as they are read, each with its value."""
    told = {
        lab.NORMAL: say("drawn from a normal distribution"),
        lab.UNIFORM: say("drawn evenly from −1 … 1"),
        lab.COURSE: say("the course: 0 1 2 3"),
    }
    return [(told.get(name, name), name) for name in lab.PRESETS]


def _ranges() -> list[tuple[str, str]]:
    return [(say("symmetric"), "symmetric"), (say("affine"), "affine")]


def _shares() -> list[tuple[str, str]]:
    told = (
        say("a row"),
        say("the whole matrix"),
        say("a column"),
        say("a group of {size}", size=4),
    )
    return list(zip(told, SCALES, strict=True))


def _clipping(chosen: Chosen) -> None:
    """Three ways to choose the part of the range that is kept."""
    with gr.Row():
        minmax = _button(say("Min–max"), "minmax", 90)
        percentile = _button(say("99th percentile"), "percentile", 90)
        best = _button(say("Least error"), "best", 90)
    text, clip, changed = chosen.text, chosen.clip, [chosen.clip, chosen.problem]
    minmax.click(lambda: 1, None, clip, **parts.QUICK)
    percentile.click(_percentile, text, changed, **parts.QUICK)
    best.click(_best, [text, chosen.bits, chosen.range, chosen.scales], changed, **parts.QUICK)


def _button(text: str, name: str, width: int) -> gr.Button:
    return gr.Button(text, elem_id=name, min_width=width, size="md")


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

    asked = scheme(bits, range_, scales)
    return _tried(lambda: best_clip(clip_errors(read(text), asked)))


@parts.computing
def _percentile(text: str) -> tuple[Any, str]:
    from qdemo.lab.by_hand import percentile_clip
    from qdemo.lab.matrices import read

    return _tried(lambda: max(0.2, round(percentile_clip(read(text)), 2)))


def _tried(compute: Callable[[], object]) -> tuple[Any, str]:
    """What it comes to, or why it comes to nothing."""
    try:
        return compute(), ""
    except ValueError as error:
        return gr.skip(), parts.problem_html(str(error))
