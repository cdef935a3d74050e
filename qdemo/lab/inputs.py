"""Inputs of a layer to play with, and what a method knows of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from qdemo.compress.stats import Stats
from qdemo.compress.transforms import output_error

ROWS = 64
"""Tokens: as many inputs as a method is shown."""

LOUD = 2
"""The column that may be louder than the others, counted from 0; the last where there are fewer."""


def inputs(columns: int, alike: float = 0.0, loud: float = 1.0) -> Tensor:
    """Inputs (64, columns), drawn once and for all; each column has a variance of 1, and any two a
    correlation of about `alike`, 0 … 1. Column `LOUD` is `loud` times as large then."""
    generator = torch.Generator().manual_seed(0)
    common = torch.randn(ROWS, 1, generator=generator)
    own = torch.randn(ROWS, columns, generator=generator)
    x = math.sqrt(alike) * common + math.sqrt(1 - alike) * own
    x[:, loud_column(columns)] *= loud
    return x


def loud_column(columns: int) -> int:
    """Which one it is of so many, counted from 0."""
    return min(LOUD, columns - 1)


def known(x: Tensor) -> Stats:
    """What calibration with these inputs (n, columns) collects."""
    sizes = x.abs()
    return Stats(len(x), sizes.amax(0), sizes.mean(0), x.t() @ x * (2 / len(x)))


def relative_error(error: Tensor, w: Tensor, hessian: Tensor) -> float:
    """‖X Eᵀ‖ / ‖X Wᵀ‖ of an error E = Ŵ − W (rows, columns), from 2XᵀX / n; 0 where W is."""
    whole = output_error(w.double(), hessian.double())
    lost = max(0.0, output_error(error.double(), hessian.double()))
    return math.sqrt(lost / whole) if whole > 0 else 0.0


def relative_distance(y: Tensor, wanted: Tensor) -> float:
    """‖Y − wanted‖ / ‖wanted‖; 0 where nothing is wanted."""
    whole = wanted.double().norm().item()
    return (y - wanted).double().norm().item() / whole if whole else 0.0
