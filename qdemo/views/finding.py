"""Words on formats that are put together and found: what they are, how long that takes, how far it
is, and what it has looked at."""

from __future__ import annotations

from qdemo.spec.messages import say
from qdemo.spec.report import Making, Trial
from qdemo.spec.setting import Calibration
from qdemo.spec.variant import Variant
from qdemo.views.exceptions import called
from qdemo.views.families import bits
from qdemo.views.formats import describe
from qdemo.views.templates import fill
from qdemo.views.wording import shortened


def making(at: Making) -> str:
    """How far a format is that is being made.

    >>> making(Making("int2-gptq", 31, 42)), making(Making("int2-gptq", 96, 192, "inputs"))
    ('int2-gptq: layer 31 of 42', 'int2-gptq: calibration input 96 of 192')
    """
    values = {"format": shortened(called(at.format), 60), "number": at.number, "count": at.count}
    if at.what == "inputs":
        return say("{format}: calibration input {number} of {count}", **values)
    return say("{format}: layer {number} of {count}", **values)


def fitted_to(trial: Trial, known: Calibration | None) -> list[str]:
    """Which inputs a format was fitted to, and on which its output error was measured."""
    steps = [trial.variant.default, *(step for _, step in trial.variant.exceptions)]
    if known is None or not any(step.recipe.looks_at_inputs for step in steps):
        return []
    values = {"fitted": known.fitted, "measured": known.measured}
    if known.own:
        return [
            say(
                "Fitted to {fitted} calibration inputs out of the model's training stream; its "
                "output error is of {measured} others.",
                **values,
            )
        ]
    return [
        say(
            "Fitted to {fitted} calibration inputs of ours; its output error is of {measured} "
            "others.",
            **values,
        )
    ]


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
