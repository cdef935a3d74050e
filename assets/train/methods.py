"""Methods side by side on t5-tiny's held-out items: `python -m assets.train.methods`.

Of each format: bits a weight, SQNR, the layers' output error on calibration inputs that no method
was fitted to, KL over the answers to held-out items, and exact match on all of them. With `--write`
the counts are added to `accuracy.json` beside the model.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

import qdemo
from assets.train.evaluate import Score, evaluate, subject_named, variant_of, write
from qdemo.compress.footprint import bits_per_weight
from qdemo.engine import calibrating
from qdemo.measure.layers import output_errors, relative
from qdemo.models.availability import get_entry
from qdemo.models.decoding import generate, score
from qdemo.models.families import Prompt
from qdemo.models.loading import Loaded, load
from qdemo.views.numbers import significant

FORMATS = (
    "int8", "q8_0", "mxfp8", "int8a8", "llm.int8",
    "int4", "int4-g64", "int4-g64-affine", "int4-g64-hqq", "int4-g64-awq", "int4-g64-gptq",
    "nf4-g64", "nf4-g64-dq", "nf4-g64-gptq", "fp4bnb-g64", "mxfp4", "nvfp4", "q4_0", "q4_k",
    "int3", "int3-mse", "int3-g64-affine-gptq",
    "int2", "int2-mse", "int2-gptq", "int2-g64-affine", "int2-g64-hqq",
    "int2-g64-affine-mse-gptq", "int2-g64-affine-mse-rot-gptq",
)  # fmt: skip
"""From many bits to few, and from plain rounding to what is found with more work."""

NAME = "t5-tiny"

ANSWERS = 64
"""Held-out items over whose answers KL is taken, spread evenly over all tasks."""

ROWS = 256
"""Rows of calibration inputs a layer, at most, that output errors are measured on."""


@dataclass(frozen=True)
class Row:
    """What was measured of a format: `error` is the pooled output error of layers, `kl` the mean
    in nats, `scores` are by task."""

    format: str
    bits: float | None
    sqnr: float
    error: float | None
    kl: float
    scores: Mapping[str, Score]

    def __str__(self) -> str:
        """A line of a Markdown table."""
        found = (self.bits, self.sqnr, self.error, self.kl)
        cells = " | ".join("–" if x is None else significant(x) for x in found)
        pooled = sum(self.scores.values(), Score(0, 0))
        return f"| {self.format} | {cells} | {pooled} | {pooled.interval} |"


HEAD = (
    "| format | bits a weight | SQNR, dB | output error | KL, nats | exact match | 95% interval |",
    "|---|---:|---:|---:|---:|---:|---:|",
)


class Beside:
    """The model in fp32, with all that other formats are measured beside."""

    def __init__(self) -> None:
        """Load it, and have it answer."""
        self.subject = subject_named(NAME)
        self.loaded: Loaded = load(get_entry(NAME))
        every = calibrating.pairs(self.loaded)
        self.inputs = calibrating.collect(self.loaded, every, ROWS, calibrating.quarter(len(every)))
        items = [item for task in self.subject.items().values() for item in task]
        self.prompts = [
            self.loaded.family.encode(item.prompt) for item in items[:: -(-len(items) // ANSWERS)]
        ]
        self.answers = [self._answer(prompt) for prompt in self.prompts]
        self.logits = [*self._scored(self.loaded.model)]

    def _answer(self, prompt: Prompt) -> list[int]:
        return list(generate(self.loaded.family, self.loaded.model, prompt, 64))

    def _scored(self, model: nn.Module) -> Iterator[Tensor]:
        for prompt, tokens in zip(self.prompts, self.answers, strict=True):
            yield score(self.loaded.family, model, prompt, tokens).float()

    def row(self, format: str) -> Row:
        """All of one format."""
        model = variant_of(self.subject.name, self.loaded.model, format)
        weights = qdemo.pool(dict(qdemo.model_weight_errors(self.loaded.model, model)).values())
        sums = [*output_errors(self.loaded.model, model, self.inputs)]
        error = relative(sum(e for _, e, _ in sums), sum(size for *_, size in sums))
        logits = qdemo.logit_difference(torch.cat(self.logits), torch.cat([*self._scored(model)]))
        return Row(
            format, bits_per_weight(model), weights.sqnr_db, error, logits.kl_mean,
            evaluate(self.subject, model),
        )  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--formats", nargs="+", default=FORMATS, help="instead of all")
    parser.add_argument("--write", action="store_true", help="add the counts to those kept")
    options = parser.parse_args()
    beside, scores = Beside(), {}
    print(*HEAD, sep="\n")
    for format in options.formats:
        row = beside.row(format)
        scores[format] = row.scores
        print(row, flush=True)
    if options.write:
        write(NAME, scores)


if __name__ == "__main__":
    main()
