"""Tasks with short lists of words; what is held out are lists, in whatever wording."""

from __future__ import annotations

from random import Random

from assets.train.text.data import lines, wordings
from assets.train.text.items import Item, Task


def word_tasks() -> list[Task]:
    """Return the tasks about lists of words."""
    return [Task("sort", 0.08, _sort), Task("reverse", 0.10, _reverse)]


def _sort(rng: Random) -> Item:
    words = rng.sample(lines("words"), rng.choice((3, 4)))
    ordered = sorted(words)
    prompt = rng.choice(wordings("sort")).format(words=", ".join(words))
    return Item("sort", prompt, ", ".join(ordered), f"sort {' '.join(ordered)}")


def _reverse(rng: Random) -> Item:
    words = rng.sample(lines("words"), 3)
    prompt = rng.choice(wordings("reverse")).format(words=" ".join(words))
    return Item("reverse", prompt, " ".join(words[::-1]), f"reverse {' '.join(words)}")
