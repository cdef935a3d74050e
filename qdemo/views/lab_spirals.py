"""The plane with two spirals of points on it, and what a network makes of it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

from PIL import Image

from qdemo.spec.messages import say
from qdemo.views.colours import MARKS, of_line
from qdemo.views.numbers import percent, significant
from qdemo.views.templates import fill

LEVELS = 15
"""Of the probability, in the picture: as a palette a picture is 1 kB."""

_STRONGEST = 200  # of 255: points stand out from the plane


def panels_html(
    points: Sequence[Sequence[float]],
    spiral: Sequence[int],
    edge: float,
    learned: Mapping[str, Any | None],
) -> str:
    """A panel for each way of training: its name, and what it has learned
    (`qdemo.lab.training.Learned`), or None where it has not begun.

    `points` (N, 2) lie within `edge` of 0 on either axis; `spiral` says which each is on, 0 or 1.
    """
    return fill(
        "spirals",
        paths=[_path(points, spiral, which) for which in (0, 1)],
        box=f"{-edge} {-edge} {2 * edge} {2 * edge}",
        edge=edge,
        panels=[_panel(name, found) for name, found in learned.items()],
    )


def _panel(name: str, found: Any | None) -> dict[str, str]:
    told = say("not yet") if found is None else say(
        "{share} right, loss {loss}", share=percent(found.accuracy), loss=significant(found.loss)
    )  # fmt: skip
    picture = "" if found is None else picture_of(found.grid.tolist())
    return {"name": name, "colour": of_line(name), "told": told, "picture": picture}


def _path(points: Sequence[Sequence[float]], spiral: Sequence[int], which: int) -> str:
    """The points of one spiral as lines of no length, which round ends make dots."""
    found = [point for point, one in zip(points, spiral, strict=True) if one == which]
    return "".join(f"M{x:.2f} {y:.2f}h0" for x, y in found)


def picture_of(grid: Sequence[Sequence[float]]) -> str:
    """Probabilities of the second spiral, the lowest row first, as a picture in an address."""
    levels = [round(LEVELS * p) for row in reversed(grid) for p in row]
    picture = Image.new("P", (len(grid[0]), len(grid)))
    picture.putdata(levels)
    picture.putpalette([channel for level in range(LEVELS + 1) for channel in _shade(level)])
    file = io.BytesIO()
    strengths = bytes(round(_STRONGEST * abs(2 * n / LEVELS - 1)) for n in range(LEVELS + 1))
    picture.save(file, "PNG", optimize=True, transparency=strengths)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _shade(level: int) -> bytes:
    """The colour of the spiral that is likelier; how likely is how strong it is."""
    return bytes.fromhex(MARKS[0 if 2 * level < LEVELS else 1].lstrip("#"))
