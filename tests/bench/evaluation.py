"""Held-out items answered and scored, ours beside the same loop with transformers' batched
`generate`: python -m tests.bench.evaluation [--rounds N] [--limit N] [MODEL ...].

Both begin with tokens and pixels and end with tokens, as an evaluation encodes its items once for
all formats; what that takes is a line of its own. transformers gets its items in batches as
an evaluation has them, and once more sorted by their length.
"""

import argparse
import logging
import warnings
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from qdemo import Variant
from qdemo.engine.datasets import chosen, held_out
from qdemo.engine.outcomes import batch_of
from qdemo.models.availability import get_entry
from qdemo.models.loading import load
from qdemo.models.together import answers, scored_together
from tests.bench import machine
from tests.bench.table import Goal, Line, as_markdown, goals
from tests.bench.timing import TALLY, bandwidth, interleaved, seconds

FORMATS = ("fp32", "bf16", "int8", "int4-g64", "int2-mse", "fp16")
ALL = (*FORMATS, "int4", "int3", "int2", "nf4-g64", "mxfp4", "int8a8")
"""The formats of the table, and the twelve of an evaluation."""

BATCH = batch_of(4_000_000)
THEIRS = f"transformers fp32, batches of {BATCH}"
FASTER, IN_TIME = Goal.parse("≤ 0.70"), Goal.parse("≤ 180000 ms")
LONGEST = {"t5-tiny": 24, "blip-tiny": 20}


@dataclass(frozen=True)
class Items:
    """Held-out items as the model takes them."""

    name: str
    model: Any
    family: Any
    prompts: list

    @property
    def longest(self):
        return LONGEST[self.name]

    def built(self, text):
        return self.model if text == "fp32" else Variant.parse(text).build(self.model)

    def ours(self, model):
        return answers(self.family, model, self.prompts, self.longest)

    def scored(self, model, tokens):
        return scored_together(self.family, model, self.prompts, tokens)

    def batches(self, order):
        """As transformers takes them, in that order."""
        for start in range(0, len(order), BATCH):
            yield joined([self.prompts[i].inputs for i in order[start : start + BATCH]])

    @torch.inference_mode()
    def theirs(self, batches):
        for batch in batches:
            self.model.generate(**batch, max_new_tokens=self.longest, do_sample=False)


def joined(inputs):
    """Inputs (1, ...) as one batch; tokens and masks are padded on the right with zeros."""
    longest = max(x.shape[1] for each in inputs for x in each.values())
    return {
        name: torch.cat([torch.nn.functional.pad(each[name], (0, longest - each[name].shape[1]))
                         if each[name].ndim == 2 else each[name] for each in inputs])
        for name in inputs[0]
    }  # fmt: skip


def lines(name, rounds, limit):
    """Each line of one model."""
    loaded, data = load(get_entry(name)), chosen(held_out(get_entry(name)), limit, 0)
    given, prompts = [], []
    drawing = seconds(lambda: given.extend(map(data.given, data.items)))
    encoding = seconds(lambda: prompts.extend(map(loaded.family.encode, given)))
    if data.looks:
        yield Line(f"{len(given)} scenes drawn", "qdemo", drawing)
    yield Line(f"{len(given)} inputs encoded, {name}", "qdemo", encoding)
    every = Items(name, loaded.model, loaded.family, prompts)
    yield from answering(every, rounds)
    yield from scoring(every, rounds)
    yield whole(every)


def answering(items, rounds):
    order = list(range(len(items.prompts)))
    by_length = sorted(order, key=lambda i: items.family.length(items.prompts[i]))
    ways = {THEIRS: partial(items.theirs, list(items.batches(order)))}
    if by_length != order:
        ways[f"{THEIRS}, by length"] = partial(items.theirs, list(items.batches(by_length)))
    ways |= {f"qdemo {text}": partial(items.ours, items.built(text)) for text in FORMATS}
    task = f"{len(order)} answers, {items.name}"
    yield from told(task, interleaved(ways, rounds), ways, {"qdemo fp32": FASTER})


def scoring(items, rounds):
    """Logits of the answers of fp32, forced on every format."""
    tokens = items.ours(items.model)
    ways = {
        f"qdemo {text}": partial(items.scored, items.built(text), tokens) for text in FORMATS
    }  # fmt: skip
    yield from told(f"{len(tokens)} scored, {items.name}", interleaved(ways, rounds), ways, {})


def told(task, found, ways, aims):
    first = next(iter(ways))
    for how in ways:
        spread = None if how == first else found.ratio(how, first)
        ratio = 1.0 if spread is None else spread.median
        yield Line(task, how, found.median(how), ratio, goal=aims.get(how), spread=spread)


def whole(items):
    """Twelve formats built, and all items answered and scored in each, once."""
    tokens = items.ours(items.model)

    def all_of_them():
        for text in ALL:
            model = items.built(text)
            items.ours(model)
            items.scored(model, tokens)

    task = f"{len(tokens)} answered and scored in {len(ALL)} formats, {items.name}"
    return Line(task, "qdemo", seconds(all_of_them), goal=IN_TIME)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", default=list(LONGEST))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=int, help="so many items, instead of all")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    here = machine.this(bandwidth())
    found = [line for name in options.models for line in lines(name, options.rounds, options.limit)]
    print(f"{here.heading}: {here.told()}\n\n{TALLY}. {goals(found)}\n\n{as_markdown(found)}")


if __name__ == "__main__":
    main()
