"""LLM.int8(): inputs in 8 bits but for the columns in which something is very large.

Entries of 6.0 or more are set aside; each row of what is left is rounded to int8 by its largest
size; then all of the columns in which an entry was set aside are multiplied as floats instead, with
the same weights (Dettmers et al., "LLM.int8()", 2022, arXiv 2208.07339, in the order in which
bitsandbytes does it). Which columns these are depends on all rows that are multiplied at once: on
what else is in the batch, and on padding.

Here both parts are one product of floats with the weights that are held: so this shows what the
method computes, and not how fast it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Mixed:
    """Inputs (rows, columns): int8 `codes`, 0 in columns that are `outliers` (columns,), worth
    `unit` (rows, 1) each."""

    codes: Tensor
    unit: Tensor
    outliers: Tensor


def mixed(x: Tensor, threshold: float) -> Mixed:
    """Inputs (rows, columns) in two parts; what is not finite is an outlier where it is infinite,
    and makes its row NaN where it is NaN."""
    wide = x.float()
    is_large = wide.abs() >= threshold
    rest = wide.masked_fill(is_large, 0)
    size = rest.abs().amax(1, keepdim=True) if x.shape[1] else rest.new_zeros(len(x), 1)
    size = size.clamp(min=torch.finfo(torch.float32).tiny * 127)
    outliers = is_large.any(0)
    codes = (rest * (127 / size)).round_().masked_fill_(outliers, 0)
    return Mixed(codes.nan_to_num(0).to(torch.int8), size / 127, outliers)


def rounded(x: Tensor, threshold: float) -> Tensor:
    """What the weights are multiplied with, fp32 of the shape of x (..., columns): outliers as they
    are, the rest rounded. The gradient passes the rounding."""
    flat = x.float().flatten(0, -2) if x.ndim > 1 else x.float()[None]
    with torch.no_grad():
        parts = mixed(flat, threshold)
        found = torch.where(parts.outliers, flat, parts.codes * parts.unit).view(x.shape)
    return x.float() + (found - x.float()).detach() if x.requires_grad else found
