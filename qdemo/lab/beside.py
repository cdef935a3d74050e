"""Downcasting and linear quantization of the same weights, side by side."""

from __future__ import annotations

from functools import cache

from qdemo.lab.matrices import layer
from qdemo.measure.histogram import LOG_BINS, LOG_RANGE
from qdemo.measure.weights import WeightError, weight_error
from qdemo.numerics.casting import cast_tensor
from qdemo.numerics.linear import quantize_tensor
from qdemo.spec.scheme import Scheme

CASTS = ("bf16", "fp16")
SCHEMES = ("fp8_e4m3", "int8", "int4", "int4-g64")
WAYS = (*CASTS, *SCHEMES)


@cache
def errors(name: str) -> dict[str, tuple[WeightError, int]]:
    """The error of each way on one layer of t5-tiny, and the bytes that the weights then take."""
    w = layer(name)
    found = {}
    for way in CASTS:
        low = cast_tensor(w, way)
        found[way] = weight_error(w, low), low.nbytes
    for way in SCHEMES:
        q = quantize_tensor(w, Scheme.parse(way))
        found[way] = weight_error(w, q), q.nbytes
    return found


def histogram(error: WeightError) -> tuple[list[float], list[float]]:
    """log10(|error| / rms(w)): where each bin begins, in decades, and its share of the weights."""
    low, high = LOG_RANGE
    width = (high - low) / LOG_BINS
    shares = (error.log_histogram / error.numel).tolist()
    return [low + width * i for i in range(LOG_BINS)], shares
