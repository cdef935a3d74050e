"""The evaluation that the Evidence page opens with: every format and method that makes sense for
`t5-tiny`, on all of its held-out items."""

from __future__ import annotations

import gzip
import math
from dataclasses import replace

from assets.train.methods import FORMATS as METHODS
from qdemo.engine.asking import parse_model
from qdemo.engine.datasets import held_out
from qdemo.engine.evaluating import judged
from qdemo.engine.evaluation import Progress, ask
from qdemo.engine.turns import begun
from qdemo.spec.evidence import Evidence, Judged, Outcome
from qdemo.spec.evidence_file import as_text

MODEL = "t5-tiny"
FORMATS = ("fp16", "bf16", *METHODS)
_AT_ONCE = 12  # formats, the most that can be asked for


def compute(formats: tuple[str, ...] = FORMATS, limit: int | None = None) -> Evidence:
    """What comes out now."""
    first, *others = (
        _evaluated(formats[at : at + _AT_ONCE], limit) for at in range(0, len(formats), _AT_ONCE)
    )
    for one in others:
        for found in one.judged[1:]:
            first = first.with_judged(found)
    return first


def _evaluated(formats: tuple[str, ...], limit: int | None) -> Evidence:
    asked = ask(MODEL, formats, held_out(parse_model(MODEL)), limit)
    with begun() as run:
        *_, last = judged(asked, run)
    assert isinstance(last, Progress)
    return last.evidence


def shortened(evidence: Evidence) -> Evidence:
    """As exact as anything shows it: of each KL four digits."""
    return replace(evidence, judged=tuple(map(_short, evidence.judged)))


def _short(found: Judged) -> Judged:
    return replace(found, outcomes=tuple(map(_rounded, found.outcomes)))


def _rounded(outcome: Outcome) -> Outcome:
    is_number = math.isfinite(outcome.kl)
    return replace(outcome, kl=float(f"{outcome.kl:.3e}")) if is_number else outcome


def written(evidence: Evidence) -> bytes:
    """The file: the JSON that the page gives, packed, and the same for the same outcomes."""
    return gzip.compress(as_text(shortened(evidence)).encode(), compresslevel=9, mtime=0)
