"""What the chart of an evaluation shows: each format as a point of what it costs and how good it
is, and which of them no other beats in both."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from qdemo.spec.bits import bits_a_weight
from qdemo.spec.evidence import Evidence
from qdemo.spec.judging import Summary, Verdict, summaries
from qdemo.spec.messages import say
from qdemo.spec.variant import Variant
from qdemo.views.colours import colour
from qdemo.views.exceptions import called, labels
from qdemo.views.numbers import NONE, bounds, megabytes, percent, significant

Range = tuple[float, float, float]
"""A value with the ends of its 95% interval."""


@dataclass(frozen=True)
class Findings:
    """An evaluation with what it comes to, which is worked out once for all that shows it."""

    evidence: Evidence

    @cached_property
    def formats(self) -> tuple[Summary, ...]:
        """Those of which there is something, fp32 first."""
        return summaries(self.evidence)

    @property
    def variants(self) -> list[Summary]:
        """All but fp32."""
        return list(self.formats[1:])

    @property
    def n(self) -> int:
        """The most items that one has gone through."""
        return max((one.n for one in self.formats), default=0)

    @property
    def counted(self) -> str:
        """How many items each has gone through, or from the fewest to the most, in words."""
        fewest = min((one.n for one in self.formats), default=0)
        if fewest == self.n:
            return f"{fewest:,}"
        return say("{fewest:,} to {most:,}", fewest=fewest, most=self.n)


@dataclass(frozen=True)
class _Axis:
    """What is up the chart, or along it; `heading` and `lead` are the templates of its name and of
    its title."""

    key: str
    heading: str
    lead: str

    @property
    def name(self) -> str:
        """What it is called."""
        return say(self.heading)

    @property
    def title(self) -> str:
        """What stands at the axis."""
        return say(self.lead)


@dataclass(frozen=True)
class Measure(_Axis):
    """What is up the chart. `read` gives a loss with its interval, of which less is better; None
    where a format has none. A share is told by what is left of it: 1% wrong is 99% right."""

    is_share: bool
    read: Callable[[Summary, Summary], Range | None]

    def told(self, loss: Range) -> str:
        """It in words, with its interval where it has one."""
        value, low, high = loss
        if self.is_share:
            ends = bounds(1 - high, 1 - low, 1)
            told = {"value": percent(1 - value), "low": ends[0], "high": ends[1]}
            return say("{value} ({low} to {high}%)", **told)
        if low == high:
            return _number(value)
        told = {"value": _number(value), "low": _number(low), "high": _number(high)}
        return say("{value} ({low} to {high})", **told)


@dataclass(frozen=True)
class Cost(_Axis):
    """What is along the chart, of which less is better, and how it is written."""

    read: Callable[[Summary], float]
    write: Callable[[float], str]


@dataclass(frozen=True)
class Point:
    """A format on the chart by its short `name`: its cost, its loss with the ends of the interval,
    and in words."""

    format: str
    name: str
    cost: float
    loss: Range
    is_on_front: bool
    colour: str
    verdict: Verdict
    told: str


def bits(summary: Summary) -> float:
    """Bits a weight of what is quantized; of a cast those of its numbers."""
    if summary.bits_per_weight is not None:
        return summary.bits_per_weight
    return bits_a_weight(Variant.parse(summary.format))


def bits_told(value: float) -> str:
    """Bits a weight in words.

    >>> bits_told(4.5)
    '4.5 bits a weight'
    """
    return say("{bits} bits a weight", bits=f"{value:.3g}")


def front(points: Sequence[tuple[float, float]]) -> list[int]:
    """The places of the points that no other beats, in the order of their first value; of both
    values less is better. One beats another where it is no worse in either, and better in one.

    >>> front([(1, 5), (2, 3), (3, 4), (4, 1)])
    [0, 1, 3]
    """
    found: list[int] = []
    for i in sorted(range(len(points)), key=points.__getitem__):
        last = points[found[-1]] if found else None
        if last is None or points[i][1] < last[1] or points[i] == last:
            found.append(i)
    return found


def _accuracy(one: Summary, _: Summary) -> Range | None:
    if one.correct is None:
        return None
    low, high = one.correct.interval
    return 1 - one.correct.share, 1 - high, 1 - low


def _changed(one: Summary, _: Summary) -> Range | None:
    return None if one.changed is None else (one.changed.share, *one.changed.interval)


def _perplexity(one: Summary, reference: Summary) -> Range | None:
    """The interval is of the ratio to fp32's, on the same windows."""
    found, fp32 = one.perplexity, reference.perplexity
    if found is None or fp32 is None:
        return None
    low, high = found.interval or (found.value / fp32.value,) * 2
    return found.value, fp32.value * low, fp32.value * high


def _kl(one: Summary, _: Summary) -> Range | None:
    if one.kl is None:
        return None
    low, high = one.kl.interval or (one.kl.mean,) * 2
    return one.kl.mean, max(0.0, low), high


def _output_error(one: Summary, _: Summary) -> Range | None:
    return None if one.output_error is None else (one.output_error,) * 3


MEASURES = (
    Measure("accuracy", "Accuracy", "right answers, 95% interval", True, _accuracy),
    Measure("same", "Same answers", "answers that stay fp32's, 95% interval", True, _changed),
    Measure("perplexity", "Perplexity", "perplexity, 95% interval", False, _perplexity),
    Measure("kl", "KL", "KL from fp32, nats, 95% interval", False, _kl),
    Measure("output_error", "Output error", "output error of layers", False, _output_error),
)
COSTS = (
    Cost("bits", "Bits a weight", "bits a weight, scales counted", bits, bits_told),
    Cost("mb", "MB", "MB held", lambda one: one.bytes / 1e6, lambda x: megabytes(1e6 * x)),
)


def cost_named(key: object) -> Cost:
    """That of the key; any other is the first."""
    return next((one for one in COSTS if one.key == key), COSTS[0])


def measures(found: Findings) -> list[Measure]:
    """Those that some format has, the best for judging first. (Where it is known what is right,
    how many answers stay the same says less.)"""
    has = [m for m in MEASURES if any(_loss(m, one, found) is not None for one in found.formats)]
    keys = {measure.key for measure in has}
    return [m for m in has if m.key != "same" or "accuracy" not in keys]


def offered(found: Findings) -> list[Measure]:
    """Those that formats of such data may have: what is chosen stays so while formats come, of
    which fp32, the first, has but one."""
    data = found.evidence.data
    answers = "accuracy" if found.evidence.has_answers else "same"
    judging = "perplexity" if data.kind == "text" else answers
    return [one for one in MEASURES if one.key in (judging, "kl", "output_error")]


def measure_named(key: object, found: Findings) -> Measure:
    """That of the key; where such data never has it, the first that it may have."""
    may_have = offered(found)
    return next((one for one in may_have if one.key == key), may_have[0])


def _loss(measure: Measure, one: Summary, found: Findings) -> Range | None:
    return measure.read(one, found.formats[0])


def points(found: Findings, cost: Cost, measure: Measure) -> list[Point]:
    """Every format that has both, the cheapest first."""
    read = [(one, _loss(measure, one, found)) for one in found.formats]
    pairs = [(one, loss) for one, loss in read if loss is not None and not math.isnan(loss[0])]
    pairs.sort(key=lambda pair: (cost.read(pair[0]), pair[1]))
    best = set(front([(cost.read(one), loss[0]) for one, loss in pairs]))
    names = labels([one.format for one, _ in pairs])
    return [
        _point(one, names[i], cost, loss, measure, is_on_front=i in best)
        for i, (one, loss) in enumerate(pairs)
    ]


def _point(
    one: Summary, name: str, cost: Cost, loss: Range, measure: Measure, *, is_on_front: bool
) -> Point:
    spent = cost.read(one)
    told = say(
        "{format}: {cost}, {measure} {value}",
        format=called(one.format),
        cost=cost.write(spent),
        measure=measure.name,
        value=measure.told(loss),
    )
    own = colour(one.format)
    return Point(one.format, name, spent, loss, is_on_front, own, one.verdict, told)


def _number(value: float) -> str:
    return say("not finite") if math.isinf(value) else significant(value) or NONE
