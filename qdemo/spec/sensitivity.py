"""Which layer hurts: what quantizing each part of a model alone does, and putting it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from qdemo.spec.messages import say

By = Literal["layer", "kind", "block"]

BY: tuple[By, ...] = ("layer", "kind", "block")
"""What is one part: a quantized layer; all layers of one last name (q, wi_0, lm_head); or a block,
all below the first number in a name (encoder.block.0)."""


ITEMS = 64
"""Calibration items that parts are judged by, where nobody says how many: an embedded model has as
many that no method is fitted to, and they come first."""


@dataclass(frozen=True)
class Kl:
    """KL(P_ref ‖ P) in nats, the mean over positions, and its standard error by item; None of one
    item."""

    mean: float
    error: float | None


@dataclass(frozen=True)
class Trying:
    """It is the turn of `name`, the `number`th of `count`, from 1 on."""

    name: str
    number: int
    count: int


@dataclass(frozen=True)
class Part:
    """A part of a model, and what it does to one format.

    `modules` are what exceptions name, `layers` how many quantized layers those are. `alone`: KL
    where only this part is quantized, `back`: where all is but this; `taken` is the share of the
    whole's KL that goes then, None where there is none. `output_error` is ‖Y − XWᵀ‖ / ‖XWᵀ‖ on
    calibration inputs, pooled; None where nothing is multiplied. `saved` are bytes that quantizing
    it alone saves.
    """

    name: str
    modules: tuple[str, ...]
    layers: int
    alone: Kl
    back: Kl
    taken: float | None
    output_error: float | None
    parameters: int
    saved: int


@dataclass(frozen=True)
class Sensitivity:
    """The parts of a model in a format, in the model's order; `whole` is KL with all quantized.
    All of it is on so many `items` of calibration, with so many `positions`."""

    model: str
    format: str
    by: By
    items: int
    positions: int
    whole: Kl
    parts: tuple[Part, ...]

    def worst(self) -> tuple[Part, ...]:
        """The parts, first the one whose going back takes most of the KL away."""
        return tuple(sorted(self.parts, key=lambda part: part.back.mean))

    def harmful(self) -> tuple[Part, ...]:
        """The parts, first the one that does most harm alone."""
        return tuple(sorted(self.parts, key=lambda part: -part.alone.mean))


def check_by(text: str) -> By:
    """A word of `BY`.

    Raises:
        ValueError: it is none.
    """
    for by in BY:
        if text == by:
            return by
    raise ValueError(say("by is {found!r}, expected one of {names}", found=text[:60],
                         names=", ".join(BY)))  # fmt: skip


def part_of(name: str, by: By) -> str:
    """The part that a layer belongs to, by its name.

    >>> [part_of("encoder.block.0.layer.1.q", by) for by in BY]
    ['encoder.block.0.layer.1.q', 'q', 'encoder.block.0']
    >>> [part_of("lm_head", by) for by in BY]
    ['lm_head', 'lm_head', 'lm_head']
    """
    steps = name.split(".")
    if by == "kind":
        return steps[-1]
    if by == "block":
        numbers = [place for place, step in enumerate(steps) if step.isdecimal()]
        return ".".join(steps[: numbers[0] + 1]) if numbers else name
    return name
