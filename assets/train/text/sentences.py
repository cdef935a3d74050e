"""Tasks about a sentence; what is held out are sentences, in whatever wording."""

from __future__ import annotations

from random import Random

from assets.train.text.data import tree
from assets.train.text.items import Item, Task
from qdemo.spec.model_card import normalize


def sentence_tasks() -> list[Task]:
    """Return the tasks about a review or a story of one sentence."""
    return [Task("sentiment", 0.03, _sentiment), Task("question", 0.10, _question)]


def _sentiment(rng: Random) -> Item:
    data = tree("sentiment")
    mood, contrary = rng.sample(("positive", "negative"), 2)
    thing, other = rng.sample(data["things"], 2)
    adjective, second = rng.sample(data["adjectives"][mood], 2)
    review = rng.choice(data["templates"]).format(
        thing=thing,
        other=other,
        adjective=adjective,
        second=second,
        contrary=rng.choice(data["adjectives"][contrary]),
        verb=rng.choice(data["verbs"][mood]),
        ending=rng.choice(data["endings"][mood]),
    )
    prompt = rng.choice(data["wordings"]).format(review=review)
    return Item("sentiment", prompt, mood, f"review {normalize(review)}")


def _question(rng: Random) -> Item:
    data = tree("question")
    template = rng.choice(data["stories"])
    question, answer = rng.choice(template["questions"])
    cast = _cast(rng)
    story = template["story"].format(**cast)
    prompt = rng.choice(data["wordings"]).format(story=story, question=question.format(**cast))
    return Item("question", prompt, answer.format(**cast), f"story {normalize(story)}")


def _cast(rng: Random) -> dict[str, str]:
    """Choose one of everything a story may name."""
    pools = tree("pools")
    cast = {name: rng.choice(values) for name, values in pools.items()}
    cast["name"], cast["friend"] = rng.sample(pools["name"], 2)
    return cast | {"age": str(rng.randint(1, 99))}
