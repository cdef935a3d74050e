"""The items of one format: which answers changed, word by word, and what moved most."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from qdemo.spec.evidence import Evidence, Item, Judged, Outcome, is_right
from qdemo.spec.judging import Pair, pairs
from qdemo.spec.messages import say, say_counted
from qdemo.spec.request import MAX_CHARACTERS, as_query
from qdemo.views.colours import colour
from qdemo.views.evidence_points import Findings, bits
from qdemo.views.exceptions import called
from qdemo.views.numbers import NONE, significant
from qdemo.views.templates import fill
from qdemo.views.wording import asked_as, differing_words, shortened

MOST = 40
"""Items that are shown."""

_LONGEST = 600
"""Characters of an item."""

_MARKS = {True: "✓", False: "✗", None: ""}


@dataclass(frozen=True)
class Shown:
    """An item with both answers, and its picture where it is one; `words` are the format's, each
    with whether it differs."""

    kind: str  # lost, won, changed, or same
    input: str
    expected: str | None
    reference: str
    reference_mark: str
    words: list[tuple[str, bool]]
    mark: str
    kl: str
    loss: tuple[str, str] | None
    link: str
    picture: str


def no_picture(_: str) -> str:
    """Items are texts."""
    return ""


def first_chosen(findings: Findings) -> str:
    """The format whose items are shown to begin with: of those that change something and are not
    broken, the one of fewest bits."""
    told = findings.variants
    if not told:
        return ""
    moved = [one for one in told if one.verdict != "broken" and _has_moved(one.changed)] or told
    return min(moved, key=bits).format


def _has_moved(changed: object) -> bool:
    return changed is None or bool(getattr(changed, "right", 0))


def items_html(
    findings: Findings,
    chosen: str,
    can_ask: bool = True,
    most: int = MOST,
    picture: Callable[[str], str] = no_picture,
) -> str:
    """What became of the items in the chosen format, the worst first, at most so many; `can_ask` is
    whether the input of an item can be asked for by its text, and `picture` gives the picture of
    that name, small, as a `data:` address; empty where it is none."""
    evidence, names = findings.evidence, [one.format for one in findings.variants]
    name = chosen if chosen in names else first_chosen(findings)
    if not name:
        return ""
    judged = evidence.format_named(name)
    found = sorted(pairs(evidence, judged), key=_order)
    return fill(
        "evidence_items",
        format=name,
        called=called(name),
        colour=colour(name),
        lead=_lead(evidence, found, judged),
        items=[
            replace(_shown(evidence, name, pair, can_ask), picture=picture(pair[0].input))
            for pair in found[:most]
        ],
        rest=max(0, len(found) - most),
    )


def _kind(pair: Pair) -> str:
    item, reference, outcome = pair
    was, now = is_right(item, reference), is_right(item, outcome)
    if was != now:
        return "lost" if was else "won"
    return "changed" if reference.output != outcome.output else "same"


_ORDER = ("lost", "won", "changed", "same")


def _order(pair: Pair) -> tuple[int, float]:
    return _ORDER.index(_kind(pair)), -pair[2].kl


def _lead(evidence: Evidence, found: Sequence[Pair], judged: Judged) -> str:
    """How many changed, and how."""
    if evidence.data.kind == "text":
        return say_counted(
            "{count} window of the text, where its distribution moved most first.",
            "{count} windows of the text, where its distribution moved most first.",
            len(found), count=len(found),
        )  # fmt: skip
    kinds = [_kind(pair) for pair in found]
    changed = len(kinds) - kinds.count("same")
    if not changed:
        told = say_counted(
            "The answer is fp32's, letter by letter.",
            "All {count} answers are fp32's, letter by letter.",
            len(kinds), count=len(kinds),
        )  # fmt: skip
    elif evidence.has_answers:
        told = say(
            "{changed} of {count} answers changed: {lost} from right to wrong, {won} from wrong to "
            "right.",
            changed=changed, count=len(kinds), lost=kinds.count("lost"), won=kinds.count("won"),
        )  # fmt: skip
    else:
        told = say("{changed} of {count} answers changed.", changed=changed, count=len(kinds))
    return f"{told} {judged.ended}".strip()


def _shown(evidence: Evidence, format: str, pair: Pair, can_ask: bool) -> Shown:
    item, reference, outcome = pair
    own = say("its logits were not finite") if outcome.output is None else outcome.output
    before = reference.output or ""
    is_asked = can_ask and evidence.data.kind == "items" and len(item.input) <= MAX_CHARACTERS
    return Shown(
        kind=_kind(pair),
        input=shortened(asked_as(item.input), _LONGEST),
        expected=item.expected,
        reference=shortened(before, _LONGEST),
        reference_mark=_mark(item, reference),
        words=differing_words(before[:_LONGEST], own[:_LONGEST]),
        mark=_mark(item, outcome),
        kl=say("not finite") if math.isinf(outcome.kl) else significant(outcome.kl),
        loss=_loss(reference, outcome),
        link=as_query(evidence.model, [format], item.input) if is_asked else "",
        picture="",
    )


def _mark(item: Item, outcome: Outcome) -> str:
    return _MARKS[None if item.expected is None else is_right(item, outcome)]


def _loss(reference: Outcome, outcome: Outcome) -> tuple[str, str] | None:
    """Of a window both losses."""
    if reference.loss is None:
        return None
    return significant(reference.loss), NONE if outcome.loss is None else significant(outcome.loss)
