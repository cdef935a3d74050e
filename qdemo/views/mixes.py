"""A mix for a target: its text, what it holds and how far it is beside plain formats, which parts
have which format, and how other tools are told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from qdemo.spec.exports import Export
from qdemo.spec.messages import say
from qdemo.spec.mix import Mix, Sized
from qdemo.spec.request import as_query
from qdemo.views.colours import colour
from qdemo.views.exceptions import module_called
from qdemo.views.numbers import megabytes, significant
from qdemo.views.tables import Table
from qdemo.views.templates import fill
from qdemo.views.terms import heads, with_terms


def mix_html(found: Mix, others: Sequence[Export], given: str) -> str:
    """All of it; it is run in a comparison on `given`, or evaluated beside the plain formats."""
    formats = [one.format for one in found.plain]
    text = found.found.format
    compared = [one for one in (text, *formats) if one != "fp32"]
    sizes = table(found)
    return fill(
        "mix",
        text=text,
        lead=with_terms(lead(found)),
        table=sizes,
        heads=heads(sizes),
        caption=sizes.caption,
        compare=as_query(found.model, compared, given),
        evaluate=_evaluation(found.model, compared),
        parts=[
            (name, colour(name), [module_called(part) for part in own])
            for name, own in _parts(found)
        ],
        exports=others,
    )


def lead(found: Mix) -> str:
    """What was asked for and what was found."""
    return say(
        "For at most {value:g} {unit}, {model} as a mix: {size}, {bits} bits a weight, KL {kl} "
        "nats, on the {items} calibration items that it was chosen by.",
        value=found.target.value, unit=found.target.unit, model=found.model,
        size=megabytes(found.found.bytes), bits=f"{found.found.bits_per_weight:.3g}",
        kl=significant(found.found.kl.mean), items=found.items,
    )  # fmt: skip


def table(found: Mix) -> Table:
    """The mix beside the formats that it is of, each alone, the smallest first."""
    rows = sorted((found.found, *found.plain), key=lambda one: one.bytes)
    made = Table.of(
        say("The mix beside the formats that it is of; KL on calibration items"),
        (say("format"), [_name(one, found) for one in rows]),
        (say("memory"), [megabytes(one.bytes) for one in rows]),
        (say("bits a weight"), [f"{one.bits_per_weight:.3g}" for one in rows]),
        (say("KL, nats"), [significant(one.kl.mean) for one in rows]),
    )
    return replace(made, keys=("", "bytes", "bits_per_weight", "kl"))


def _name(one: Sized, found: Mix) -> str:
    return say("the mix") if one is found.found else one.format


def _parts(found: Mix) -> list[tuple[str, list[str]]]:
    """Each format with the parts that have it, the most frequent first."""
    own: dict[str, list[str]] = {}
    for part in found.parts:
        own.setdefault(part.format, []).append(part.name)
    return sorted(own.items(), key=lambda pair: -len(pair[1]))


def _evaluation(model: str, formats: Sequence[str]) -> str:
    """What an address of the Evidence page has that evaluates them."""
    query = as_query(model, formats, "")
    return query.replace("&input=", "")
