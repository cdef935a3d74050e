"""A document in a kilobyte or two, for who reads it word by word."""

from __future__ import annotations

from typing import Any

from qdemo.document import Document
from qdemo.views.verdict import verdict

_LONGEST = 120  # characters of one answer
_ANSWERS = 360  # of all of them
_LINK = 300


def brief(document: Document, link: str | None) -> dict[str, Any]:
    """What each format said, what it holds, and how far it is from fp32; `link` opens all of it,
    unless it is as long as its prompt."""
    longest = min(_LONGEST, _ANSWERS // max(1, len(document["results"])))
    return {
        "model": document["model"],
        "input": _short(document["input"]),
        "verdict": " ".join(verdict(document)),
        "formats": [_format(result, longest) for result in document["results"]],
        "failed": {one["format"]: _short(one["reason"]) for one in document["failures"]},
        "stopped": [one["format"] for one in document["stopped"]],
        "link": link if link and len(link) <= _LINK else None,
    }


def _format(result: dict[str, Any], longest: int) -> dict[str, Any]:
    alone = {
        "format": result["format"],
        "bytes": result["bytes"],
        "times_smaller": round(result["times_smaller"], 2),
        "output": _short(result["output"], longest),
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


def _short(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else f"{text[:longest]}…"
