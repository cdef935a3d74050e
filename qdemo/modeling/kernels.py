"""The forward product of float activations and quantized weights."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import linear

from qdemo.numerics.linear import QTensor

_BLOCK_BYTES = 1 << 20  # of dequantized weights at a time: they stay in a core's second-level cache


def quantized_linear(x: Tensor, weight: QTensor, bias: Tensor | None) -> Tensor:
    """x · dequantize(weight)ᵀ + bias, computed in the dtype of `x`.

    `x` is (..., in_features), `weight` (out_features, in_features), the result
    (..., out_features). Weights are dequantized a few rows at a time, so that no float copy of
    the whole matrix exists, unless groups run down its columns.
    """
    n_rows, row_length = weight.shape
    step = max(1, _BLOCK_BYTES // max(1, row_length * x.element_size()))
    if not weight.rows_are_apart:
        step = max(1, n_rows)
    parts = []
    for start in range(0, max(n_rows, 1), step):
        rows = slice(start, start + step)
        own_bias = None if bias is None else bias[rows]
        parts.append(linear(x, weight.rows(rows, x.dtype), own_bias))
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=-1)
