"""The composer: a format of one's own, put together from its parts and added to those that can be
ticked. Its text says all of it; who knows that may type it instead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from qdemo.engine.estimating import seconds_of
from qdemo.settings import SETTINGS
from qdemo.spec.composing import SCALES, Offered, Parts
from qdemo.spec.families import COMPOSED, FAMILIES, stored
from qdemo.spec.formats import GRIDS
from qdemo.spec.messages import say
from qdemo.spec.scheme import COMPUTE_FORMATS, NAMED
from qdemo.spec.variant import LONGEST, Variant
from qdemo.ui import parts
from qdemo.views.exceptions import labels
from qdemo.views.families import bits
from qdemo.views.finding import composed_html
from qdemo.views.templates import button, fill
from qdemo.views.terms import name_of

FORMATS = ("fp16", "bf16", "int8", "int8+emb", "int4-g64", "int3", "int2", "fp8_e4m3")
"""What can be ticked to begin with."""

_WORDS = ("scale", "affine", "zero_point", "per_group", "double_quantization", "range_search",
          "hqq", "awq", "smoothquant", "rotation", "gptq", "calibration", "llm_int8")  # fmt: skip
"""The terms among the choices, by their keys; the controls' own labels are only text."""


@dataclass(frozen=True, eq=False)
class Composer:
    """The controls, each for a part, by its name; `text` is what they come to, or what was typed,
    `told` what that is, `problem` what is wrong with it, and `add` adds it."""

    family: gr.Radio
    parts: dict[str, Any]
    text: gr.Textbox
    told: gr.HTML
    problem: gr.HTML
    add: gr.Button

    @property
    def components(self) -> list[Any]:
        """All that changes with a choice."""
        return [self.family, *self.parts.values(), self.text, self.told, self.problem]


def ticked(wanted: Iterable[str]) -> Any:
    """The tick boxes with exactly these ticked, those of one's own beside the usual ones."""
    texts = list(dict.fromkeys(str(Variant.parse(text)) for text in wanted))
    texts = [text for text in texts if text != "fp32"]
    every = list(dict.fromkeys([*FORMATS, *texts]))
    called = zip(labels(every), every, strict=True)
    choices = [text if label == text else (label, text) for label, text in called]
    return gr.update(choices=choices, value=texts)


def read(text: str) -> Variant:
    """The variant of a text that was typed.

    Raises:
        ValueError: says what is wrong with it.
    """
    found = Variant.parse(text.strip())
    found.check_built()
    return found


def build(model: str) -> Composer:
    """Lay the composer out; the caller wires it. What is clicked to add a format stands above all
    that comes and goes with a choice: a click on what moves is lost."""
    first = Parts()
    with gr.Row(elem_id="own-result", equal_height=True):
        text = gr.Textbox(
            first.text, label=say("A format of your own: type it, or choose its parts"),
            max_length=LONGEST, elem_id="own-text", scale=4, min_width=200,
        )  # fmt: skip
        add = gr.Button(say("Add to formats"), size="md", scale=1, min_width=130)
    problem = parts.problem("own")
    families = [(say(one.name), one.key) for one in FAMILIES if one.key in COMPOSED]
    family = gr.Radio(
        families, value=COMPOSED[0], label=say("Weights in"), elem_id="own-family"
    )  # fmt: skip
    made = _controls(first)
    told = parts.html(describe(first.variant, model), "own-told")
    parts.html(fill("own_format", terms=[button(key, name_of(key)) for key in _WORDS]))
    return Composer(family, made, text, told, problem, add)


def _controls(first: Parts) -> dict[str, Any]:
    """A control for each part, by its name in `Parts`, all with what `first` has."""
    choices: dict[str, tuple[str, _Choices]] = {
        "stored": (say("Stored in"), _stored(COMPOSED[0])),
        "scales": (say("One scale for"), _shares()),
        "range": (say("Scales found by"), _ranges(first.offered)),
        "transform": (say("Before rounding"), _transforms(first.offered)),
        "activations": (say("Activations"), _activations(Parts("int8").offered)),
        "compute": (say("Computing in"), [(name, name) for name in COMPUTE_FORMATS]),
    }
    ticks = {
        "affine": say("zero point (-affine)"),
        "double": say("scales in 8 bits (-dq)"),
        "gptq": say("make up for errors (-gptq)"),
        "embeddings": say("embeddings too (+emb)"),
    }
    with gr.Row(elem_id="own-parts"):
        lists = {
            name: gr.Dropdown(
                own, value=getattr(first, name), label=label, min_width=140,
                visible=name != "activations",
            )
            for name, (label, own) in choices.items()
        }  # fmt: skip
    with gr.Row(elem_id="own-ticks"):
        boxes = {
            name: gr.Checkbox(False, label=told, container=False, min_width=0)
            for name, told in ticks.items()
        }
    return lists | boxes


def shown(composer: Composer, found: Parts) -> dict[Any, Any]:
    """The controls as those parts have them, with what goes with them; the others are unseen."""
    offered, part = found.offered, composer.parts
    family = next(key for key in COMPOSED if found.stored in stored(key))
    choices = {
        "stored": _stored(family),
        "scales": _shares() if offered.scales else [],
        "range": _ranges(offered),
        "transform": _transforms(offered),
        "activations": _activations(offered),
    }
    seen = {"affine": offered.affine, "double": offered.double, "gptq": offered.gptq}
    updates = {part[name]: gr.update(value=value) for name, value in vars(found).items()}
    for name, values in choices.items():
        updates[part[name]] |= {"visible": len(values) > 1}
        if len(values) > 1:
            updates[part[name]] |= {"choices": values}
    for name, is_seen in seen.items():
        updates[part[name]] |= {"visible": is_seen}
    return {composer.family: family, **updates}


def describe(variant: Variant, model: str) -> str:
    """What a variant is: bits, a sentence, the seconds that it is likely to take."""
    try:
        expected = seconds_of(variant, model)
    except ValueError:
        expected = 0.0
    return composed_html(variant, expected, SETTINGS.method_s)


_Choices = list[tuple[str, str]]


def _stored(family: str) -> _Choices:
    """The formats of a family with their bits a weight; of those to which scales are chosen, the
    bits of a number."""
    return [
        (say("{name} · {bits} bits a weight", name=name, bits=bits(Variant.parse(name))), name)
        if name in NAMED
        else (say("{name} · {bits} bits", name=name, bits=GRIDS[name].bits), name)
        for name in stored(family)
    ]


def _shares() -> _Choices:
    """What may share a scale, as it is read, each with its value."""
    groups = [say("a group of {size}", size=size) for size in (32, 64, 128)]
    return list(zip([say("a row"), say("the whole tensor"), *groups], SCALES, strict=True))


def _ranges(offered: Offered) -> _Choices:
    told = {
        "absmax": say("largest weight"),
        "mse": say("search (-mse)"),
        "hqq": say("HQQ (-hqq)"),
    }
    return [(told[one], one) for one in offered.ranges]


def _transforms(offered: Offered) -> _Choices:
    told = {
        "": say("nothing"),
        "awq": say("AWQ (-awq)"),
        "sq0.5": say("SmoothQuant (-sq0.5)"),
        "rot": say("rotate (-rot)"),
    }
    return [(told[one], one) for one in offered.transforms]


def _activations(offered: Offered) -> _Choices:
    told = {
        "": say("floats"),
        "a8": say("8 bits (int8a8)"),
        "llm.int8": say("llm.int8"),
    }
    return [(told[one], one) for one in offered.activations]
