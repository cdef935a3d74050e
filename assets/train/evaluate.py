"""Exact match on held-out items by task and number format: `python -m assets.train.evaluate`.

It is the evaluation of `qdemo.engine.evaluating`, with the items of a task counted together. With
`--write` the counts go to `accuracy.json` beside the model, out of which its card, the README and
the dashboard quote.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from torch import nn

from qdemo.engine.datasets import DataSet, chosen, held_out
from qdemo.engine.engine import ENGINE
from qdemo.engine.evaluating import judged
from qdemo.engine.evaluation import Evaluation, Progress
from qdemo.engine.turns import begun
from qdemo.models.availability import get_entry
from qdemo.models.catalogue import EMBEDDED
from qdemo.spec.evidence import Evidence, Item
from qdemo.spec.judging import summaries
from qdemo.spec.model_card import accuracy_file
from qdemo.spec.proportion import Counted
from qdemo.spec.variant import Variant
from qdemo.views.numbers import bounds

ALSO = ("int8+emb", "fp8_e4m3", "int3-g64", "int2-g64", "nf4-g64", "mxfp4", "int3-mse", "int2-mse",
        "int2-g64-affine-mse-gptq")  # fmt: skip
"""What is counted beside the table's formats, as people may tick it or are told of it."""

Scores = Mapping[str, Mapping[str, Counted]]
"""By format and task, in the order of the file of items."""


def evaluate(name: str, formats: Iterable[str], limit: int | None = None) -> Evidence:
    """What the model of that name makes of its held-out items, or of `limit` of each task, in fp32
    and in the formats.

    Raises:
        ValueError: there is no such model, one of the formats can't be made, or the limit is below
            1.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}, expected 1 or more")
    found = chosen(held_out(get_entry(name)), None, 0)
    return evidence_of(name, replace(found, items=_of_each_task(found.items, limit)), formats)


def _of_each_task(items: Sequence[Item], limit: int | None) -> tuple[Item, ...]:
    seen: Counter[str] = Counter()
    kept = []
    for item in items:
        seen[item.task] += 1
        if limit is None or seen[item.task] <= limit:
            kept.append(item)
    return tuple(kept)


def evidence_of(name: str, data: DataSet, formats: Iterable[str]) -> Evidence:
    """The same of all items of a data set. Formats may be more than a person can ask for at a time.

    Raises:
        ValueError: as `evaluate`.
    """
    variants = dict.fromkeys((Variant(), *map(Variant.parse, formats)))
    with begun() as run:
        *_, last = judged(Evaluation(name, tuple(variants), data), run)
    assert isinstance(last, Progress)
    failed = [one.ended for one in last.evidence.judged if one.ended]
    if failed:
        raise ValueError("; ".join(failed))
    return last.evidence


def scores_of(evidence: Evidence) -> Scores:
    """How many items of each task were answered exactly."""
    tasks = dict.fromkeys(item.task for item in held_out(get_entry(evidence.model)).items)
    found = {one.format: dict(one.by_task) for one in summaries(evidence)}
    return {form: {task: by[task] for task in tasks if task in by} for form, by in found.items()}


def pooled(scores: Mapping[str, Counted]) -> Counted:
    """Of all tasks together: items are counted, and no percentages averaged.

    >>> pooled({"add": Counted(1, 1), "sort": Counted(0, 3)})
    Counted(right=1, total=4)
    """
    return Counted(*map(sum, zip(*scores.values(), strict=True)))


def default_formats(model: nn.Module) -> tuple[str, ...]:
    """Return the formats of the table; the groups are of 64 where the rows allow it, or 32."""
    rows = [m.in_features for m in model.modules() if isinstance(m, nn.Linear)]
    group = 64 if all(length % 64 == 0 for length in rows) else 32
    return ("fp32", "fp16", "bf16", "int8", f"int4-g{group}", "int4", "int3", "int2")


def table(scores: Scores) -> Iterator[str]:
    """Write scores by format and task as the lines of a Markdown table, in per cent."""
    formats = list(scores)
    yield f"| task | items | {' | '.join(formats)} |"
    yield "|---|---:|" + "---:|" * len(formats)
    for task, first in scores[formats[0]].items():
        yield _row(task, first.total, [percent(scores[form][task]) for form in formats])
    whole = [pooled(scores[form]) for form in formats]
    yield _row("**all**", whole[0].total, map(percent, whole))
    yield _row("95% interval", "", map(interval, whole))


def percent(count: Counted) -> str:
    """The share that is right."""
    return f"{100 * count.share:.1f}"


def interval(count: Counted) -> str:
    """Wilson's 95% interval, in per cent."""
    return " to ".join(bounds(*count.interval, decimals=1))


def _row(title: str, total: object, cells: Iterable[str]) -> str:
    return f"| {title} | {total} | {' | '.join(cells)} |"


def write(name: str, scores: Scores) -> None:
    """Keep how many of how many were right, by format and task, beside the model, with what is kept
    of other formats."""
    known = read(name) if accuracy_file(name).is_file() else {}
    lines = ",\n".join(f'  "{form}": {json.dumps(by)}' for form, by in {**known, **scores}.items())
    accuracy_file(name).write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


def read(name: str) -> Scores:
    """What `write` has kept."""
    counts = json.loads(accuracy_file(name).read_text(encoding="utf-8"))
    return {
        form: {task: Counted(*count) for task, count in found.items()}
        for form, found in counts.items()
    }


def main() -> None:
    """Print one table a model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", default=list(EMBEDDED), help="all when none is given")
    parser.add_argument("--formats", nargs="+", help="instead of the default ones")
    parser.add_argument("--limit", type=int, help="items of each task, instead of all")
    parser.add_argument("--write", action="store_true", help="keep the counts beside the model")
    options = parser.parse_args()
    for name in options.models:
        formats = options.formats or default_formats(ENGINE.loaded(get_entry(name)).model)
        every = (*formats, *ALSO) if options.write else formats
        scores = scores_of(evaluate(name, every, options.limit))
        if options.write:
            write(name, scores)
        shown = {form: scores[form] for form in map(str, map(Variant.parse, formats))}
        print(f"{name}, exact match in per cent", "", *table(shown), "", sep="\n")


if __name__ == "__main__":
    main()
