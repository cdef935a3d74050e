"""What to take from an evaluation, in a few sentences: what is safe, what items are too few for,
and what came of less than was asked for."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from qdemo.spec.evidence import Evidence, Judged, is_right
from qdemo.spec.judging import Summary, items_for_safe, pairs
from qdemo.spec.messages import say, say_counted
from qdemo.views.evidence_points import Findings, bits, bits_told
from qdemo.views.exceptions import called
from qdemo.views.numbers import megabytes, percent
from qdemo.views.wording import joined


def reading(findings: Findings) -> str:
    """What to take from it, in a sentence or two."""
    return " ".join([*_verdicts(findings.variants), *_ended(findings.evidence)])


def _verdicts(found: Sequence[Summary]) -> list[str]:
    if not found:
        return []
    safe = [one for one in found if one.verdict == "safe"]
    few = _too_few(found)
    told: list[str] = (
        [_least(safe)] if safe else [] if few else [say("None is safe by these items.")]
    )
    told += few
    check, broken = (_named(found, verdict) for verdict in ("check", "broken"))
    if check:
        told.append(
            say_counted(
                "{names} has to be checked: its interval is too wide, or lies between.",
                "{names} have to be checked: their intervals are too wide, or lie between.",
                len(check), names=joined(check),
            )
        )  # fmt: skip
    if broken:
        told.append(
            say_counted(
                "{names} is broken.", "{names} are broken.", len(broken), names=joined(broken)
            )
        )
    return told


def _named(found: Sequence[Summary], verdict: str) -> list[str]:
    return [
        called(one.format)
        for one in found
        if one.verdict == verdict and items_for_safe(one) is None
    ]


def _too_few(found: Sequence[Summary]) -> list[str]:
    """What nothing was lost in, by how many items it would take to call it safe."""
    needed: dict[int, list[str]] = defaultdict(list)
    for one in found:
        if (enough := items_for_safe(one)) is not None:
            needed[enough].append(called(one.format))
    return [
        say_counted(
            "{names} has lost nothing, in too few items to call it safe: {needed:,} without a loss "
            "would be enough.",
            "{names} have lost nothing, in too few items to call them safe: {needed:,} without a "
            "loss would be enough.",
            len(names),
            names=joined(names),
            needed=enough,
        )
        for enough, names in needed.items()
    ]


def why(one: Summary) -> str:
    """What a verdict lacks, beside it; empty where nothing has to be said."""
    enough = items_for_safe(one)
    if enough is None:
        return ""
    return say(
        "Nothing was lost, but {n:,} items are too few: {needed:,} without a loss are safe.",
        n=one.n, needed=enough,
    )  # fmt: skip


def _least(safe: Sequence[Summary]) -> str:
    least = min(safe, key=lambda one: (bits(one), one.bytes))
    return say(
        "The fewest bits that are safe here: {format}, with {bits} and {size}.",
        format=called(least.format),
        bits=bits_told(bits(least)),
        size=megabytes(least.bytes),
    )


def _ended(evidence: Evidence) -> list[str]:
    """What has fewer items than there are, by the reason for it."""
    early: dict[str, list[Judged]] = defaultdict(list)
    for one in evidence.judged:
        if one.ended and len(one.outcomes) < len(evidence.items):
            early[one.ended.rstrip(".")].append(one)
    return [_ended_so(evidence, reason, found) for reason, found in early.items()]


def _ended_so(evidence: Evidence, reason: str, found: Sequence[Judged]) -> str:
    begun = [one for one in found if one.outcomes]
    others = [called(one.format) for one in found if not one.outcomes]
    if not begun:
        return say("Nothing came of {names}: {reason}.", names=joined(others), reason=reason)
    told = [_part(evidence, one) for one in begun]
    if others:
        told.append(
            say_counted(
                "{names} was not run", "{names} were not run", len(others), names=joined(others)
            )
        )
    return f"{reason[:1].upper()}{reason[1:]}: {'; '.join(told)}."


def _part(evidence: Evidence, one: Judged) -> str:
    """How far a format came, and how it does there beside fp32 on the same items."""
    n, total, name = len(one.outcomes), len(evidence.items), called(one.format)
    if evidence.data.kind == "text":
        return say("{format} has {n:,} of {total:,} windows", format=name, n=n, total=total)
    if one is evidence.reference or not evidence.has_answers:
        return say("{format} has {n:,} of {total:,} items", format=name, n=n, total=total)
    found = pairs(evidence, one)
    return say(
        "{format} has {n:,} of {total:,} items, of which it has {own} right, and fp32 {reference}",
        format=name, n=n, total=total,
        own=percent(sum(is_right(item, own) for item, _, own in found) / len(found)),
        reference=percent(sum(is_right(item, ref) for item, ref, _ in found) / len(found)),
    )  # fmt: skip
