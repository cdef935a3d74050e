"""Tasks over a fixed list of facts; what is held out is a wording of a fact, never the fact."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from assets.train.text.data import table, tree, wordings
from assets.train.text.items import Item, Task
from qdemo.spec.model_card import normalize

LANGUAGES = ("German", "French", "Spanish")


@dataclass(frozen=True)
class Fact:
    """One answer and the prompts that ask for it."""

    prompts: tuple[str, ...]
    answer: str


def facts() -> dict[str, list[Fact]]:
    """Return every fact by its task."""
    lists = ("capital", "plural", "past", "opposite", "complete")
    return {
        "translate": list(_translations()),
        **{name: list(_worded(name, flip=name == "opposite")) for name in lists},
        "greet": list(_greetings()),
    }


def fact_tasks() -> list[Task]:
    """Return the tasks whose every prompt can be listed."""
    known = facts()
    weights = {
        "translate": 0.18,
        "capital": 0.04,
        "plural": 0.04,
        "past": 0.04,
        "opposite": 0.05,
        "complete": 0.04,
        "greet": 0.05,
    }
    return [_task(name, weight, known[name]) for name, weight in weights.items()]


def _task(name: str, weight: float, known: list[Fact]) -> Task:
    pairs = [(prompt, fact.answer) for fact in known for prompt in fact.prompts]

    def draw(rng: Random) -> Item:
        prompt, answer = rng.choice(pairs)
        return Item(name, prompt, answer, normalize(prompt))

    return Task(name, weight, draw)


def _translations() -> Iterator[Fact]:
    for row in table("translate"):
        for language in LANGUAGES:
            ask = wordings("translate")
            prompts = tuple(w.format(x=row["English"], language=language) for w in ask)
            yield Fact(prompts, row[language])


def _worded(name: str, *, flip: bool) -> Iterator[Fact]:
    pairs = [(row["x"], row["answer"]) for row in table(name)]
    if flip:
        pairs += [(answer, x) for x, answer in pairs]
    for x, answer in pairs:
        yield Fact(tuple(wording.format(x=x) for wording in wordings(name)), answer)


def _greetings() -> Iterator[Fact]:
    for row in table("greet"):
        prompts, names = row["prompts"].split("|"), tree("pools")["name"]
        if "{name}" not in row["answer"]:
            yield Fact(tuple(prompts), row["answer"])
            continue
        for prompt in prompts:
            for name in names:
                yield Fact((prompt.format(name=name),), row["answer"].format(name=name))
