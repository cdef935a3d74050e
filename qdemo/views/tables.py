"""The document as tables of text, for the page, the report and the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qdemo.document import Document, variants
from qdemo.views.wording import NONE, interval, megabytes, significant, times


@dataclass(frozen=True)
class Table:
    """A table with what it is about, its column names (units in them) and its rows."""

    caption: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


Row = Mapping[str, Any]
Columns = Mapping[str, Callable[[Row], str]]


def _table(caption: str, columns: Columns, rows: Sequence[Row]) -> Table:
    cells = tuple(tuple(show(row) for show in columns.values()) for row in rows)
    return Table(caption, tuple(columns), cells)


def _figure(key: str, digits: int = 3) -> Callable[[Row], str]:
    return lambda row: significant(row[key], digits)


def _count(key: str) -> Callable[[Row], str]:
    return lambda row: f"{row[key]:,}"


def position(row: Row) -> str:
    """Where the outputs diverge."""
    first = row["first_divergent_token"]
    return NONE if first is None else str(first)


def same_top(row: Row) -> str:
    """The share of positions with the same most likely token, and its interval."""
    return interval(*(row[f"logit_same_top{end}"] for end in ("", "_low", "_high")))


SUMMARY: Columns = {
    "format": lambda row: str(row["format"]),
    "memory": lambda row: megabytes(row["bytes"]),
    "smaller": lambda row: times(row["times_smaller"]),
    "first token, ms": _figure("first_token_ms"),
    "a token, ms": _figure("token_ms"),
    "mean |Δlogit|": _figure("logit_mean_abs"),
    "max |Δlogit|": _figure("logit_max_abs"),
    "KL, nats": _figure("logit_kl_mean"),
    "same top token": same_top,
    "diverges at token": position,
    "SQNR, dB": _figure("weight_sqnr_db"),
}

_LOGITS: Columns = {
    "format": lambda row: str(row["format"]),
    "mean |Δ|": _figure("logit_mean_abs"),
    "max |Δ|": _figure("logit_max_abs"),
    "mean, centred": _figure("logit_mean_abs_centred"),
    "max, centred": _figure("logit_max_abs_centred"),
    "KL mean, nats": _figure("logit_kl_mean"),
    "90%": _figure("logit_kl_p90"),
    "max": _figure("logit_kl_max"),
    "same top token": same_top,
    "diverges at token": position,
}

_WEIGHTS: Columns = {
    "format": lambda row: str(row["format"]),
    "SQNR, dB": lambda row: "exact" if row["rms"] == 0 else significant(row["sqnr_db"]),
    "RMS error": _figure("rms"),
    "max error": _figure("max_abs"),
    "relative": lambda row: significant(row["relative"]),
    "RMS, steps": _figure("rms_steps"),
    "became 0": _count("zeroed"),
    "clipped": _count("saturated"),
    "overflowed": _count("overflowed"),
}


def summary(document: Document) -> Table:
    """Every format with the figures of its card."""
    return _table(f"{document['model']}: {document['input']}", SUMMARY, document["results"])


def memory(document: Document) -> Table:
    """Bytes held by kind, in MB."""
    kinds = [kind for kind in _kinds(document) if any(_bytes(document, kind))]
    columns: Columns = {
        "format": lambda row: str(row["format"]),
        **{kind: _kind(kind) for kind in kinds},
        "together": lambda row: megabytes(row["bytes"]),
        "smaller": lambda row: times(row["times_smaller"]),
    }
    return _table("Memory held, 1 MB = 1,000,000 bytes", columns, document["results"])


def logits(document: Document) -> Table:
    """What separates the logits of each format from fp32's, both fed fp32's output."""
    caption = (
        "Logits beside fp32's, both fed the answer of fp32; 95% intervals (Wilson), as if its "
        "tokens were independent"
    )
    return _table(caption, _LOGITS, variants(document))


def weights(document: Document, parameter: str) -> Table:
    """The weight errors of one parameter, or of the whole model, in each format."""
    rows = [
        {"format": result["format"], **result["weights"][parameter]}
        for result in variants(document)
        if parameter in result["weights"]
    ]
    return _table(f"Weight errors of {parameter}", _WEIGHTS, rows)


def _kinds(document: Document) -> list[str]:
    return list(document["results"][0]["footprint"]["by_kind"]) if document["results"] else []


def _bytes(document: Document, kind: str) -> list[int]:
    return [result["footprint"]["by_kind"][kind] for result in document["results"]]


def _kind(kind: str) -> Callable[[Row], str]:
    return lambda row: megabytes(row["footprint"]["by_kind"][kind] or None)
