"""What a choice on the page of linear quantization changed: the line under the choices."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from qdemo.spec.messages import say
from qdemo.ui import matrix_part
from qdemo.views import lab_told
from qdemo.views.wording import percent

if TYPE_CHECKING:
    from qdemo.lab.by_hand import ByHand

Place = tuple[int, int]


def quantized(text: str, bits: float, range_: str, scales: str, clip: float) -> ByHand:
    """The matrix as it is chosen.

    Raises:
        ValueError: the text is no matrix, or groups do not fit it.
    """
    from qdemo.lab import by_hand, matrices

    return by_hand.by_hand(matrices.read(text), matrix_part.scheme(bits, range_, scales), clip)


def place(found: ByHand, cell: str) -> Place:
    """Row and column of the chosen cell, or of the nearest that this matrix has."""
    row, column = map(int, cell.split(","))
    return min(row, found.w.shape[0] - 1), min(column, found.w.shape[1] - 1)


def changed(found: ByHand, chosen: Sequence[Any], at: Place, last: str, is_best: bool) -> str:
    """What is another than it was when `last` was chosen: a matrix, and how it is quantized.

    `at` is the weight that is looked at; `is_best` where the range is cut to the least error.
    """
    from qdemo.lab.changes import around, only_change

    before, was = _before(last)
    if before is None or list(was) == list(chosen):
        return lab_told.at_first(str(found.scheme), around(found, *at))
    one = only_change(before.w, found.w)
    if one:
        return lab_told.one_weight(*one, around(before, *one), around(found, *one))
    if was[0] != chosen[0]:
        return lab_told.another_matrix(around(found, *at))
    moves, is_cut = _moves(was, chosen), was[4] != chosen[4]
    return lab_told.choices(moves, around(before, *at), around(found, *at), is_best and is_cut)


def _before(last: str) -> tuple[ByHand | None, list[Any]]:
    """What was shown last; nothing where there is nothing that can be read."""
    try:
        was = json.loads(last)
        return quantized(*was), was
    except (ValueError, TypeError, KeyError):
        return None, []


def _moves(was: Sequence[Any], now: Sequence[Any]) -> list[tuple[str, str, str]]:
    """The name of each choice that is another one, what it was and what it is."""
    ranges, scales = matrix_part.told(matrix_part.ranges()), matrix_part.told(matrix_part.shares())
    shown: tuple[tuple[str, Callable[[Any], str]], ...] = (
        (say("Bits"), str),
        (say("Range"), ranges.__getitem__),
        (say("One scale for"), scales.__getitem__),
        (say("Part of the range kept"), percent),
    )
    return [
        (name, tell(old), tell(new))
        for (name, tell), old, new in zip(shown, was[1:], now[1:], strict=True)
        if old != new
    ]
