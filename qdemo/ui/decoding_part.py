"""How a prompt is read and how tokens are chosen: the controls of what `Decoding` has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from qdemo.models.availability import family_asked
from qdemo.spec.decoding import GREEDY, READ_AS, Decoding, ReadAs
from qdemo.spec.messages import say

USUAL = 2.0
"""The hottest that the slider has, unless an address asks for more."""


@dataclass(frozen=True, eq=False)
class Chosen:
    """The controls, named as `Decoding` names what they have; `read_as` is seen where a model reads
    prompts in more ways than one."""

    read_as: gr.Radio
    temperature: gr.Slider
    seed: gr.Textbox

    @property
    def parts(self) -> list[Any]:
        """All of them, in the order of an address."""
        return [self.read_as, self.temperature, self.seed]

    def read(self, values: tuple[Any, ...]) -> dict[str, object]:
        """The values of `parts`, as `Decoding.read` reads them."""
        return dict(zip(vars(self), values, strict=True))

    def shown(self, decoding: Decoding = GREEDY) -> dict[Any, Any]:
        """What the controls become for how something is asked."""
        hottest = max(USUAL, decoding.temperature)
        return {
            self.read_as: gr.update(value=decoding.read_as),
            self.temperature: gr.update(value=decoding.temperature, maximum=hottest),
            self.seed: gr.update(value=str(decoding.seed)),
        }


def ways(model: Any) -> tuple[ReadAs, ...]:
    """The ways in which a model's family reads a prompt; the one way of all for no such model."""
    family = family_asked(model)
    return READ_AS[:1] if family is None else family.reads


def read_as(model: str) -> gr.Radio:
    """How the prompt is read."""
    told: Mapping[ReadAs, str] = {
        "chat": say("chat"),
        "text": say("text to go on with"),
        "score": say("text to score"),
    }
    return gr.Radio(
        [(told[way], way) for way in READ_AS], value=GREEDY.read_as, elem_id="read_as",
        label=say("How the prompt is read"), visible=len(ways(model)) > 1,
    )  # fmt: skip


def choosing() -> tuple[gr.Slider, gr.Textbox]:
    """How tokens are chosen: the temperature, and the seed of what is drawn."""
    temperature = gr.Slider(
        0, USUAL, GREEDY.temperature, step=0.05, elem_id="temperature",
        label=say("Temperature, 0: greedy"), scale=2,
    )  # fmt: skip
    seed = gr.Textbox(
        str(GREEDY.seed), label=say("Seed"), max_lines=1,
        max_length=40, elem_id="seed", scale=1, min_width=100,
    )  # fmt: skip
    return temperature, seed
