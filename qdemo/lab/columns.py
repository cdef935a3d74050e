"""GPTQ column by column, on a matrix that is small enough to be looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from qdemo.compress.gptq import Columns, compensated, factor
from qdemo.lab.inputs import inputs, known, relative_error
from qdemo.numerics.linear import quantize_tensor
from qdemo.spec.scheme import Scheme

MOST_ROWS, MOST_COLUMNS = 6, 8
"""Of the matrix above, as many as can be followed."""


@dataclass(frozen=True, eq=False)
class After:
    """After so many columns: `w` (rows, columns) with those rounded, and the others as the errors
    moved them; how far its outputs are from those of W, ‖X(w − W)ᵀ‖ / ‖XWᵀ‖, and the SQNR of w in
    dB, None where nothing was lost. The same of plain rounding to nearest."""

    w: Tensor
    output_error: float
    sqnr: float | None
    nearest: Tensor
    nearest_error: float
    nearest_sqnr: float | None


@dataclass(frozen=True, eq=False)
class Walk:
    """Weights `w` (rows, columns), and what they are after 0, 1, … all columns; the `pushes`
    (columns, rows, columns) are what each column's error adds to those after it."""

    w: Tensor
    after: tuple[After, ...]
    pushes: Tensor


def part_of(w: Tensor) -> Tensor:
    """As much of a matrix as is walked through."""
    return w[:MOST_ROWS, :MOST_COLUMNS].clone()


def walk(w: Tensor, bits: int, alike: float) -> Walk:
    """GPTQ of weights (rows, columns), a scale a row, for inputs that are so much alike.

    Raises:
        ValueError: a weight can't be quantized.
    """
    hessian = known(inputs(w.shape[1], alike)).hessian
    assert hessian is not None
    held = quantize_tensor(w, Scheme(f"int{bits}"))
    u = factor(hessian)
    rounded, pushes = _rounded(w, u, Columns.of(held))
    nearest, after = held.dequantize(), []
    for count in range(w.shape[1] + 1):
        now = w + pushes[:count].sum(0)
        now[:, :count] = rounded[:, :count]
        plain = torch.cat([nearest[:, :count], w[:, count:]], 1)
        after.append(_after(w, now, plain, hessian))
    return Walk(w, tuple(after), pushes)


def _rounded(w: Tensor, u: Tensor, columns: Columns) -> tuple[Tensor, Tensor]:
    """Ŵ, and what the error of each column adds to those after it: −(w_c − ŵ_c) / U_cc · U_cj."""
    values: list[Tensor] = []
    pushes = torch.zeros(w.shape[1], *w.shape)

    def put(number: int, column: Tensor) -> tuple[Tensor, Tensor]:
        codes, own = columns(number, column)
        values.append(own)
        error = (column - own) / u[number, number].to(w.dtype)
        pushes[number, :, number + 1 :] = -error[:, None] * u[number, number + 1 :].to(w.dtype)
        return codes, own

    compensated(w, u, put)
    return torch.stack(values, 1), pushes


def _after(w: Tensor, now: Tensor, plain: Tensor, hessian: Tensor) -> After:
    return After(
        now,
        relative_error(now - w, w, hessian),
        _sqnr(w, now),
        plain,
        relative_error(plain - w, w, hessian),
        _sqnr(w, plain),
    )


def _sqnr(w: Tensor, w_hat: Tensor) -> float | None:
    error = (w_hat - w).double().square().sum().item()
    return 10 * math.log10(w.double().square().sum().item() / error) if error else None
