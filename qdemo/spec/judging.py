"""What outcomes come to: of each format its accuracy, flips, KL and perplexity beside fp32, with
their intervals, and a verdict that says what it rests on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import count, starmap
from typing import Literal

from qdemo.spec.evidence import Evidence, Item, Judged, Outcome, is_right
from qdemo.spec.proportion import Counted, wilson
from qdemo.spec.statistics import (
    holm,
    interval,
    items_to_tell,
    mcnemar,
    mean,
    median,
    paired_loss,
    percentile,
    standard_error,
    values_to_tell,
)

Verdict = Literal["safe", "check", "broken", ""]
"""By the 95% interval of what is lost beside fp32: safe where all of it is small, broken where all
of it is large, and check where it is neither, or too wide to say; "" for fp32 itself."""

SAFE_LOSS, BROKEN_LOSS = 0.02, 0.05
"""Of the share that is right: a safe format loses at most 2 points, a broken one more than 5."""

SAFE_CHANGED, BROKEN_CHANGED = 0.05, 0.25
"""Of answers that are other than fp32's, where nobody knows which are right, or hardly any
are."""

SAFE_RATIO, BROKEN_RATIO = 1.02, 1.10
"""Of a text's perplexity beside fp32's."""

PERCENTILES = (90, 95, 99, 99.9)

Pair = tuple[Item, Outcome, Outcome]
"""An item, what fp32 made of it, and what the format did."""


@dataclass(frozen=True)
class Flips:
    """Answers that were right in fp32 and are wrong, and the other way round; McNemar's exact p of
    that, as if it were the only format tested (`p`) and after Holm's correction for all that are
    shown (`p_holm`); the 95% interval of the share that is lost; and how many items it would take
    to tell the format from fp32, None where as many are won as lost."""

    right_to_wrong: int
    wrong_to_right: int
    p: float
    p_holm: float
    loss: tuple[float, float]
    to_tell: int | None


@dataclass(frozen=True)
class Spread:
    """A value an item: mean, its standard error and 95% interval over items (None for fewer than
    two), median, percentiles by nearest rank (None where there are too few items), and maximum.

    No interval leaves the values that can be. That of a share that is the same, none or all, in
    every item is Wilson's of so many items: that they agree does not prove that all others would.
    """

    mean: float
    error: float | None
    interval: tuple[float, float] | None
    median: float
    percentiles: tuple[tuple[float, float | None], ...]
    max: float


@dataclass(frozen=True)
class Perplexity:
    """exp of the mean loss of windows, with its standard error over windows; and, beside fp32's on
    the same windows, their ratio with its 95% interval, and how many windows it would take to tell
    it from 1. fp32 has no ratio, and nothing has one where fp32's own perplexity is infinite."""

    value: float
    error: float | None
    ratio: float | None = None
    interval: tuple[float, float] | None = None
    to_tell: int | None = None


@dataclass(frozen=True)
class Summary:
    """What `n` items say of a format. `correct` is None where nobody knows what is right, `flips`,
    `changed`, `kl` and `same_top` for fp32, `perplexity` unless a text was scored.

    `changed` counts answers other than fp32's, and those that are none, as logits were not finite;
    `not_finite` counts such items. `same_top` is the share of positions with fp32's most likely
    token, an item's mean first.
    """

    format: str
    n: int
    correct: Counted | None
    by_task: tuple[tuple[str, Counted], ...]
    flips: Flips | None
    changed: Counted | None
    kl: Spread | None
    same_top: Spread | None
    perplexity: Perplexity | None
    not_finite: int
    bytes: int
    bits_per_weight: float | None
    output_error: float | None
    seconds: float
    verdict: Verdict
    ended: str = ""


def summaries(evidence: Evidence) -> tuple[Summary, ...]:
    """That of each format of which there is something, in their order; on the items that fp32 has
    gone through, too."""
    reference = evidence.reference
    if reference is None or not reference.outcomes:
        return ()
    begun = [one for one in evidence.judged if one.outcomes]
    found = [_summary(evidence, reference, one) for one in begun]
    tested = [one for one in found if one.flips]
    adjusted = holm([one.flips.p for one in tested if one.flips])
    corrected = {
        one.format: replace(one.flips, p_holm=p)
        for one, p in zip(tested, adjusted, strict=True)
        if one.flips
    }
    return tuple(replace(one, flips=corrected.get(one.format)) for one in found)


def pairs(evidence: Evidence, judged: Judged) -> list[Pair]:
    """The items that both fp32 and the format have gone through."""
    reference = evidence.reference
    known = reference.outcomes if reference else ()
    return list(zip(evidence.items, known, judged.outcomes, strict=False))


def _summary(evidence: Evidence, reference: Judged, judged: Judged) -> Summary:
    found, is_reference = pairs(evidence, judged), judged is reference
    is_text = evidence.data.kind == "text"
    known = evidence.has_answers
    flips = _flips(found) if known and not is_reference else None
    changed = None if is_reference or is_text else _counted(starmap(_is_changed, found))
    perplexity = _perplexity(found, is_reference) if is_text else None
    others = [] if is_reference else found
    return Summary(
        format=judged.format,
        n=len(found),
        correct=_counted(is_right(item, out) for item, _, out in found) if known else None,
        by_task=_by_task(evidence.tasks, found) if known else (),
        flips=flips,
        changed=changed,
        kl=_spread([_or_infinite(out.kl) for *_, out in others], math.inf),
        same_top=_spread([out.same / (out.positions or 1) for *_, out in others], 1.0),
        perplexity=perplexity,
        not_finite=sum(not _is_finite(out, is_text) for *_, out in found),
        bytes=judged.bytes,
        bits_per_weight=judged.bits_per_weight,
        output_error=judged.output_error,
        seconds=judged.seconds,
        verdict="" if is_reference else _verdict(_telling(flips, found), changed, perplexity),
        ended=judged.ended,
    )


def _telling(flips: Flips | None, found: Sequence[Pair]) -> Flips | None:
    """Flips, unless both are right so seldom that nothing could be lost, whatever the format is."""
    reference = sum(is_right(item, ref) for item, ref, _ in found)
    own = sum(is_right(item, out) for item, _, out in found)
    return flips if max(reference, own) > BROKEN_LOSS * len(found) else None


def _verdict(
    flips: Flips | None, changed: Counted | None, perplexity: Perplexity | None
) -> Verdict:
    if flips is not None:
        return _between(flips.loss, SAFE_LOSS, BROKEN_LOSS)
    if perplexity is not None:
        ends = perplexity.interval
        if perplexity.ratio == math.inf:
            return "broken"
        return "check" if ends is None else _between(ends, SAFE_RATIO, BROKEN_RATIO)
    assert changed is not None
    return _between(changed.interval, SAFE_CHANGED, BROKEN_CHANGED)


def items_for_safe(one: Summary) -> int | None:
    """How many items would make a format safe that has lost or changed none of its own; None where
    it is safe, where it lost or changed something, and of a text. By the rule that its verdict is
    made by: of flips, unless so few are right that changed answers are what is judged."""
    if one.verdict != "check" or one.changed is None:
        return None
    if one.flips and one.correct and one.correct.share > BROKEN_LOSS:
        if one.flips.right_to_wrong or one.flips.wrong_to_right:
            return None
        return next(n for n in count(one.n) if paired_loss(0, 0, n)[1] <= SAFE_LOSS)
    if one.changed.right:
        return None
    return next(n for n in count(one.n) if wilson(0, n)[1] <= SAFE_CHANGED)


def _between(ends: tuple[float, float], safe: float, broken: float) -> Verdict:
    low, high = ends
    return "safe" if high <= safe else "broken" if low > broken else "check"


def _counted(each: Iterable[bool]) -> Counted:
    values = list(each)
    return Counted(sum(values), len(values))


def _is_changed(_: Item, reference: Outcome, outcome: Outcome) -> bool:
    return outcome.output is None or outcome.output != reference.output


def _is_finite(outcome: Outcome, is_text: bool) -> bool:
    has_answer = math.isfinite(_loss(outcome)) if is_text else outcome.output is not None
    return has_answer and math.isfinite(outcome.kl)


def _loss(outcome: Outcome) -> float:
    return _or_infinite(math.inf if outcome.loss is None else outcome.loss)


def _or_infinite(value: float) -> float:
    """What is no number is as far off as can be."""
    return math.inf if math.isnan(value) else value


def _by_task(tasks: Sequence[str], found: Sequence[Pair]) -> tuple[tuple[str, Counted], ...]:
    own = {
        task: [is_right(item, out) for item, _, out in found if item.task == task] for task in tasks
    }
    return tuple((task, _counted(each)) for task, each in own.items() if each)


def _flips(found: Sequence[Pair]) -> Flips:
    each = [(is_right(item, ref), is_right(item, out)) for item, ref, out in found]
    lost, won = each.count((True, False)), each.count((False, True))
    p = mcnemar(lost, won)
    loss = paired_loss(lost, won, len(each))
    return Flips(lost, won, p, p, loss, items_to_tell(lost, won, len(each)))


def _spread(values: Sequence[float], most: float) -> Spread | None:
    """Of values from 0 to `most`; None of none."""
    if not values:
        return None
    return Spread(
        mean(values),
        standard_error(values),
        _within(values, most),
        median(values),
        tuple((percent, percentile(values, percent)) for percent in PERCENTILES),
        max(values),
    )


def _within(values: Sequence[float], most: float) -> tuple[float, float] | None:
    if most == 1.0 and set(values) in ({0.0}, {1.0}):
        return wilson(round(sum(values)), len(values))
    ends = interval(values)
    return ends and (max(0.0, ends[0]), min(most, ends[1]))


def _perplexity(found: Sequence[Pair], is_reference: bool) -> Perplexity:
    losses = [_loss(out) for *_, out in found]
    value, error = _exp(mean(losses)), standard_error(losses)
    error = None if error is None or math.isinf(value) else value * error
    known = [_loss(ref) for _, ref, _ in found]
    if is_reference or math.inf in known:
        return Perplexity(value, error)
    changes = [loss - ref for loss, ref in zip(losses, known, strict=True)]
    ends = interval(changes)
    told = None if ends is None else (_exp(ends[0]), _exp(ends[1]))
    return Perplexity(value, error, _exp(mean(changes)), told, values_to_tell(changes))


def _exp(value: float) -> float:
    return math.exp(value) if value < 700 else math.inf
