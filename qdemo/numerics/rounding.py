"""Which code each value becomes, with the scales that its format rounds with.

Mostly those are the scales as they are held, since codes are decoded with these. bitsandbytes
rounds to a codebook before it rounds the scales, and ggml to its integers of 4, 5 and 8 bits.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from qdemo.numerics import fast
from qdemo.numerics.blocks import tiles
from qdemo.numerics.grids import Grid, IntGrid, grid_of
from qdemo.numerics.nested import BITS
from qdemo.numerics.qparams import QParams, has_minima
from qdemo.spec.scheme import Scheme


def codes_of(blocks: Tensor, scheme: Scheme, asked: QParams, held: QParams) -> Tensor:
    """The codes of blocks (n_blocks, length): some at a time, or by a loop where there is one.

    `asked` are the scales before they were held, and `held` those that codes are decoded with.
    """
    grid = grid_of(scheme.storage)
    by_ggml = _is_ggml(scheme)
    first = by_ggml or (scheme.scale == "dq" and scheme.storage.kind == "codebook")
    qparams = (asked if first else held).columns()
    way = _of_ggml if by_ggml else _of_blocks if scheme.scale in BITS else _codes
    if way is _codes and scheme.scale in ("fp16", "dq"):
        scale = qparams.scale  # 0 where it is too small to be held: there any code stands for 0
        qparams = replace(qparams, scale=torch.where(scale == 0, 1, scale))
    if isinstance(grid, IntGrid) and scheme.zero_point == "int" and way is _codes:
        limits = int(grid.qmin), int(grid.qmax)
        q = fast.integers(blocks, qparams.scale, qparams.zero_point, *limits, grid.dtype)
        if q is not None:
            return q
    q = torch.empty(blocks.shape, dtype=grid.dtype, device=blocks.device)
    for rows, columns in tiles(blocks):
        own, here = qparams.rows(rows), blocks[rows, columns]
        q[rows, columns] = way(here, grid, own)
    return q


def _is_ggml(scheme: Scheme) -> bool:
    """Whether these are the integers of a GGUF file that have fp16 scales."""
    is_even = scheme.storage.kind == "integer"
    return is_even and scheme.scale == "fp16" and (scheme.symmetric or has_minima(scheme))


def _codes(blocks: Tensor, grid: Grid, qparams: QParams) -> Tensor:
    """The nearest numbers. An integer zero point is added to what was rounded already, as other
    libraries do; one that is none, before (Badri and Shaji, "Half-Quadratic Quantization", 2023).
    """
    zero_point, per_step = qparams.zero_point, qparams.per_step
    y = grid.scaled(blocks, qparams.scale) if per_step is None else blocks * per_step
    if zero_point is None:
        return grid.encode(y)
    if zero_point.is_floating_point():
        q = grid.round_(y + zero_point)
    else:
        q = grid.round_(y) + zero_point
    return q.clamp_(grid.qmin, grid.qmax).to(grid.dtype)


def _of_blocks(blocks: Tensor, grid: Grid, qparams: QParams) -> Tensor:
    """Of K-quants: the nearest, of integers that reach one further than −qmax."""
    scale, minimum = qparams.scale, qparams.minimum
    x = blocks if minimum is None else blocks - minimum
    y = (x / torch.where(scale == 0, 1, scale)).masked_fill_(scale == 0, 0)
    return y.round_().clamp_(-grid.offset, 2**grid.bits - 1 - grid.offset).to(grid.dtype)


def _of_ggml(blocks: Tensor, grid: Grid, qparams: QParams) -> Tensor:
    """As ggml's quantize_row_q4_0 … q8_0 round: half up, but of 8 bits half away from zero. Signed
    numbers reach one further than −qmax."""
    scale, minimum = qparams.scale, qparams.minimum
    inverse = torch.where(scale == 0, 0, 1 / scale)
    x = blocks if minimum is None else blocks - minimum
    y = (x * inverse).nan_to_num_(0.0)
    if grid.bits == 8:
        q = torch.copysign((y.abs() + 0.5).floor_(), y)
        return q.clamp_(grid.qmin, grid.qmax).to(grid.dtype)
    # Truncation of what is positive: the numbers count from 0.
    q = (y + (grid.offset + 0.5)).trunc_().clamp_(0, 2**grid.bits - 1)
    return (q - grid.offset).to(grid.dtype)
