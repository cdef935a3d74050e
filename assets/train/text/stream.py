"""The endless training stream: tasks in their shares, typed as people type, never held out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from random import Random

from assets.train.text.facts import fact_tasks
from assets.train.text.items import Item, Task, draw_from
from assets.train.text.numbers import number_tasks
from assets.train.text.sentences import sentence_tasks
from assets.train.text.words import word_tasks


@cache
def all_tasks() -> tuple[Task, ...]:
    """Return every task there is."""
    return (*fact_tasks(), *number_tasks(), *word_tasks(), *sentence_tasks())


def training_items(seed: str) -> Iterator[tuple[str, Item]]:
    """Yield prompts as typed, each with its item; the same for the same seed."""
    rng, tasks = Random(seed), all_tasks()
    weights = [task.weight for task in tasks]
    while True:
        (task,) = rng.choices(tasks, weights)
        item = draw_from(task, rng, held_out=False)
        yield typed(item.prompt, rng), item


def typed(prompt: str, rng: Random) -> str:
    """Return `prompt` as a hasty person may type it: about half the time just as it is."""
    case = rng.random()
    if case < 0.08:
        prompt = prompt.upper()
    elif case < 0.23:
        prompt = prompt.lower()
    if rng.random() < 0.3:
        prompt = re.sub(r"(?<=\d) ([+-]) (?=\d)", r"\1", prompt)
    return _with_blanks(_with_another_end(prompt, rng), rng)


def _with_another_end(prompt: str, rng: Random) -> str:
    if prompt[-1] in ".?!:":
        return prompt[:-1] if rng.random() < 0.25 else prompt
    return prompt + "." if rng.random() < 0.05 else prompt


def _with_blanks(prompt: str, rng: Random) -> str:
    if rng.random() < 0.08:
        words = prompt.split(" ")
        place = rng.randrange(len(words))
        prompt = " ".join([*words[:place], "", *words[place:]])
    return prompt + " " * rng.randint(1, 2) if rng.random() < 0.08 else prompt
