"""The held-out set: `python -m assets.train.text.heldout` writes it beside the model.

A line has what `qdemo.engine.datasets` reads, and the key, by which the set is told from training.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

from assets.train.text.items import Item, Task, draw_from
from assets.train.text.stream import all_tasks, typed

PATH = Path(__file__).parents[2] / "models" / "t5-tiny" / "heldout.jsonl"
EACH, TRANSLATIONS = 55, 165  # items of a task; translation is three tasks in one
NOISY_SHARE = 0.25


def make_held_out(seed: str = "held out") -> list[Item]:
    """Draw the set: of each task distinct keys, a quarter of them as a hasty person types."""
    rng = Random(seed)
    return [item for task in all_tasks() for item in _of(task, rng)]


def _of(task: Task, rng: Random) -> Iterator[Item]:
    seen: dict[str, Item] = {}
    count = TRANSLATIONS if task.name == "translate" else EACH
    while len(seen) < count:
        item = draw_from(task, rng, held_out=True)
        seen.setdefault(item.key, item)
    for item in seen.values():
        yield _noisy(item, rng) if rng.random() < NOISY_SHARE else item


def _noisy(item: Item, rng: Random) -> Item:
    prompt = item.prompt
    while prompt == item.prompt:
        prompt = typed(item.prompt, rng)
    return replace(item, prompt=prompt)


def read_held_out() -> list[Item]:
    """Read the set that ships."""
    return [from_json(line) for line in PATH.read_text(encoding="utf-8").splitlines()]


def to_json(item: Item) -> str:
    """An item as one line."""
    fields = {"task": item.task, "input": item.prompt, "expected": item.answer, "key": item.key}
    return json.dumps(fields, ensure_ascii=False)


def from_json(line: str) -> Item:
    """The item that `to_json` wrote."""
    fields = json.loads(line)
    return Item(fields["task"], fields["input"], fields["expected"], fields["key"])


if __name__ == "__main__":
    rows = [to_json(item) for item in make_held_out()]
    PATH.write_text("".join(row + "\n" for row in rows), encoding="utf-8")
    print(f"{len(rows)} items written to {PATH}")
