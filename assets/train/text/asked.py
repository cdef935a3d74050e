"""What the model may be asked: `python -m assets.train.text.asked` writes the wordings of all tasks
and the words that go into them, so that the dashboard can tell what lies outside."""

from __future__ import annotations

import json
from collections.abc import Iterator

from assets.train.text.data import lines, table, tree, wordings
from qdemo.spec.model_card import asked_file, normalize

FACTS = ("translate", "capital", "plural", "past", "opposite", "complete")


def forms() -> Iterator[str]:
    """Every wording, with the names of words in braces."""
    for task in FACTS:
        yield from (one.format(x=f"{{{task}}}", language="{language}") for one in wordings(task))
    for row in table("greet"):
        yield from row["prompts"].split("|")
    for task in ("add", "subtract"):
        yield from (one.format(a="{small}", b="{small}") for one in wordings(task))
    for task in ("greater", "to words"):
        yield from (one.format(a="{number}", b="{number}", n="{number}") for one in wordings(task))
    yield from (one.format(n="{spelled}") for one in wordings("to digits"))
    for task in ("sort", "reverse"):
        yield from (one.format(words="{list}") for one in wordings(task))
    reviews, stories = tree("sentiment"), tree("question")
    for one in reviews["wordings"]:
        yield from (one.format(review=review) for review in reviews["templates"])
    for one in stories["wordings"]:
        for told in stories["stories"]:
            for question, _ in told["questions"]:
                yield one.format(story=told["story"], question=question)


def words() -> dict[str, list[str]]:
    """What may stand in each pair of braces; of a list and of a number in words, in one place."""
    facts = {task: [row["English" if task == "translate" else "x"] for row in table(task)]
             for task in FACTS}  # fmt: skip
    facts["opposite"] += [row["answer"] for row in table("opposite")]
    reviews, pools = tree("sentiment"), tree("pools")
    both = {name: [*reviews[f"{name}s"]["positive"], *reviews[f"{name}s"]["negative"]]
            for name in ("adjective", "verb", "ending")}  # fmt: skip
    return {
        **facts,
        **pools,
        **both,
        "language": ["German", "French", "Spanish"],
        "friend": pools["name"],
        "age": [str(age) for age in range(1, 100)],
        "thing": [*pools["thing"], *reviews["things"]],
        "other": reviews["things"],
        "second": both["adjective"],
        "contrary": both["adjective"],
        "list": list(lines("words")),
        "spelled": [*lines("units"), *lines("tens"), "hundred", "and"],
    }


def text() -> str:
    """What the file has: everything as `normalize` leaves it."""
    known = {
        "forms": sorted(set(map(normalize, forms()))),
        "words": {
            name: sorted(set(map(normalize, values))) for name, values in sorted(words().items())
        },
    }
    return json.dumps(known, ensure_ascii=False, indent=0) + "\n"


if __name__ == "__main__":
    asked_file("t5-tiny").write_text(text(), encoding="utf-8")
