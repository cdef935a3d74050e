"""Where names stand beside points, so that none covers another name, or a point."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in px."""

HEIGHT = 17.0
"""Of a line of text, in px."""

DOT = 7.0
"""What a point takes to either side, in px."""

NEXT, FAR = 2, 16
"""How far a name may stand from its point: beside it or at the end of a short line, or wherever it
finds room."""

_NEAR, _STEP = 11.0, 13.0
_APART = 4.0
"""What a name that stands askew is shifted by, up or down, so that a line on its point's height
does not touch it, in px."""

_DIRECTIONS = (0.0, 0.25, -0.25, 0.5, -0.5, 1.0, 0.75, -0.75)
"""In half turns from the right; a name stands best to the right of its point."""


@dataclass(frozen=True)
class Label:
    """A name in its `box`; the point that it is of lies at (x, y), and what joins them ends at
    (end_x, end_y); `is_joined` where they are so far apart that a line has to."""

    box: Box
    x: float
    y: float
    end_x: float
    end_y: float
    is_joined: bool


def place(
    points: Sequence[tuple[float, float]],
    widths: Sequence[float],
    inside: Box,
    taken: Sequence[Box] = (),
    rings: Sequence[int] | None = None,
) -> list[Label | None]:
    """A place for each name of that width beside its point, the first ones first; None where all
    places are taken, or outside of `inside`. `rings` is how far from its point each may stand, in
    steps; as far as any, where it is left out. One that may stand anywhere covers what is `taken`
    rather than be left out."""
    reaches = [FAR] * len(points) if rings is None else rings
    dots = [(x - DOT, y - DOT, x + DOT, y + DOT) for x, y in points]
    blocked, found = dots, list[Label | None]()
    for (x, y), width, reach in zip(points, widths, reaches, strict=True):
        places = [one for one in _places(x, y, width, reach) if _is_free(one.box, blocked, inside)]
        clear = (one for one in places if _is_free(one.box, taken, inside))
        label = next(clear, places[0] if places and reach == FAR else None)
        found.append(label)
        if label is not None:
            blocked.append(label.box)
    return found


def overlaps(one: Box, other: Box) -> bool:
    """Whether two boxes share more than an edge.

    >>> overlaps((0, 0, 2, 2), (1, 1, 3, 3)), overlaps((0, 0, 2, 2), (2, 0, 3, 1))
    (True, False)
    """
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _is_free(box: Box, blocked: Sequence[Box], inside: Box) -> bool:
    fits = inside[0] <= box[0] and inside[1] <= box[1] and box[2] <= inside[2]
    return fits and box[3] <= inside[3] and not any(overlaps(box, one) for one in blocked)


def _places(x: float, y: float, width: float, rings: int) -> Iterator[Label]:
    """Around the point, near ones first."""
    for ring in range(rings):
        away = _NEAR + _STEP * ring
        for turn in _DIRECTIONS:
            end_x, end_y = x + away * math.cos(turn * math.pi), y + away * math.sin(turn * math.pi)
            yield Label(_box(end_x, end_y, turn, width), x, y, end_x, end_y, ring > 0)


def _box(x: float, y: float, turn: float, width: float) -> Box:
    """The box of a name that begins there, ends there, or has its middle there."""
    is_upright, is_right = abs(turn) == 0.5, abs(turn) < 0.5
    left = x - width / 2 if is_upright else x if is_right else x - width
    is_level = turn in (0.0, 1.0)
    top = y - HEIGHT / 2 + (0.0 if is_level else math.copysign(_APART, turn))
    if is_upright:
        top = y if turn > 0 else y - HEIGHT
    return left, top, left + width, top + HEIGHT
