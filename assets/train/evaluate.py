"""Exact match on held-out items by task and number format: `python -m assets.train.evaluate`.

With `--write` the counts go to `accuracy.json` beside the model, out of which its card, the README
and the dashboard quote.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any, Protocol

from torch import nn

import qdemo
from qdemo.compress.building import needed
from qdemo.engine.calibrating import statistics_of
from qdemo.models.availability import get_entry
from qdemo.models.loading import load
from qdemo.spec.model_card import accuracy_file
from qdemo.spec.proportion import wilson
from qdemo.views.numbers import bounds

# Where each model's subject lives; imported when asked for, so that one doesn't need the other.
SUBJECTS = {"t5-tiny": "assets.train.text.subject", "blip-tiny": "assets.train.scenes.subject"}
BATCH = 64

ALSO = ("int8+emb", "fp8_e4m3", "int3-g64", "int2-g64", "nf4-g64", "mxfp4", "int3-mse", "int2-mse",
        "int2-g64-affine-mse-gptq")  # fmt: skip
"""What is counted beside the table's formats, as people may tick it or are told of it."""


class Subject(Protocol):
    """A model with held-out items: what `evaluate` has to know of it.

    A subject's module offers it as `subject()`. Items are the subject's own affair.
    """

    @property
    def name(self) -> str:
        """The model's name."""

    def load(self) -> nn.Module:
        """Load the shipped model in fp32."""

    def items(self) -> Mapping[str, Sequence[Any]]:
        """Return the held-out items by task."""

    def answer(self, model: nn.Module, items: Sequence[Any]) -> list[str]:
        """Answer `items`, as one batch, with `model` in whatever format."""

    def is_right(self, item: Any, answer: str) -> bool:
        """Say whether `answer` is exactly right."""


@dataclass(frozen=True)
class Score:
    """How many items of how many were answered exactly."""

    right: int
    total: int

    def __add__(self, other: Score) -> Score:
        """Pool two scores."""
        return Score(self.right + other.right, self.total + other.total)

    def __str__(self) -> str:
        """Write the share in per cent."""
        return f"{100 * self.right / self.total:.1f}"

    @property
    def interval(self) -> str:
        """Wilson's 95% interval, in per cent."""
        low, high = bounds(*wilson(self.right, self.total), decimals=1)
        return f"{low} to {high}"


def subject_named(name: str) -> Subject:
    """Find a subject by the name of its model."""
    if name not in SUBJECTS:
        raise ValueError(f"no model is called {name!r}; there are {', '.join(SUBJECTS)}")
    found: Subject = import_module(SUBJECTS[name]).subject()
    return found


def default_formats(model: nn.Module) -> tuple[str, ...]:
    """Return the formats of the table; the groups are of 64 where the rows allow it, or 32."""
    rows = [m.in_features for m in model.modules() if isinstance(m, nn.Linear)]
    group = 64 if all(length % 64 == 0 for length in rows) else 32
    return ("fp32", "fp16", "bf16", "int8", f"int4-g{group}", "int4", "int3", "int2")


def variant_of(name: str, model: nn.Module, format: str) -> nn.Module:
    """Build the model of that name in a format; methods see the calibration inputs that are theirs,
    which come out of the training stream."""
    variant = qdemo.Variant.parse(format)
    return variant.build(model, _statistics(name) if needed(variant) else None)


@cache
def _statistics(name: str) -> dict[str, qdemo.Stats]:
    return statistics_of(load(get_entry(name)))


def evaluate(subject: Subject, model: nn.Module, limit: int | None = None) -> dict[str, Score]:
    """Score `model` on the subject's items, task by task; `limit` takes the first of each."""
    return {task: _score(subject, model, items[:limit]) for task, items in subject.items().items()}


def _score(subject: Subject, model: nn.Module, items: Sequence[Any]) -> Score:
    right = 0
    for start in range(0, len(items), BATCH):
        batch = items[start : start + BATCH]
        answers = subject.answer(model, batch)
        right += sum(map(subject.is_right, batch, answers))
    return Score(right, len(items))


def table(scores: Mapping[str, Mapping[str, Score]]) -> Iterator[str]:
    """Write scores by format and task as the lines of a Markdown table, in per cent."""
    formats = list(scores)
    yield f"| task | items | {' | '.join(formats)} |"
    yield "|---|---:|" + "---:|" * len(formats)
    for task, first in scores[formats[0]].items():
        yield _row(task, first.total, [scores[form][task] for form in formats])
    pooled = [sum(scores[form].values(), Score(0, 0)) for form in formats]
    yield _row("**all**", pooled[0].total, pooled)
    yield _row("95% interval", "", [score.interval for score in pooled])


def _row(title: str, total: object, cells: Sequence[object]) -> str:
    return f"| {title} | {total} | {' | '.join(map(str, cells))} |"


def write(name: str, scores: Mapping[str, Mapping[str, Score]]) -> None:
    """Keep how many of how many were right, by format and task, beside the model, with what is kept
    of other formats."""
    known = read(name) if accuracy_file(name).is_file() else {}
    counts = {
        form: {task: [score.right, score.total] for task, score in found.items()}
        for form, found in {**known, **scores}.items()
    }
    lines = ",\n".join(f'  "{form}": {json.dumps(found)}' for form, found in counts.items())
    accuracy_file(name).write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def read(name: str) -> dict[str, dict[str, Score]]:
    """What `write` has kept."""
    counts = json.loads(accuracy_file(name).read_text(encoding="utf-8"))
    return {
        form: {task: Score(*score) for task, score in found.items()}
        for form, found in counts.items()
    }


def main() -> None:
    """Print one table a model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=list(SUBJECTS), help="all when none is given")
    parser.add_argument("--formats", nargs="+", help="instead of the default ones")
    parser.add_argument("--limit", type=int, help="items of each task, instead of all")
    parser.add_argument("--write", action="store_true", help="keep the counts beside the model")
    options = parser.parse_args()
    for subject in map(subject_named, options.models):
        model = subject.load()
        formats = options.formats or default_formats(model)
        every = (*formats, *ALSO) if options.write else formats
        built = ((f, variant_of(subject.name, model, f)) for f in every)  # one alive at a time
        scores = {f: evaluate(subject, variant, options.limit) for f, variant in built}
        if options.write:
            write(subject.name, scores)
        print(
            f"{subject.name}, exact match in per cent",
            "",
            *table({f: scores[f] for f in formats}),
            "",
            sep="\n",
        )


if __name__ == "__main__":
    main()
