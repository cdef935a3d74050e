"""A report in two or three kilobytes, for who reads it word by word."""

from __future__ import annotations

import json
from itertools import product

from qdemo.spec.document import Json
from qdemo.spec.report import Report, Trial
from qdemo.views.outcomes import ended_told
from qdemo.views.verdict import verdict
from qdemo.views.wording import shortened

MOST = 3000
"""Bytes of it as text."""

_LENGTHS = (120, 60, 30, 15, 8, 4)  # characters of an answer, the first with which it fits
_LINK = 300


def brief(report: Report, link: str | None) -> Json:
    """What each format said, what it holds, and how far it is from fp32; `link` opens all of it,
    unless it is as long as its prompt. Texts are cut so that it has at most `MOST` bytes; where
    twelve long names leave no room, the link goes too."""
    link = link if link and len(link) <= _LINK else None
    for one, longest in product((link, None), _LENGTHS):
        found = _brief(report, one, longest)
        if len(as_text(found).encode()) <= MOST:
            break
    return found


def as_text(found: Json) -> str:
    """JSON without blanks."""
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def _brief(report: Report, link: str | None, longest: int) -> Json:
    return {
        "model": report.model,
        "input": shortened(report.input, longest),
        **report.decoding.asked,
        "verdict": shortened(" ".join(verdict(report)), 4 * longest),
        "formats": [_format(report, trial, longest) for trial in report.results],
        "failed": {one.format: shortened(one.reason, longest) for one in report.failures},
        "stopped": [one.format for one in report.stopped],
        "link": link,
    }


def _format(report: Report, trial: Trial, longest: int) -> Json:
    figures = trial.figures
    alone: dict[str, object] = {
        "format": trial.format,
        "bytes": trial.footprint.total,
        "times_smaller": round(report.results[0].footprint.total / trial.footprint.total, 2),
    }
    if report.is_scored:
        alone["perplexity"] = digits(figures.get("perplexity"))
    else:
        alone["output"] = shortened(trial.output, longest)
    if ended := ended_told(trial):
        alone["ended"] = ended
    if trial is report.reference:
        return alone
    beside = alone | {
        "kl_nats": digits(figures.get("logit_kl_mean")),
        "same_top": digits(figures.get("logit_same_top")),
        "same_top_95": [digits(figures.get(f"logit_same_top_{end}")) for end in ("low", "high")],
    }
    if not report.is_scored:
        beside["diverges_at_token"] = figures.get("first_divergent_token")
    return beside


def digits(value: float | None) -> float | None:
    """As many as mean something."""
    return None if value is None else float(f"{value:.3g}")
