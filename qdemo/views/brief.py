"""A document in a kilobyte or two, for who reads it word by word."""

from __future__ import annotations

from typing import Any

from qdemo.document import Document
from qdemo.views.verdict import verdict

_LONGEST = 160  # characters of an answer


def brief(document: Document, link: str | None) -> dict[str, Any]:
    """What each format said, what it holds, and how far it is from fp32; `link` opens all of it."""
    return {
        "model": document["model"],
        "input": _short(document["input"]),
        "verdict": " ".join(verdict(document)),
        "formats": [_format(result) for result in document["results"]],
        "failed": {one["format"]: _short(one["reason"]) for one in document["failures"]},
        "stopped": [one["format"] for one in document["stopped"]],
        "link": link,
    }


def _format(result: dict[str, Any]) -> dict[str, Any]:
    alone = {
        "format": result["format"],
        "bytes": result["bytes"],
        "times_smaller": round(result["times_smaller"], 2),
        "output": _short(result["output"]),
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


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
