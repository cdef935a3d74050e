"""What is told of a format that is being put together."""

from __future__ import annotations

from qdemo.spec.messages import say
from qdemo.spec.variant import Variant
from qdemo.views.families import bits
from qdemo.views.formats import describe
from qdemo.views.templates import fill

_SOON = 1.0
"""Seconds below which nobody wants to know."""


def composed_html(variant: Variant, seconds: float, most: int) -> str:
    """Its bits a weight, what it is, and how long it is likely to take, of at most so many
    `seconds` that this host allows."""
    return fill(
        "composed",
        bits=bits(variant),
        about=describe(str(variant)),
        takes=takes(variant, seconds),
        refused=say("This host allows {most} s.", most=most) if seconds > most else "",
    )


def takes(variant: Variant, seconds: float) -> str:
    """How long it is likely to take, of what takes longer than a moment.

    >>> print(takes(Variant.parse("int4-g64-gptq"), 19.6))
    Takes about 20 s to find, once for this model; fitted to calibration inputs.
    """
    told = ""
    if seconds >= _SOON:
        told = say("Takes about {seconds:.0f} s to find, once for this model", seconds=seconds)
    elif variant.default.recipe.parts:
        told = say("Takes about a second to find, once for this model")
    if variant.default.recipe.looks_at_inputs:
        told += say("; fitted to calibration inputs")
    return f"{told}." if told else ""
