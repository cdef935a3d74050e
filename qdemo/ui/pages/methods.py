"""The page on methods: how few bits are made enough, each idea by hand on a small matrix."""

from __future__ import annotations

from functools import partial
from itertools import chain
from typing import Any

import gradio as gr

from qdemo import lab
from qdemo.spec.messages import say
from qdemo.ui import (
    address,
    columns_part,
    inputs_part,
    levels_part,
    matrix_part,
    method_part,
    parts,
    ranges_part,
    super_block_part,
)
from qdemo.ui.method_part import Part


def build(blocks: gr.Blocks) -> None:
    """Lay the page out and connect it; the caller is inside its route."""
    parts.masthead(
        say("Methods"),
        say(
            "What makes few bits enough, one idea after the other, by hand. Every number is "
            "computed by the functions that quantize models; change the matrix, and all of it "
            "follows."
        ),
    )
    text, problem = _matrix()
    found = [
        levels_part.codebook(),
        levels_part.scales(),
        ranges_part.search(),
        ranges_part.zero_points(),
        columns_part.columns(),
        inputs_part.smoothing(),
        inputs_part.outliers(),
        columns_part.rotation(),
        super_block_part.super_block(),
    ]
    _not_built()
    parts.html(parts.link("methods"), "link")
    method_part.connect(found, text, problem)
    named = {"matrix": text, **{k: v for part in found for k, v in part.named.items()}}
    shown = list(chain.from_iterable(part.shown for part in found))
    address.connect(blocks, named, shown, partial(_first, found))


def _first(found: list[Part]) -> tuple[Any, ...]:
    values = [value for part in found for value in part.begins]
    return method_part.filled(found, lab.START, values)


def _matrix() -> tuple[gr.Textbox, gr.HTML]:
    """The matrix that all is done to, and the line that says what is wrong with it."""
    with gr.Row(equal_height=False, elem_classes="choices"):
        with gr.Column(scale=2, min_width=260):
            kind = gr.Dropdown(
                matrix_part.presets(), value=lab.NORMAL, label=say("Matrix"),
                elem_id="matrix-kind", filterable=False,
            )  # fmt: skip
            with gr.Row():
                outlier = matrix_part.button(say("Add an outlier"), "outlier", 110)
                again = matrix_part.button(say("Draw again"), "again-matrix", 110)
        with gr.Column(scale=5, min_width=260):
            text = gr.Textbox(
                lab.START, label=say("Its numbers, a row a line"), lines=6, max_lines=6,
                elem_id="matrix", max_length=5000,
            )  # fmt: skip
    problem = parts.problem("matrix")
    matrix_part.follow(kind, again, outlier, text, problem)
    return text, problem


def _not_built() -> None:
    """What the course names, and this does not do."""
    parts.section(
        say("QuIP# and AQLM"),
        say(
            "Not built here. Both reach 2 bits a weight by rounding several weights at once. QuIP# "
            "rotates weights and inputs, as above, until the weights look like a normal "
            "distribution in every direction, and rounds eight of them at a time to a point of the "
            "E8 lattice, the densest packing of balls in eight dimensions: one code of 16 bits for "
            "8 weights (Tseng et al., 2024). AQLM learns its codebooks: eight weights are the sum "
            "of one vector out of each of a few codebooks, which are fitted to the outputs of a "
            "layer, and then of a block (Egiazarian et al., 2024). Both take hours on a GPU and "
            "kernels of their own; the parts that they share with GPTQ and rotations are on this "
            "page."
        ),
    )
