"""Methods side by side on t5-tiny's held-out items: `python -m assets.train.methods`.

Of each format: bits a weight, SQNR, the layers' output error on calibration inputs that no method
was fitted to, and, over all held-out items, KL from fp32 on fp32's answers and exact match. With
`--write` the counts are added to `accuracy.json` beside the model.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import qdemo
from assets.train.evaluate import evaluate, interval, percent, scores_of, write
from qdemo.compress.building import at_once
from qdemo.engine.engine import ENGINE
from qdemo.models.availability import get_entry
from qdemo.spec.evidence import Evidence
from qdemo.spec.judging import Summary, summaries
from qdemo.spec.variant import Variant
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

HEAD = (
    "| format | bits a weight | SQNR, dB | output error | KL, nats | exact match | 95% interval |",
    "|---|---:|---:|---:|---:|---:|---:|",
)


def rows(evidence: Evidence) -> Iterator[str]:
    """Each format but fp32, as lines of a Markdown table."""
    for summary in summaries(evidence):
        if summary.kl and summary.correct:
            found = summary.bits_per_weight, sqnr(summary), summary.output_error, summary.kl.mean
            cells = ("–" if x is None else significant(x) for x in found)
            counted = percent(summary.correct), interval(summary.correct)
            yield f"| {' | '.join((summary.format, *cells, *counted))} |"


def sqnr(summary: Summary) -> float:
    """That of all weights together, in dB."""
    loaded = ENGINE.loaded(get_entry(NAME))
    model = at_once(ENGINE.made(loaded, Variant.parse(summary.format)))
    return qdemo.pool(dict(qdemo.model_weight_errors(loaded.model, model)).values()).sqnr_db


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--formats", nargs="+", default=FORMATS, help="instead of all")
    parser.add_argument("--limit", type=int, help="items of each task, instead of all")
    parser.add_argument("--write", action="store_true", help="add the counts to those kept")
    options = parser.parse_args()
    evidence = evaluate(NAME, options.formats, options.limit)
    print(*HEAD, *rows(evidence), sep="\n")
    if options.write:
        write(NAME, scores_of(evidence))


if __name__ == "__main__":
    main()
