"""A comparison as one JSON document: the only thing that the page, the files and the API show.

A document that was written to a file is shown by the same code as one that was just computed.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from qdemo.document import SCHEMA, WHOLE_MODEL, Document
from qdemo.measure.histogram import BINS, LOG_BINS, LOG_RANGE
from qdemo.measure.logits import LogitDifference
from qdemo.measure.weights import WeightError, pool
from qdemo.results import Comparison, Failed, Result, Stopped


def summary(comparison: Comparison) -> list[dict[str, Any]]:
    """One row a variant, of plain numbers in the units that the keys name; None where none.

    Bytes are of storage really held; times are of this machine, after a warm-up; logits are
    teacher-forced on the reference's output; weights are pooled over the whole model.
    """
    return [row(result, comparison.results[0]) for result in comparison.results]


def as_json(comparison: Comparison) -> Document:
    """Everything that was measured, and on what, as JSON-ready values."""
    rows = summary(comparison)
    return {
        "schema": SCHEMA,
        "model": comparison.model,
        "input": comparison.shown,
        "read": [asdict(token) for token in comparison.read],
        "kept_wide": list(comparison.kept_wide),
        "max_tokens": comparison.max_tokens,
        "decoding": "greedy",
        "seed": None,  # nothing is drawn at random
        "formats": [str(variant) for variant in comparison.variants],
        "results": [
            plain | _detail(result, comparison.shapes)
            for plain, result in zip(rows, comparison.results, strict=True)
        ],
        "failures": [reason_row(failure) for failure in comparison.failures],
        "stopped": [reason_row(stopped) for stopped in comparison.stopped],
        "kept": [str(variant) for variant in comparison.kept],
        "machine": _machine(),
        "computed": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def row(result: Result, reference: Result) -> dict[str, Any]:
    """What `summary` says of one variant, and what its bytes are spent on."""
    size = result.footprint.total
    return {
        "format": str(result.variant),
        "output": result.text,
        "bytes": size,
        "times_smaller": reference.footprint.total / size,
        "first_token_ms": 1000 * result.first_token_s,
        "token_ms": result.token_ms,
        **_logits(result.logits),
        "first_divergent_token": result.divergence,
        **_weights(pool(result.weights.values()) if result.weights else None),
        "footprint": asdict(result.footprint) | {"split_ties": _ties(result)},
        "span": result.span and asdict(result.span),
        "bytes_with_embeddings": result.bytes_with_embeddings,
        "computed": result.computed,
    }


def _ties(result: Result) -> list[dict[str, Any]]:
    return [asdict(tie) for tie in result.footprint.split_ties]


def reason_row(ended: Failed | Stopped) -> dict[str, str]:
    """A variant that could not run, or was stopped, and why."""
    return {"format": str(ended.variant), "reason": ended.reason}


def _logits(difference: LogitDifference | None) -> dict[str, float | None]:
    """The plain figures; what holds one value a position is a detail."""
    names = [f.name for f in fields(LogitDifference) if f.type in ("float", "int")]
    return {
        f"logit_{name}": None if difference is None else _finite(getattr(difference, name))
        for name in names
    }


def _weights(error: WeightError | None) -> dict[str, float | None]:
    names = ("rms", "max_abs", "sqnr_db", "relative", "rms_steps")
    counts = ("zeroed", "overflowed", "saturated")
    return {
        f"weight_{name}": None if error is None else _finite(getattr(error, name))
        for name in (*names, *counts)
    }


def _finite(value: float | None) -> float | None:
    """JSON has no infinities and no NaN: an SQNR without error, an unbounded error, is null."""
    return value if value is None or abs(value) < float("inf") else None


def _finite_list(values: Tensor) -> list[float | None]:
    return [_finite(value) for value in values.tolist()]


def _detail(result: Result, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
    positions = result.logits
    return {
        "tokens": list(result.tokens),
        "pieces": list(result.pieces),
        "top": [[[piece, _finite(share)] for piece, share in top] for top in result.top],
        "kl_by_position": positions and _finite_list(positions.kl),
        "max_abs_by_position": positions and _finite_list(positions.max_abs_by_position),
        "weights": result.weights and _by_parameter(result.weights, shapes),
    }


def _by_parameter(
    errors: Mapping[str, WeightError], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, Any]:
    named = {WHOLE_MODEL: pool(errors.values()), **errors}
    return {name: _parameter(error, shapes.get(name)) for name, error in named.items()}


def _parameter(error: WeightError, shape: tuple[int, ...] | None) -> dict[str, Any]:
    low, high = LOG_RANGE
    width = 2.0**error.histogram.power * 2 / BINS
    return {
        "shape": shape and list(shape),
        "numel": error.numel,
        "exact": error.exact,
        **{name.removeprefix("weight_"): value for name, value in _weights(error).items()},
        "log_histogram": _stretch(error.log_histogram, low, (high - low) / LOG_BINS),
        "histogram": _stretch(error.histogram.counts, -width * BINS / 2, width),
    }


def _stretch(counts: Tensor, start: float, width: float) -> dict[str, Any]:
    """The stretch of equal bins that holds anything; `start` is where its first bin begins."""
    filled = counts.nonzero()
    first, last = (int(filled[0]), int(filled[-1])) if len(filled) else (0, -1)
    return {
        "start": start + first * width,
        "bin_width": width,
        "counts": counts[first : last + 1].tolist(),
    }


def _machine() -> dict[str, Any]:
    libraries = ("torch", "transformers")
    return {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **{name: version(name) for name in libraries},
    }


def _processor() -> str:
    """The processor's name where the system tells it: Linux does so in a file only."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0].strip() if names else platform.processor() or platform.machine()
