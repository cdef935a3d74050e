"""Which layer hurts: the parts of a model on a map, and in a list with the worst first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from qdemo.spec.messages import say
from qdemo.spec.request import as_query
from qdemo.spec.sensitivity import Part, Sensitivity, part_of
from qdemo.spec.step import Step
from qdemo.spec.variant import LONGEST, Variant
from qdemo.views.colours import colour
from qdemo.views.exceptions import called, module_called
from qdemo.views.numbers import NONE, megabytes, percent, significant
from qdemo.views.tables import Table
from qdemo.views.templates import fill
from qdemo.views.terms import heads, with_terms
from qdemo.views.wording import joined

SHOWN = 12
"""Parts that the list has before all of them."""

_LEVELS = 8
_FLOAT = Step(cast="fp32")


@dataclass(frozen=True)
class Cell:
    """A part on the map: how strong its colour is, in words, and a link that compares the format
    with that part put back; empty where its text would be too long for one."""

    name: str
    level: int
    told: str
    link: str


def layers_html(found: Sensitivity, given: str) -> str:
    """The map, where the parts are layers, and the list; a comparison is asked about `given`."""
    cells = {part.name: _cell(found, part, given) for part in found.parts}
    kinds, rows = _grid(found) if found.by == "layer" else ([], [])
    worst = found.worst()
    return fill(
        "layers",
        colour=colour(found.format),
        format=called(found.format),
        lead=with_terms(lead(found)),
        groups=_groups(kinds),
        kinds=[kind.rpartition(".")[2] for kind in kinds],
        rows=[(row, [cells.get(name) for name in names]) for row, names in rows],
        table=table(found, worst),
        heads=heads(table(found, worst)),
        parts=[cells[part.name] for part in worst],
        shown=SHOWN,
    )


def lead(found: Sensitivity) -> str:
    """What was measured, and what hurts most."""
    told = say(
        "{model} in {format} is {kl} nats from fp32, on {items} calibration items.",
        model=found.model,
        format=called(found.format),
        kl=significant(found.whole.mean),
        items=found.items,
    )
    worst = [part for part in found.worst() if part.taken and part.taken > 0][:3]
    if not worst:
        return told
    each = [
        say("{part} ({share})", part=module_called(part.name), share=percent(part.taken))
        for part in worst
    ]
    more = say("Put back to fp32, these take most of it away, each alone: {parts}.",
               parts=joined(each))  # fmt: skip
    return f"{told} {more}"


def table(found: Sensitivity, parts: Sequence[Part]) -> Table:
    """A row a part."""
    made = Table.of(
        say("What each part does to {format}; KL in nats", format=called(found.format)),
        (say("part"), [module_called(part.name) for part in parts]),
        (say("KL taken away"), [percent(part.taken) if part.taken is not None else NONE
                                for part in parts]),
        (say("KL, all but this"), [significant(part.back.mean) for part in parts]),
        (say("KL, this alone"), [significant(part.alone.mean) for part in parts]),
        (say("output error"), [significant(part.output_error, 2) for part in parts]),
        (say("weights"), [f"{part.parameters:,}" for part in parts]),
        (say("saves"), [megabytes(part.saved) for part in parts]),
    )  # fmt: skip
    return replace(made, keys=("", "kl", "kl", "kl", "output_error", "", "bytes"))


def _cell(found: Sensitivity, part: Part, given: str) -> Cell:
    most = max((one.taken or 0.0 for one in found.parts), default=0.0)
    level = round(_LEVELS * max(0.0, part.taken or 0.0) / most) if most > 0 else 0
    told = say(
        "{part}: put back it takes {share} of the KL away; alone it is {kl} nats",
        part=part.name,
        share=NONE if part.taken is None else percent(part.taken),
        kl=significant(part.alone.mean),
    )
    return Cell(module_called(part.name), level, told, _link(found, part, given))


def _link(found: Sensitivity, part: Part, given: str) -> str:
    variant = Variant.parse(found.format)
    back = str(variant.excepting(part.modules, _FLOAT))
    return as_query(found.model, [str(variant), back], given) if len(back) <= LONGEST else ""


def _grid(found: Sensitivity) -> tuple[list[str], list[tuple[str, list[str]]]]:
    """The kinds of layers, and of each block the names of its layers in their order; what is in no
    block has a row of its own, and its kind is in front, where a narrow screen has it."""
    places = {part.name: _place(part.name) for part in found.parts}
    singles_first = sorted(places.values(), key=lambda place: place[0] != "")
    kinds = list(dict.fromkeys(kind for _, kind in singles_first))
    blocks = list(dict.fromkeys(block for block, _ in places.values()))
    names = {place: name for name, place in places.items()}
    rows = [[names.get((block, kind), "") for kind in kinds] for block in blocks]
    told = [module_called(block) or say("others") for block in blocks]
    return kinds, list(zip(told, rows, strict=True))


def _groups(kinds: Sequence[str]) -> list[tuple[str, int]]:
    """What stands over neighbouring kinds of one sub-layer, and how many those are."""
    above = [kind.rpartition(".")[0] for kind in kinds]
    return [(name, len(list(own))) for name, own in groupby(above)]


def _place(name: str) -> tuple[str, str]:
    """The block and the kind of a layer.

    >>> _place("decoder.block.1.layer.2.DenseReluDense.wo"), _place("lm_head")
    (('decoder.block.1', 'DenseReluDense.wo'), ('', 'lm_head'))
    """
    block = part_of(name, "block")
    if block == name:
        return "", name
    rest = name.removeprefix(f"{block}.")
    return block, re.sub(r"^(layer\.)?\d+\.|^layer\.", "", rest)
