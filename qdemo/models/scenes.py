"""Small emoji scenes: what is in one, how it is put into words, how it is drawn.

>>> scene = Scene("beach", (Group("woman"), Group("dog")))
>>> caption(scene)
'a woman and a dog on the beach'
>>> draw(scene, 192).size
(192, 192)
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Literal

from PIL import Image

from qdemo.models.places import PLACES, background, place
from qdemo.spec.messages import say

IMAGES = Path(__file__).resolve().parents[2] / "assets" / "images"
GLYPH_SHEET = IMAGES / "glyphs.png"
GLYPH_INDEX = IMAGES / "glyphs.json"

Relation = Literal["beside", "above", "on"]
RANK = ("person", "animal", "vehicle", "food", "thing")  # who is named first, one over the other
LIVING = ("person", "animal")
MOST = 4  # glyphs in a picture
NUMBERS = {2: "two", 3: "three", 4: "four"}


@dataclass(frozen=True)
class Glyph:
    """One object that scenes can hold.

    One that `flies` can be above another. Another can stand on one that has a `seat`: its height,
    in sides of the glyph.
    """

    name: str
    plural: str
    category: str
    flies: bool
    seat: float | None


@dataclass(frozen=True)
class Group:
    """So many of one object."""

    name: str
    count: int = 1


@dataclass(frozen=True)
class Scene:
    """Up to three objects somewhere; `seed` moves them a little and changes nothing else.

    Groups stand beside each other from left to right, or the first is above, or on, the second.
    """

    place: str
    groups: tuple[Group, ...]
    relation: Relation = "beside"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what can't be drawn."""
        counts = [group.count for group in self.groups]
        if min(counts, default=0) < 1 or sum(counts) > MOST:
            raise ValueError(
                say(
                    "counts {counts}; expected at least 1 each, {most} together at most",
                    counts=counts,
                    most=MOST,
                )
            )
        if self.relation != "beside" and counts != [1, 1]:
            raise ValueError(
                say(
                    "{relation!r} with counts {counts}; expected two groups of one",
                    relation=self.relation,
                    counts=counts,
                )
            )


@cache
def glyphs() -> dict[str, Glyph]:
    """Every object by name."""
    entries = json.loads(GLYPH_INDEX.read_text(encoding="utf-8"))["glyphs"]
    kept = [field.name for field in fields(Glyph)]
    return {entry["name"]: Glyph(**{name: entry[name] for name in kept}) for entry in entries}


def glyph(name: str) -> Glyph:
    """The object of that name."""
    if name not in glyphs():
        raise ValueError(
            say(
                "unknown object {name!r}; expected one of {names}",
                name=name,
                names=", ".join(glyphs()),
            )
        )
    return glyphs()[name]


def caption(scene: Scene) -> str:
    """The scene in words; two pictures that look alike are put into the same words."""
    phrases = [_phrase(group) for group in scene.groups]
    if len(phrases) == 2:
        words = _pair(scene, *phrases)
    else:
        words = " and ".join(filter(None, [", ".join(phrases[:-1]), phrases[-1]]))
    return f"{words} {place(scene.place).phrase}"


def _phrase(group: Group) -> str:
    if group.count > 1:
        return f"{NUMBERS[group.count]} {glyph(group.name).plural}"
    return f"{'an' if group.name[0] in 'aeiou' else 'a'} {group.name}"


def _pair(scene: Scene, first: str, second: str) -> str:
    one, other = (glyph(group.name).category for group in scene.groups)
    if scene.relation == "on":
        return f"{first} on {second}"
    if scene.relation == "above":
        if RANK.index(one) > RANK.index(other):
            return f"{second} under {first}"
        return f"{first} above {second}"
    alike = one == other or (one in LIVING and other in LIVING)
    return f"{first} and {second}" if alike else f"{first} next to {second}"


def described(line: str) -> Scene:
    """The scene that a line of JSON describes; what else stands there is no part of it."""
    found = json.loads(line)
    groups = tuple(Group(name, count) for name, count in found["groups"])
    return Scene(found["place"], groups, found["relation"], found["seed"])


def random_scene(seed: int) -> Scene:
    """A scene of one to three objects, the same for the same seed."""
    rng = random.Random(seed)
    kinds = (_one, _several, _two, _mixed, _above, _on, _three)
    (kind,) = rng.choices(kinds, weights=(14, 12, 24, 8, 12, 10, 20))
    relation: Relation = {_above: "above", _on: "on"}.get(kind, "beside")  # type: ignore[assignment]
    return Scene(rng.choice(list(PLACES)), kind(rng), relation, seed)


Groups = tuple[Group, ...]


def _distinct(rng: random.Random, count: int) -> list[str]:
    return rng.sample(list(glyphs()), count)


def _one(rng: random.Random) -> Groups:
    (name,) = _distinct(rng, 1)
    return (Group(name),)


def _several(rng: random.Random) -> Groups:
    (name,) = _distinct(rng, 1)
    return (Group(name, rng.choice(list(NUMBERS))),)


def _two(rng: random.Random) -> Groups:
    return tuple(map(Group, _distinct(rng, 2)))


def _mixed(rng: random.Random) -> Groups:
    few, one = _distinct(rng, 2)
    groups = [Group(few, 2), Group(one)]
    rng.shuffle(groups)
    return tuple(groups)


def _three(rng: random.Random) -> Groups:
    return tuple(map(Group, _distinct(rng, 3)))


def _above(rng: random.Random) -> Groups:
    top = rng.choice([g.name for g in glyphs().values() if g.flies])
    return Group(top), Group(rng.choice([name for name in glyphs() if name != top]))


def _on(rng: random.Random) -> Groups:
    support = rng.choice([g.name for g in glyphs().values() if g.seat])
    riders = [g.name for g in glyphs().values() if g.category != "vehicle" and g.name != support]
    return Group(rng.choice(riders)), Group(support)


@dataclass(frozen=True)
class Spot:
    """Where a glyph stands: the middle of its lower edge and its side, in picture widths."""

    name: str
    x: float
    bottom: float
    side: float


def draw(scene: Scene, size: int = 384) -> Image.Image:
    """The scene as an RGB picture of `size` × `size` pixels."""
    rng = random.Random(scene.seed)
    picture = background(scene.place, rng.randrange(1 << 16), size).copy()
    for spot in _layout(scene, rng):
        side = round(spot.side * size)
        tile = _tile(spot.name).resize((side, side), Image.Resampling.LANCZOS)
        if rng.random() < 0.5:
            tile = tile.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        corner = (round(spot.x * size - side / 2), round(spot.bottom * size) - side)
        picture.paste(tile, corner, tile)
    return picture


def _layout(scene: Scene, rng: random.Random) -> list[Spot]:
    if scene.relation == "beside":
        return _side_by_side([g.name for g in scene.groups for _ in range(g.count)], rng)
    top, low = (group.name for group in scene.groups)
    return _stacked(top, low, rng) if scene.relation == "on" else _apart(top, low, rng)


def _side_by_side(names: list[str], rng: random.Random) -> list[Spot]:
    count = len(names)
    if count == 4:  # two rows of two
        spots = [(0.28, 0.48), (0.72, 0.48), (0.28, 0.93), (0.72, 0.93)]
    else:
        spots = [((i + 0.5) / count, 0.85) for i in range(count)]
    largest = {1: 0.54, 2: 0.44, 3: 0.315, 4: 0.40}[count]
    slack = 0.12 if count == 1 else 0.02
    return [
        Spot(
            name,
            x + rng.uniform(-slack, slack),
            bottom + rng.uniform(-0.06, 0.04),
            largest * rng.uniform(0.86, 1.0),
        )
        for name, (x, bottom) in zip(names, spots, strict=True)
    ]


def _apart(top: str, low: str, rng: random.Random) -> list[Spot]:
    """One above the other, with air between them."""
    return [
        Spot(low, rng.uniform(0.35, 0.65), rng.uniform(0.93, 0.97), rng.uniform(0.36, 0.42)),
        Spot(top, rng.uniform(0.35, 0.65), rng.uniform(0.40, 0.44), rng.uniform(0.33, 0.37)),
    ]


def _stacked(rider: str, support: str, rng: random.Random) -> list[Spot]:
    """One on the other: its feet are on its support's seat."""
    base = Spot(support, rng.uniform(0.38, 0.62), rng.uniform(0.93, 0.97), rng.uniform(0.46, 0.52))
    seat = base.bottom - base.side * ((glyph(support).seat or 1.0) - rng.uniform(0, 0.05))
    return [base, Spot(rider, base.x + rng.uniform(-0.03, 0.03), seat, rng.uniform(0.33, 0.38))]


def _tile(name: str) -> Image.Image:
    return _sheet().crop(_box(name))


@cache
def _box(name: str) -> tuple[int, int, int, int]:
    """Where the object lies on the sheet."""
    index = json.loads(GLYPH_INDEX.read_text(encoding="utf-8"))
    side, position = index["tile"], list(glyphs()).index(glyph(name).name)
    row, column = divmod(position, index["columns"])
    return column * side, row * side, (column + 1) * side, (row + 1) * side


@cache
def _sheet() -> Image.Image:
    with Image.open(GLYPH_SHEET) as picture:
        return picture.convert("RGBA")
