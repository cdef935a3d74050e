"""Where emoji scenes happen: a phrase and a painted background for each place.

A background is painted in a unit square of 384 pixels, once for each of its variants.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

from cachetools import LRUCache, cached
from PIL import Image, ImageDraw, ImageEnhance

from qdemo.spec.messages import say

UNIT = 384
VARIANTS = 6  # shades and arrangements of each place
Point = tuple[float, float]


class Canvas:
    """A picture in the making; all coordinates run from 0 to 1, y downwards."""

    def __init__(self, rng: random.Random, top: str, bottom: str) -> None:
        """Begin with a sky that fades from `top` to `bottom`."""
        ramp = Image.linear_gradient("L").resize((UNIT, UNIT))
        self.rng = rng
        self.picture = Image.composite(
            Image.new("RGB", ramp.size, bottom), Image.new("RGB", ramp.size, top), ramp
        )
        self._pen = ImageDraw.Draw(self.picture)

    def area(self, colour: str, *points: Point) -> None:
        """Fill a polygon."""
        self._pen.polygon([(x * UNIT, y * UNIT) for x, y in points], fill=colour)

    def ground(self, colour: str, top: float) -> None:
        """Fill everything below `top`."""
        self.area(colour, (0, top), (1, top), (1, 1), (0, 1))

    def disc(self, colour: str, x: float, y: float, radius: float, flat: float = 1.0) -> None:
        """Fill a circle, or an ellipse `flat` times as high as wide."""
        box = (x - radius, y - radius * flat, x + radius, y + radius * flat)
        self._pen.ellipse([side * UNIT for side in box], fill=colour)

    def box(self, colour: str, x: float, y: float, width: float, height: float) -> None:
        """Fill a rectangle whose upper left corner is (x, y)."""
        self.area(colour, (x, y), (x + width, y), (x + width, y + height), (x, y + height))


def _beach(rng: random.Random) -> Canvas:
    canvas = Canvas(rng, "#8fd3ff", "#c9efff")
    canvas.ground("#1f8fc4", 0.40)
    canvas.ground("#5fc7dd", 0.52)
    canvas.area("#f0dba0", (0, 0.64), (0.5, 0.58), (1, 0.62), (1, 1), (0, 1))
    for _ in range(5):
        canvas.disc("#e2c788", rng.random(), rng.uniform(0.72, 0.97), 0.03, 0.3)
    return canvas


def _park(rng: random.Random) -> Canvas:
    canvas = Canvas(rng, "#9ed8ff", "#e4f6ff")
    canvas.disc("#a5da6c", 0.2, 0.75, 0.6, 0.5)
    canvas.disc("#93cf58", 0.85, 0.8, 0.6, 0.5)
    canvas.ground("#7cc243", 0.66)
    for _ in range(14):
        dot = rng.choice(["#ffffff", "#ffe14d"])
        canvas.disc(dot, rng.random(), rng.uniform(0.7, 0.98), 0.012)
    return canvas


def _forest(rng: random.Random) -> Canvas:
    canvas = Canvas(rng, "#2f5d3a", "#4f8550")
    for i in range(9):
        x, top = i / 8 + rng.uniform(-0.03, 0.03), rng.uniform(0.0, 0.2)
        canvas.box("#4a3420", x - 0.015, 0.5, 0.03, 0.25)
        canvas.area("#1d4427", (x, top), (x + 0.1, 0.6), (x - 0.1, 0.6))
    canvas.ground("#5b4a2b", 0.72)
    return canvas


def _mountains(rng: random.Random) -> Canvas:
    canvas = Canvas(rng, "#b9d4ee", "#eaf3fb")
    for x in (0.1, 0.9, 0.5):
        peak = rng.uniform(0.08, 0.2)
        canvas.area("#7d8796", (x, peak), (x + 0.42, 0.7), (x - 0.42, 0.7))
        canvas.area("#ffffff", (x, peak), (x + 0.09, peak + 0.12), (x - 0.09, peak + 0.12))
    canvas.ground("#8f9c78", 0.70)
    return canvas


def _city(rng: random.Random) -> Canvas:
    canvas = Canvas(rng, "#c4ccd8", "#e6e2dc")
    for i in range(6):
        x, top = i / 6, rng.uniform(0.1, 0.35)
        canvas.box(rng.choice(["#a5695a", "#8e7f94", "#6f8296"]), x, top, 0.155, 0.7)
        for j in range(6):
            for k in range(2):
                canvas.box("#f3e3a1", x + 0.03 + 0.06 * k, top + 0.04 + 0.08 * j, 0.03, 0.04)
    canvas.ground("#55565c", 0.72)
    for i in range(4):
        canvas.box("#e8e8e8", 0.05 + 0.25 * i, 0.86, 0.13, 0.02)
    return canvas


def _desert(rng: random.Random) -> Canvas:
    canvas = Canvas(rng, "#ffd98a", "#fff0c9")
    canvas.disc("#e5a65a", rng.uniform(0.1, 0.4), 0.8, 0.6, 0.5)
    canvas.disc("#d89348", rng.uniform(0.7, 1.0), 0.85, 0.55, 0.5)
    canvas.ground("#cc8440", 0.74)
    return canvas


def _snow(rng: random.Random) -> Canvas:
    canvas = Canvas(rng, "#aebfd2", "#dbe4ee")
    canvas.disc("#f3f7fc", 0.25, 0.85, 0.6, 0.4)
    canvas.ground("#ffffff", 0.72)
    for _ in range(40):
        canvas.disc("#ffffff", rng.random(), rng.random(), 0.012)
    return canvas


def _sea(rng: random.Random) -> Canvas:
    canvas = Canvas(rng, "#7cc4f4", "#cdeaf9")
    for i, colour in enumerate(["#2b7fc2", "#1f6bb0", "#175a9c", "#104a88"]):
        top, shift = 0.42 + 0.15 * i, rng.random() * 0.2
        canvas.ground(colour, top)
        for j in range(-1, 6):
            canvas.disc(colour, j * 0.2 + shift, top, 0.09, 0.4)
    return canvas


def _room(rng: random.Random) -> Canvas:
    canvas = Canvas(rng, "#f1d9c4", "#ecccb2")
    x = rng.choice([0.12, 0.58])
    canvas.box("#ffffff", x, 0.08, 0.3, 0.34)
    canvas.box("#a8dcf5", x + 0.02, 0.10, 0.12, 0.30)
    canvas.box("#a8dcf5", x + 0.16, 0.10, 0.12, 0.30)
    canvas.ground("#9a6a44", 0.70)
    for i in range(3):
        canvas.box("#875a38", 0, 0.78 + 0.08 * i, 1, 0.01)
    canvas.box("#fff6ea", 0, 0.68, 1, 0.025)
    return canvas


def _night(rng: random.Random) -> Canvas:
    canvas = Canvas(rng, "#070b2a", "#23306b")
    for _ in range(30):
        canvas.disc("#f5f0c8", rng.random(), rng.uniform(0, 0.65), rng.uniform(0.004, 0.009))
    canvas.disc("#16203f", 0.3, 1.0, 0.8, 0.38)
    canvas.ground("#101830", 0.82)
    return canvas


def _sunset(rng: random.Random) -> Canvas:
    canvas = Canvas(rng, "#7a2f77", "#ff9a4a")
    canvas.disc("#ffd36b", rng.uniform(0.3, 0.7), 0.66, 0.22)
    canvas.ground("#5a2340", 0.68)
    return canvas


@dataclass(frozen=True)
class Place:
    """How a place is put into words, and who paints it."""

    phrase: str
    paint: Callable[[random.Random], Canvas]


PLACES = {
    "beach": Place("on the beach", _beach),
    "park": Place("in the park", _park),
    "forest": Place("in the forest", _forest),
    "mountains": Place("in the mountains", _mountains),
    "city": Place("in the city", _city),
    "desert": Place("in the desert", _desert),
    "snow": Place("in the snow", _snow),
    "sea": Place("at sea", _sea),
    "room": Place("in a room", _room),
    "night": Place("at night", _night),
    "sunset": Place("at sunset", _sunset),
}


def place(name: str) -> Place:
    """The place of that name."""
    if name not in PLACES:
        raise ValueError(
            say(
                "unknown place {name!r}; expected one of {names}",
                name=name,
                names=", ".join(PLACES),
            )
        )
    return PLACES[name]


# Pictures to train on are small and all fit; of large ones, all would be 80 MB.
_PAINTED: LRUCache[Any, Image.Image] = LRUCache(
    4_000_000, getsizeof=lambda picture: 4 * picture.width * picture.height
)


@cached(_PAINTED, lock=Lock())
def _painted(name: str, variant: int, size: int) -> Image.Image:
    rng = random.Random(variant)
    picture = place(name).paint(rng).picture
    picture = ImageEnhance.Brightness(picture).enhance(rng.uniform(0.9, 1.06))
    return picture.resize((size, size), Image.Resampling.LANCZOS)


def background(name: str, number: int, size: int) -> Image.Image:
    """The place at `size` × `size` pixels in one of its variants; don't draw on it, copy it."""
    return _painted(name, number % VARIANTS, size)
