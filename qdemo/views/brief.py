"""A document in a kilobyte or two, for who reads it word by word."""

from __future__ import annotations

import json
from itertools import product
from typing import Any

from qdemo.document import Document
from qdemo.views.verdict import verdict
from qdemo.views.wording import shortened

MOST = 2000
"""Bytes of it as text."""

_LENGTHS = (120, 60, 30, 15, 8, 4)  # characters of an answer, the first with which it fits
_LINK = 300


def brief(document: Document, link: str | None) -> dict[str, Any]:
    """What each format said, what it holds, and how far it is from fp32; `link` opens all of it,
    unless it is as long as its prompt. Texts are cut so that it has at most `MOST` bytes; where
    eight long names leave no room, the link goes too."""
    link = link if link and len(link) <= _LINK else None
    for one, longest in product((link, None), _LENGTHS):
        found = _brief(document, one, longest)
        if len(as_text(found).encode()) <= MOST:
            break
    return found


def as_text(found: dict[str, Any]) -> str:
    """JSON without blanks."""
    return json.dumps(found, ensure_ascii=False, separators=(",", ":"))


def _brief(document: Document, link: str | None, longest: int) -> dict[str, Any]:
    return {
        "model": document["model"],
        "input": shortened(document["input"], longest),
        "verdict": shortened(" ".join(verdict(document)), 4 * longest),
        "formats": [_format(result, longest) for result in document["results"]],
        "failed": {
            one["format"]: shortened(one["reason"], longest) for one in document["failures"]
        },
        "stopped": [one["format"] for one in document["stopped"]],
        "link": link,
    }


def _format(result: dict[str, Any], longest: int) -> dict[str, Any]:
    alone = {
        "format": result["format"],
        "bytes": result["bytes"],
        "times_smaller": round(result["times_smaller"], 2),
        "output": shortened(result["output"], longest),
    }
    if result["logit_kl_mean"] is None and result["logit_same_top"] is None:  # fp32 itself
        return alone
    return alone | {
        "kl_nats": _digits(result["logit_kl_mean"]),
        "same_top": _digits(result["logit_same_top"]),
        "same_top_95": [_digits(result[f"logit_same_top_{end}"]) for end in ("low", "high")],
        "diverges_at_token": result["first_divergent_token"],
    }


def _digits(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.3g}")
