"""What a task yields, and the rule that keeps part of it out of training."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

HELD_OUT_ONE_IN = 8


@dataclass(frozen=True)
class Item:
    """A prompt and its one right answer; `key` decides on which side of the split it lies."""

    task: str
    prompt: str
    answer: str
    key: str


@dataclass(frozen=True)
class Task:
    """A kind of question, its share of the training stream, and how to draw one."""

    name: str
    weight: float
    draw: Callable[[Random], Item]


def is_held_out(key: str) -> bool:
    """Say whether an item with this key is kept for evaluation: one key in eight, by its hash."""
    digest = hashlib.sha256(key.encode()).digest()
    return int.from_bytes(digest[:8], "big") % HELD_OUT_ONE_IN == 0


def draw_from(task: Task, rng: Random, *, held_out: bool) -> Item:
    """Draw an item of `task` from the given side of the split."""
    while True:
        item = task.draw(rng)
        if is_held_out(item.key) == held_out:
            return item
