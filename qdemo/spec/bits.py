"""Bits a weight, worked out from what a format holds: codes, scales, zero points, and what a
transform keeps. A built model's own are measured (`qdemo.compress.footprint`); these need none."""

from __future__ import annotations

import math
from collections.abc import Iterator

from qdemo.spec.formats import FORMATS
from qdemo.spec.scheme import SUPER_BLOCK, Scheme
from qdemo.spec.step import Step
from qdemo.spec.variant import Variant

ROWS = COLUMNS = 512
"""The matrix that bits are told for where none is given: a layer of FLAN-T5-small. The shorter its
rows, the more a scale for each row costs."""

_HELD = {"fp32": 32, "fp16": 16, "e8m0": 8, "e4m3": 8, "dq": 8, "k4": 4, "k6": 6, "k8": 8}
"""Bits of a scale."""

_HALF, _SINGLE, _SEED = 16, 32, 64


def bits_a_weight(variant: Variant, rows: int = ROWS, columns: int = COLUMNS) -> float:
    """Bits a weight of a matrix (rows, columns) that is stored as `variant` stores its layers. A
    last super-block, or block of scales, that is not full counts as full.

    >>> [bits_a_weight(Variant.parse(t)) for t in ("bf16", "int8", "int4-g64", "q4_k", "mxfp4")]
    [16, 8.0625, 4.5, 4.5, 4.25]
    """
    scheme = variant.scheme
    if scheme is None:
        return FORMATS[variant.compute].bits
    scheme = scheme.for_rows(columns)
    held = sum(_beside(scheme, rows, columns)) + sum(_of_transform(variant.default, columns))
    return scheme.bits + held / (rows * columns)


def _beside(scheme: Scheme, rows: int, columns: int) -> Iterator[int]:
    """Bits of scales and zero points, kind by kind."""
    blocks = _blocks(scheme, rows, columns)
    each = _HELD[scheme.scale]
    yield blocks * each
    if scheme.scale == "dq":  # a largest for each 256 of them, and the mean of all
        yield -(-blocks // 256) * _SINGLE + _SINGLE
    elif scheme.scale == "e4m3":
        yield _SINGLE
    elif scheme.scale.startswith("k"):  # an fp16 for the scales of a super-block, and its minima
        halves = 1 if scheme.symmetric else 2
        yield rows * columns // SUPER_BLOCK * halves * _HALF
    if not scheme.symmetric:
        yield blocks * _of_zero_point(scheme)


def _of_zero_point(scheme: Scheme) -> int:
    """Bits of a zero point: an integer is a byte; a minimum is held as the scale is."""
    if scheme.zero_point == "int":
        return 8
    return _SINGLE if scheme.scale == "dq" else _HELD[scheme.scale]


def _blocks(scheme: Scheme, rows: int, columns: int) -> int:
    """How many scales there are."""
    if scheme.axis is None:
        return 1
    kept, shared = (rows, columns) if scheme.axis == 0 else (columns, rows)
    return kept * math.ceil(shared / min(scheme.group_size or shared, shared))


def _of_transform(step: Step, columns: int) -> Iterator[int]:
    """Bits of a scale for each column, or of the seed of a rotation."""
    if step.recipe.transform:
        yield _SEED if step.recipe.transform == "rot" else columns * _SINGLE
