"""The chart of an evaluation: what each format costs beside how good it is, with intervals, and the
front of those that no other beats in both. What is better lies up and to the left.

It is drawn as SVG, not by plotly: so its points can be reached by key, names keep apart, it follows
a run second by second without being built anew, and files have the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qdemo.spec.messages import say
from qdemo.views.axes import Axis, power
from qdemo.views.evidence_labels import DOT, FAR, HEIGHT, NEXT, Box, Label, overlaps, place
from qdemo.views.evidence_points import Cost, Findings, Measure, Point, points
from qdemo.views.numbers import percent
from qdemo.views.strokes import px, width_of
from qdemo.views.templates import fill

WIDE, NARROW = (800, 480), (350, 430)
"""Width and height in px: on a desktop, and on a phone."""

_STEPS = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)
_SHARES = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4, 1e-4, 1e-5)
_APART_X, _APART_Y = 40.0, 24.0
_SMALLEST = 1e-12
"""A log axis has no zero: what is less is drawn here."""


@dataclass(frozen=True)
class Drawn:
    """A point where it is drawn, in px, with the ends of its interval and its name."""

    point: Point
    x: float
    y: float
    low: float
    high: float
    label: Label | None
    name_x: float
    name_y: float


@dataclass(frozen=True)
class Reference:
    """The height of fp32 in px, and what is written there, in its box."""

    y: float
    text: str
    box: Box


def chart_html(findings: Findings, cost: Cost, measure: Measure) -> str:
    """The chart for a wide and a narrow page; that there is none yet, where nothing came yet."""
    found = points(findings, cost, measure)
    if not found:
        return fill("evidence_none", text=_none(findings, measure))
    fewest = min(one.n for one in findings.formats)
    sizes = [("wide", *WIDE), ("narrow", *NARROW)]
    charts = [_Chart(found, cost, measure, fewest, width, height).svg(kind)
              for kind, width, height in sizes]  # fmt: skip
    return fill("evidence_chart", charts=charts, title=_title(findings, cost, measure))


def _none(findings: Findings, measure: Measure) -> str:
    """Why there is no point."""
    if not findings.variants:
        return say("The first answers are on their way.")
    return say("None of these formats has this: {measure}.", measure=measure.title)


def _title(findings: Findings, cost: Cost, measure: Measure) -> str:
    return say(
        "{model}: {measure} beside {cost}, {n} items{source}",
        model=findings.evidence.model,
        measure=_within(measure.name),
        cost=_within(cost.name),
        n=findings.counted,
        source=_source(findings),
    )


def _source(findings: Findings) -> str:
    """Of what they are, where they are not the model's own."""
    data = findings.evidence.data
    return "" if data.is_held_out else say(" of {name}", name=data.name)


def _within(name: str) -> str:
    """A name as a sentence has it in its midst; what is written in capitals stays so."""
    return name if name.isupper() else name[:1].lower() + name[1:]


class _Chart:
    """One size of it, and where its parts go."""

    def __init__(
        self, found: Sequence[Point], cost: Cost, measure: Measure, n: int, width: int, height: int
    ) -> None:
        self.found, self.cost, self.measure, self.n = found, cost, measure, n
        self.width, self.height = width, height
        self.box: Box = (62.0, 34.0, width - 18.0, height - 56.0)
        self.x, self.y = self._x(), self._y()

    def svg(self, kind: str) -> str:
        """All of it."""
        left, top, right, bottom = self.box
        return fill(
            "evidence_svg",
            kind=kind, width=self.width, height=self.height,
            left=px(left), top=px(top), right=px(right), bottom=px(bottom),
            x_ticks=[(px(self.x.at(at)), text) for at, text in self._x_ticks()],
            y_ticks=[(px(self.y.at(at)), text) for at, text in self._y_ticks()],
            x_title=self.cost.title, y_title=self.measure.title,
            front=self._front(), reference=self._reference(), points=list(self._drawn()), px=px,
        )  # fmt: skip

    def _x(self) -> Axis:
        costs = [math.log10(one.cost) for one in self.found]
        edge = 0.04 * max(max(costs) - min(costs), 0.3)
        return Axis(min(costs) - edge, max(costs) + edge, self.box[0], self.box[2], is_log=True)

    def _y(self) -> Axis:
        """What is best lies on top."""
        every = [end for one in self.found for end in one.loss]
        finite = [math.log10(end) for end in every if math.isfinite(end) and end >= self._least()]
        low, high = min(finite, default=-1.0), max(finite, default=0.0)
        if any(end < self._least() for end in every):
            low = math.log10(self._least()) if self.measure.is_share else low - 0.5
        if any(math.isinf(end) for end in every):
            high += 0.5
        edge = 0.05 * max(high - low, 0.3)
        top, bottom = self.box[1], self.box[3]
        return Axis(low - edge, max(high, low + 0.3) + edge, top, bottom, is_log=True)

    def _least(self) -> float:
        """What is less is drawn on the edge: of a share half an item."""
        return 0.5 / self.n if self.measure.is_share else _SMALLEST

    def _at(self, loss: float) -> float:
        """The place of a loss, on the edges where the axis does not reach so far."""
        if math.isinf(loss):
            return self.box[3]
        return max(self.box[1], min(self.box[3], self.y.at(max(loss, self._least()))))

    def _x_ticks(self) -> list[tuple[float, str]]:
        every = [step * 10.0**k for k in range(-4, 6) for step in _STEPS]
        if self.cost.key == "bits":
            every = [float(n) for n in (2, 3, 4, 5, 6, 8, 12, 16, 32)]
        return _apart([(at, f"{at:,g}") for at in every if self.x.holds(at)], self.x, _APART_X)

    def _y_ticks(self) -> list[tuple[float, str]]:
        every: list[tuple[float, str]]
        if self.measure.is_share:
            every = [(share, percent(1 - share) if share >= 1e-3 else f"{100 - 100 * share:g}%")
                     for share in _SHARES]  # fmt: skip
            if not min(one.loss[0] for one in self.found):
                every.insert(0, (self._least(), percent(1.0)))
        elif self.y.high - self.y.low > 1.5:
            every = [(10.0**k, power(k)) for k in range(-12, 4)]
        else:
            steps = [step * 10.0**k for k in range(-12, 4) for step in _STEPS]
            every = [(at, f"{at:,g}") for at in steps]
        return _apart([tick for tick in every if self.y.holds(tick[0])], self.y, _APART_Y)

    def _front(self) -> str:
        """A stair from each point of the front to the next better one, and on to the right."""
        best = [one for one in self.found if one.is_on_front]
        found = f"M{px(self.x.at(best[0].cost))} {px(self.box[3])}"
        for one in best:
            found += f"H{px(self.x.at(one.cost))}V{px(self._at(one.loss[0]))}"
        return found + f"H{px(self.box[2])}"

    def _reference(self) -> Reference | None:
        """Where fp32 lies, across the whole chart, and what is written there, where no point is."""
        fp32 = next((one for one in self.found if not one.verdict and one.format == "fp32"), None)
        if fp32 is None:
            return None
        told = percent(1 - fp32.loss[0]) if self.measure.is_share else f"{fp32.loss[0]:.3g}"
        y, text = self._at(fp32.loss[0]), say("fp32 {value}", value=told)
        drawn = [self._bar(one, DOT) for one in self.found]
        boxes = list(self._beside(y, width_of(text) + 6))
        free = (box for box in boxes if not any(overlaps(box, one) for one in drawn))
        return Reference(y, text, next(free, boxes[0]))

    def _beside(self, y: float, width: float) -> Iterator[Box]:
        """Over and under that height, best at the left end, else far to the right."""
        steps = range(int((self.box[2] - self.box[0] - width) // 10))
        for left in (self.box[0] + 2, *(self.box[2] - width - 10 * k for k in steps)):
            for top in (y - HEIGHT - 3, y + 3):
                if self.box[1] <= top + HEIGHT / 2 <= self.box[3] - HEIGHT / 2:
                    yield left, top, left + width, top + HEIGHT
        yield self.box[0] + 2, y - HEIGHT - 3, self.box[0] + 2 + width, y - 3

    def _bar(self, one: Point, half: float) -> Box:
        """What a point and its interval take up, so far to either side."""
        x, (value, *ends) = self.x.at(one.cost), map(self._at, one.loss)
        return x - half, min(value - half, *ends), x + half, max(value + half, *ends)

    def _drawn(self) -> Iterator[Drawn]:
        """Every point; those of the front get their names first, and lie above the others."""
        ordered = sorted(self.found, key=self._turn)
        places = [(self.x.at(one.cost), self._at(one.loss[0])) for one in ordered]
        inside = (self.box[0] - 4, self.box[1] - 14, self.width - 2.0, self.box[3])
        rings = [FAR if one.is_on_front else NEXT for one in ordered]
        labels = place(places, list(map(self._width, ordered)), inside, self._taken(), rings)
        both = list(zip(ordered, places, labels, strict=True))
        for one, (x, y), label in reversed(both):
            low, high = self._at(one.loss[1]), self._at(one.loss[2])
            left, _, _, below = label.box if label else (x, y, x, y)
            yield Drawn(one, x, y, low, high, label, left + 2, below - 4)

    def _turn(self, one: Point) -> tuple[bool, bool, int]:
        """When it gets its name; where there is little room, long ones of the front first."""
        is_tight = one.is_on_front and self.width < WIDE[0]
        return one.format == "fp32", not one.is_on_front, -len(one.name) if is_tight else 0

    def _width(self, one: Point) -> float:
        """Of its name; where the chart is narrow, only those of the front have room."""
        is_named = one.is_on_front or self.width >= WIDE[0]
        return width_of(one.name) + 6 if is_named else math.inf

    def _taken(self) -> list[Box]:
        """What the intervals of the front take up, its stair, fp32's line and the words on it."""
        best = [one for one in self.found if one.is_on_front]
        return [self._bar(one, 3.0) for one in best] + self._stair(best) + self._on_the_line()

    def _stair(self, best: Sequence[Point]) -> list[Box]:
        """The steps of the front, as thin boxes."""
        places = [(self.x.at(one.cost), self._at(one.loss[0])) for one in best]
        ends = [*[x for x, _ in places[1:]], self.box[2]]
        before = [self.box[3], *[y for _, y in places]]
        found = list[Box]()
        for (x, y), end, start in zip(places, ends, before, strict=False):
            found += [(x, y - 2, end, y + 2), (x - 2, y, x + 2, start)]
        return found

    def _on_the_line(self) -> list[Box]:
        line = self._reference()
        if line is None:
            return []
        return [line.box, (self.box[0], line.y - 1, self.box[2], line.y + 1)]


def _apart(ticks: Sequence[tuple[float, str]], axis: Axis, apart: float) -> list[tuple[float, str]]:
    """Those that are not nearer to one before than numbers are long."""
    found: list[tuple[float, str]] = []
    for value, text in ticks:
        if all(abs(axis.at(value) - axis.at(other)) >= apart for other, _ in found):
            found.append((value, text))
    return found
