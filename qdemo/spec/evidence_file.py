"""An evaluation as JSON, both ways: a format each in `results`, with what its items come to and, in
columns, the outcomes themselves."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

from qdemo.spec.document import parsed, what_is_wrong
from qdemo.spec.evidence import Evidence, Judged, Outcome
from qdemo.spec.judging import PERCENTILES, Spread, Summary, summaries
from qdemo.spec.messages import say
from qdemo.spec.proportion import Counted
from qdemo.spec.variant import Variant

if TYPE_CHECKING:
    from pydantic import TypeAdapter

SCHEMA = 1
"""Raised whenever a field changes its meaning."""


def as_json(evidence: Evidence) -> dict[str, object]:
    """Everything that was measured, and on what, as JSON-ready values."""
    found = {one.format: one for one in summaries(evidence)}
    return {
        "schema": SCHEMA,
        "model": evidence.model,
        "data": asdict(evidence.data),
        "seed": evidence.seed,
        "batch": evidence.batch,
        "max_tokens": evidence.max_tokens,
        "machine": asdict(evidence.machine),
        "computed": evidence.computed,
        "results": [_result(one, found.get(one.format), evidence) for one in evidence.judged],
        "items": [asdict(item) for item in evidence.items],
    }


def as_text(evidence: Evidence) -> str:
    """The same as text."""
    return json.dumps(as_json(evidence), allow_nan=False, ensure_ascii=False)


def _result(judged: Judged, summary: Summary | None, evidence: Evidence) -> dict[str, object]:
    own = {
        "format": judged.format,
        "bytes": judged.bytes,
        "bits_per_weight": _finite(judged.bits_per_weight),
        "output_error": _finite(judged.output_error),
        "seconds": judged.seconds,
        "ended": judged.ended,
    }
    told = {"n": 0} if summary is None else _told(summary)
    return {**own, **told, "outcomes": _columns(judged, evidence.reference)}


def _told(summary: Summary) -> dict[str, object]:
    """What the items of a format come to, each in a field of its own."""
    return {
        "n": summary.n,
        "verdict": summary.verdict,
        "not_finite": summary.not_finite,
        **_share("correct", "accuracy", summary.correct),
        **_of_flips(summary),
        **_share("changed", "changed_share", summary.changed),
        **_of_spread("kl", summary.kl),
        **_of_spread("same_top", summary.same_top),
        **_of_perplexity(summary),
        "by_task": {task: [each.right, each.total] for task, each in summary.by_task},
    }


def _share(count: str, share: str, counted: Counted | None) -> dict[str, object]:
    low, high = counted.interval if counted else (None, None)
    return {
        count: counted and counted.right,
        share: counted and counted.share,
        f"{share}_low": low,
        f"{share}_high": high,
    }


def _of_flips(summary: Summary) -> dict[str, object]:
    flips = summary.flips
    low, high = flips.loss if flips else (None, None)
    return {
        "right_to_wrong": flips and flips.right_to_wrong,
        "wrong_to_right": flips and flips.wrong_to_right,
        "mcnemar_p": flips and flips.p,
        "mcnemar_p_holm": flips and flips.p_holm,
        "loss_low": low,
        "loss_high": high,
        "items_to_tell": flips and flips.to_tell,
    }


def _of_spread(name: str, spread: Spread | None) -> dict[str, object]:
    """Its mean goes by the name alone for a share, and as NAME_mean for what is no share."""
    low, high = (spread and spread.interval) or (None, None)
    ends = {f"{name}_low": low, f"{name}_high": high}
    if name == "same_top":
        return {name: spread and spread.mean, **ends}
    known = dict(spread.percentiles) if spread else {}
    tails = {f"{name}_p{percent:g}": _finite(known.get(percent)) for percent in PERCENTILES}
    own = {f"{name}_{end}": _finite(getattr(spread, key, None)) for key, end in _SPREAD.items()}
    return {**own, **ends, **tails}


_SPREAD = {"mean": "mean", "error": "se", "median": "median", "max": "max"}
"""What fields of a `Spread` are called."""


def _of_perplexity(summary: Summary) -> dict[str, object]:
    found = summary.perplexity
    if found is None:
        return {}
    low, high = found.interval or (None, None)
    return {
        "perplexity": _finite(found.value),
        "perplexity_se": _finite(found.error),
        "perplexity_ratio": _finite(found.ratio),
        "perplexity_ratio_low": _finite(low),
        "perplexity_ratio_high": _finite(high),
        "windows_to_tell": found.to_tell,
    }


def _finite(value: float | None) -> float | None:
    """JSON has no infinity: there is none."""
    return value if value is not None and math.isfinite(value) else None


def _columns(judged: Judged, reference: Judged | None) -> dict[str, object]:
    """The outcomes; of answers only those that are other than fp32's, by the item's place, and of
    the numbers of same tokens those that are not all. Positions and losses that are not of their
    own, or are none, are left out."""
    known = reference.outcomes if reference and reference is not judged else ()
    same = [own.output == ref.output for own, ref in zip(judged.outcomes, known, strict=False)]
    same += [False] * (len(judged.outcomes) - len(same))
    every = list(enumerate(judged.outcomes))
    positions = [out.positions for out in judged.outcomes]
    loss = [_finite(out.loss) for out in judged.outcomes]
    return {
        "outputs": {str(i): out.output for i, out in every if not same[i]},
        "kl": [_finite(out.kl) for out in judged.outcomes],
        "same": {str(i): out.same for i, out in every if out.same != out.positions},
        "positions": [] if positions == _positions(known, len(positions)) else positions,
        "loss": [] if all(out.loss is None for out in judged.outcomes) else loss,
    }


def _positions(known: Sequence[Outcome], count: int) -> list[int]:
    return [out.positions for out in known[:count]]


def from_text(text: str | bytes) -> Evidence:
    """The evaluation that a file holds.

    Raises:
        ValueError: it is none, or one of a later schema.
    """
    try:
        document = parsed(text)
    except ValueError:
        document = None
    if not isinstance(document, dict) or "results" not in document:
        raise ValueError(say("expected an evaluation as JSON; this is none"))
    if document.get("schema") != SCHEMA:
        raise ValueError(
            say(
                "an evaluation of schema {schema}; this version reads {latest}",
                schema=repr(document.get("schema"))[:20],
                latest=SCHEMA,
            )
        )
    try:
        return _checked(_read(document))
    except (KeyError, TypeError, AttributeError, ValueError, IndexError, RecursionError) as error:
        raise ValueError(
            say("the evaluation is not whole: {error}", error=what_is_wrong(error))
        ) from None


def _read(document: Mapping[str, Any]) -> Evidence:
    judged: list[dict[str, Any]] = []
    for result in document["results"]:
        known = judged[0]["outcomes"] if judged else ()
        of_text = document["data"]["kind"] == "text"
        judged.append({**result, "outcomes": [*_rows(result["outcomes"], known, of_text)]})
    return _adapter().validate_json(json.dumps({**document, "judged": judged}), strict=True)


def _rows(
    columns: Mapping[str, Any], reference: Sequence[Mapping[str, Any]], of_text: bool
) -> Iterable[dict[str, Any]]:
    """The outcomes, by field; what is infinite, JSON leaves out."""
    outputs, same, count = columns["outputs"], columns["same"], len(columns["kl"])
    positions = columns["positions"] or [one["positions"] for one in reference[:count]]
    rows = zip(columns["kl"], positions, columns["loss"] or [None] * count, strict=True)
    for i, (kl, found, loss) in enumerate(rows):
        yield {
            "output": outputs[str(i)] if str(i) in outputs else reference[i]["output"],
            "kl": math.inf if kl is None else kl,
            "same": same.get(str(i), found),
            "positions": found,
            "loss": math.inf if of_text and loss is None else loss,
        }


def _checked(evidence: Evidence) -> Evidence:
    """With parts that belong together, as whatever shows them takes for granted.

    Raises:
        ValueError: says which do not.
    """
    names = [one.format for one in evidence.judged]
    if len(set(names)) < len(names) or names[:1] not in ([], [str(Variant())]):
        raise ValueError(say("expected results of fp32 and then of each format once"))
    for one in evidence.judged:
        Variant.parse(one.format)
        counts = [(out.same, out.positions) for out in one.outcomes]
        if len(counts) > len(evidence.items) or not all(0 <= a <= b for a, b in counts):
            raise ValueError(
                say("{format} has outcomes that these items can't have", format=one.format)
            )
    return evidence


@cache
def _adapter() -> TypeAdapter[Evidence]:
    from pydantic import TypeAdapter  # not sooner: the command line may not need it

    return TypeAdapter(Evidence)
