"""The smallest repair: which layers have to be put back for fp32's answer, and what each does."""

from __future__ import annotations

from collections.abc import Sequence

from qdemo.spec.messages import say, say_counted
from qdemo.spec.repair import Repair
from qdemo.spec.request import as_query
from qdemo.views.colours import colour
from qdemo.views.layers import short
from qdemo.views.numbers import significant
from qdemo.views.tables import Table
from qdemo.views.templates import fill
from qdemo.views.terms import heads, with_terms
from qdemo.views.wording import asked_as, differing_words, joined

_SHOWN = 8
"""Layers that are told alone, the most helpful first."""


def repair_html(found: Repair, given: str) -> str:
    """What was found; it is run in a comparison on `given`."""
    formats = [found.format, *([found.repaired] if found.repaired else [])]
    singles = table(found)
    return fill(
        "repair",
        input=asked_as(found.input),
        lead=with_terms(lead(found)),
        answer=found.answer,
        format=found.format,
        colour=colour(found.format),
        before=differing_words(found.answer, found.before),
        repaired=found.repaired if found.is_needed else None,
        compare=as_query(found.model, formats, given),
        table=singles,
        heads=heads(singles),
        caption=singles.caption,
    )


def lead(found: Repair) -> str:
    """How many layers it takes, and which."""
    if not found.is_needed:
        return say("{format} gives fp32's answer: there is nothing to repair.", format=found.format)
    if found.repaired is None:
        return say("Not even all {count} layers in {step} bring fp32's answer back.",
                   count=found.layers, step=found.step)  # fmt: skip
    told = say_counted(
        "{count} of {layers} layers in {step} brings fp32's answer back: {names}. KL falls from "
        "{before} to {after} nats.",
        "{count} of {layers} layers in {step} bring fp32's answer back: {names}. KL falls from "
        "{before} to {after} nats.",
        len(found.modules), count=len(found.modules), layers=found.layers, step=found.step,
        names=_names(found.modules), before=significant(found.kl_before),
        after=significant(found.kl_after),
    )  # fmt: skip
    fewer = (
        say("No fewer do.")
        if found.is_smallest
        else say("Fewer may do: not every choice of so many was tried.")
    )
    return f"{told} {fewer}"


def _names(modules: Sequence[str]) -> str:
    return joined([short(name) for name in modules])


def table(found: Repair) -> Table:
    """What the most helpful layers do alone."""
    best = found.singles[:_SHOWN]
    return Table.of(
        say("Each alone in {step}, the most helpful first", step=found.step),
        (say("layer"), [_names(one.modules) for one in best]),
        (say("KL, nats"), [significant(one.kl) for one in best]),
        (say("fp32's answer"), [say("yes") if one.is_back else say("no") for one in best]),
    )
