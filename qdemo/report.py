"""A comparison as rows for people and as JSON for programs."""

from __future__ import annotations

import platform
from dataclasses import asdict, fields
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor

from qdemo.comparison import Comparison, Result
from qdemo.measure.logits import LogitDifference
from qdemo.measure.weights import WeightError, pool

SCHEMA = 1
"""Raised whenever a field of the JSON changes its meaning."""


def summary(comparison: Comparison) -> list[dict[str, Any]]:
    """One row a variant, of plain numbers in the units that the keys name; None where none.

    Bytes are of storage really held; times are of this machine, after a warm-up; logits are
    teacher-forced on the reference's output; weights are pooled over the whole model.
    """
    reference = comparison.results[0] if comparison.results else None
    return [_row(result, reference) for result in comparison.results]


def as_json(comparison: Comparison) -> dict[str, Any]:
    """Everything that was measured, and on what, as JSON-ready values."""
    rows = summary(comparison)
    return {
        "schema": SCHEMA,
        "model": comparison.model,
        "input": comparison.shown,
        "max_tokens": comparison.max_tokens,
        "decoding": "greedy",
        "results": [
            row | _detail(result) for row, result in zip(rows, comparison.results, strict=True)
        ],
        "failures": [{"format": str(f.variant), "reason": f.reason} for f in comparison.failures],
        "machine": _machine(),
    }


def _row(result: Result, reference: Result | None) -> dict[str, Any]:
    size = result.footprint.total
    row: dict[str, Any] = {
        "format": str(result.variant),
        "output": result.text,
        "bytes": size,
        "times_smaller": reference.footprint.total / size if reference else None,
        "first_token_ms": 1000 * result.first_token_s,
        "token_ms": result.token_ms,
    }
    row |= _logits(result.logits)
    row["first_divergent_token"] = result.divergence
    return row | _weights(result.weights)


def _logits(difference: LogitDifference | None) -> dict[str, float | None]:
    """The plain figures; what holds one value a position is a detail."""
    names = [f.name for f in fields(LogitDifference) if f.type in ("float", "int")]
    return {
        f"logit_{name}": None if difference is None else _finite(getattr(difference, name))
        for name in names
    }


def _weights(errors: dict[str, WeightError] | None) -> dict[str, float | None]:
    pooled = pool(errors.values()) if errors else None
    names = ("rms", "max_abs", "sqnr_db", "relative", "rms_steps")
    counts = ("zeroed", "overflowed", "saturated")
    return {
        f"weight_{name}": None if pooled is None else _finite(getattr(pooled, name))
        for name in (*names, *counts)
    }


def _finite(value: float | None) -> float | None:
    """JSON has no infinities and no NaN: an SQNR without error, an unbounded error, is null."""
    return value if value is None or abs(value) < float("inf") else None


def _finite_list(values: Tensor) -> list[float | None]:
    return [_finite(value) for value in values.tolist()]


def _detail(result: Result) -> dict[str, Any]:
    positions = result.logits
    return {
        "tokens": list(result.tokens),
        "pieces": list(result.pieces),
        "footprint": asdict(result.footprint),
        "top": [[list(pair) for pair in top] for top in result.top],
        "kl_by_position": positions and _finite_list(positions.kl),
        "max_abs_by_position": positions and _finite_list(positions.max_abs_by_position),
        "sqnr_db_by_parameter": result.weights
        and {name: _finite(error.sqnr_db) for name, error in result.weights.items()},
    }


def _machine() -> dict[str, Any]:
    libraries = ("torch", "transformers")
    return {
        "processor": platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        **{name: version(name) for name in libraries},
    }
