"""A format of one's own, put together from its choices and added to those that can be ticked."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gradio as gr

from qdemo.spec.formats import GRIDS
from qdemo.spec.messages import say
from qdemo.spec.scheme import COMPUTE_FORMATS
from qdemo.spec.variant import Variant
from qdemo.ui import parts
from qdemo.views.templates import button, fill
from qdemo.views.terms import name_of

FORMATS = ("fp16", "bf16", "int8", "int8+emb", "int4-g64", "int3", "int2", "fp8_e4m3")
"""What can be ticked to begin with."""

# Values of what can be chosen, whatever is read there.
_SYMMETRIC, _AFFINE = "symmetric", "affine (with zero point)"
_WORDS = ("scale", "symmetric", "affine", "zero_point", "per_tensor", "per_group", "int4", "nf4",
          "fp8", "fp4")  # fmt: skip
"""The terms among the choices, by their keys; the controls' own labels are only text."""

_SCALES = {
    "a row": "-axis0",
    "the whole tensor": "-tensor",
    "a group of 32": "-g32",
    "a group of 64": "-g64",
    "a group of 128": "-g128",
}


def ticked(wanted: Iterable[str]) -> Any:
    """The tick boxes with exactly these ticked, those of one's own beside the usual ones."""
    texts = list(dict.fromkeys(str(Variant.parse(text)) for text in wanted))
    texts = [text for text in texts if text != "fp32"]
    return gr.update(choices=list(dict.fromkeys([*FORMATS, *texts])), value=texts)


def variant(stored: str, range_: str, scales: str, embeddings: bool, compute: str) -> Variant:
    """The variant that the choices mean.

    Raises:
        ValueError: they don't go together, such as a float format with a zero point.
    """
    affine, tables = "-affine" * (range_ == _AFFINE), "+emb" * embeddings
    return Variant.parse(f"{stored}{_SCALES[scales]}{affine}{tables}@{compute}")


def build() -> tuple[list[Any], gr.Button]:
    """The choices and the button that adds them; the caller wires it."""
    parts.html(fill("own_format", terms=[button(key, name_of(key)) for key in _WORDS]))
    with gr.Row():
        stored = gr.Dropdown(list(GRIDS), value="int4", label=say("Weights in"), min_width=120)
        compute = gr.Dropdown(
            list(COMPUTE_FORMATS), value="fp32", label=say("Computing in"), min_width=120
        )
    ranges = [(say("symmetric"), _SYMMETRIC), (say("affine (with zero point)"), _AFFINE)]
    range_ = gr.Radio(ranges, value=_SYMMETRIC, label=say("Range"))
    scales = gr.Dropdown(_shares(), value="a group of 32", label=say("One scale for"))
    embeddings = gr.Checkbox(False, label=say("Quantize the embeddings too"))
    add = gr.Button(say("Add to formats"), size="md")
    return [stored, range_, scales, embeddings, compute], add


def _shares() -> list[tuple[str, str]]:
    """What may share a scale, as it is read, each with its value."""
    told = (
        say("a row"),
        say("the whole tensor"),
        say("a group of {size}", size=32),
        say("a group of {size}", size=64),
        say("a group of {size}", size=128),
    )
    return list(zip(told, _SCALES, strict=True))
