"""GPTQ: columns are rounded one after the other, and those still to come make up for the error.

With H = 2XᵀX / n of a layer's inputs and U the upper Cholesky factor of H⁻¹, each column c of W is
rounded, and W[:, c+1:] −= (w_c − ŵ_c) / U[c, c] · U[c, c+1:], which leaves the least error in W Xᵀ
(Frantar et al., "GPTQ", 2023, arXiv 2210.17323, algorithm 1). Columns keep their order, and all
scales are chosen before the first one: so what is found needs no room beside plain rounding. The
reference sets columns whose inputs were always 0 to 0; here they are rounded as any other, as what
calibration has not seen may come in use.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from qdemo.numerics.blocks import with_fp64
from qdemo.numerics.qtensor import QTensor
from qdemo.numerics.ranges import Rounder
from qdemo.spec.messages import say

BLOCK = 64
"""Columns after which all the others learn of the errors; within them each learns at once."""

DAMPING = 0.01
"""Of the mean of H's diagonal, added to it."""

Put = Callable[[int, Tensor], tuple[Tensor, Tensor]]
"""The codes of a column, (rows,), of that number, and what they are worth."""


def factor(hessian: Tensor) -> Tensor:
    """U (columns, columns), in fp64: H⁻¹ = UᵀU, of H as it is made invertible.

    Raises:
        ValueError: the Hessian is not finite, or no sum of squares.
    """
    h = with_fp64(hessian).double().clone()
    diagonal = h.diagonal()
    diagonal[diagonal == 0] = 1  # an input that was always 0
    diagonal += DAMPING * diagonal.mean()
    lower, failed = torch.linalg.cholesky_ex(h)
    if not torch.isfinite(h).all() or failed:
        raise ValueError(
            say("the statistics of the inputs are not finite, or no sums of their products")
        )
    u: Tensor = torch.linalg.cholesky(torch.cholesky_inverse(lower), upper=True)
    return u


def compensated(w: Tensor, u: Tensor, put: Put) -> Tensor:
    """The codes (rows, columns) of `w`, as `put` rounds its columns, with U of `factor`."""
    rest = w.t().contiguous()  # (columns, rows), which changes as errors come in
    if not rest.numel():
        return put(0, w)[0]
    u = u.to(w.device, w.dtype)
    found: list[Tensor] = []
    for start in range(0, len(rest), BLOCK):
        here = slice(start, start + BLOCK)
        codes, errors = _within(rest[here], u[here, here], start, put)
        found += codes
        rest[start + BLOCK :].addmm_(u[here, start + BLOCK :].t(), errors, alpha=-1)
    return torch.stack(found, 1)


def _within(block: Tensor, u: Tensor, start: int, put: Put) -> tuple[list[Tensor], Tensor]:
    """The codes of the columns from `start` on, the rows of `block` (n, rows), and (w − ŵ) / U of
    each."""
    errors, codes = torch.empty_like(block), []
    towards = u.t().contiguous()  # a row has what column i takes of those before it
    own = u.diagonal().tolist()
    for i, column in enumerate(block):
        if i:
            column = torch.addmv(column, errors[:i].t(), towards[i, :i], alpha=-1)
        code, values = put(start + i, column)
        codes.append(code)
        torch.sub(column, values, out=errors[i]).div_(own[i])
    return codes, errors


@dataclass(frozen=True, eq=False)
class Columns:
    """Rounds one column after the other with scales and zero points that are given: each is a list
    for so many columns (`every`) at a time, of one number or one a row."""

    rounder: Rounder
    scales: list[Tensor]
    zero_points: list[Tensor] | None
    every: int

    @classmethod
    def of(cls, held: QTensor) -> Columns:
        """With what decodes a matrix that is held already."""
        scale, zeros = held.scale, held.zero_point
        scale = torch.where(scale == 0, 1, scale)  # there all that is decoded is 0
        rounder = Rounder.of(held.scheme)
        own = None if zeros is None else _by_column(zeros, held)
        return cls(rounder, _by_column(scale, held), own, _every(held))

    def __call__(self, number: int, column: Tensor) -> tuple[Tensor, Tensor]:
        """The codes of a column (rows,), and what they are worth."""
        place = number // self.every
        zeros = None if self.zero_points is None else self.zero_points[place]
        return self.rounder(column, self.scales[place], zeros)


def _every(held: QTensor) -> int:
    """How many columns have their scales in common."""
    if held.scheme.axis == 1:
        return 1
    return max(1, held.shape[1] // max(1, held.n_groups))


def _by_column(x: Tensor, held: QTensor) -> list[Tensor]:
    """Scales () or (rows,) or (rows, groups), or those of columns, (columns,) or (columns, groups),
    as what a column after the other is rounded with."""
    if x.ndim == 0:
        return [x]
    if held.scheme.axis == 1:
        each = held.shape[0] // max(1, x.shape[1]) if x.ndim == 2 else 1
        return list(x.repeat_interleave(each, 1) if x.ndim == 2 else x)
    return [one.contiguous() for one in x.reshape(held.shape[0], -1).t()]
