"""What is done to a weight before it is rounded, and undone where it is used: W Xᵀ = (W A)(X A⁻ᵀ)ᵀ.

A transform is held with the weight, as one of its roles, and counted as such:

- "column_scale" c, (columns,) fp32: what is held is W / c, and the input is multiplied by c
  (SmoothQuant, AWQ; those who fold c into the norm before hold nothing, where there is one);
- "rotation", the seed of random signs s: what is held is W S H, and so is the input X S H, with
  H a Walsh-Hadamard matrix by blocks, the largest power of two that divides the columns, divided
  by the root of its size. It is symmetric and its own inverse, so no matrix is ever inverted
  (Ashkboos et al., "QuaRot", 2024, arXiv 2404.00456).
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Protocol

import torch
from torch import Tensor

from qdemo.numerics.insides import is_watched

ROLES = ("column_scale", "rotation")
"""What of a quantized tensor is a transform; one at most."""


class Transform(Protocol):
    """Of the columns of a matrix (rows, columns)."""

    def of_inputs(self, x: Tensor) -> Tensor:
        """Inputs (..., columns), as they are multiplied with the transformed weights."""

    def of_weights(self, w: Tensor) -> Tensor:
        """Weights (rows, columns) as they are rounded."""

    def undone(self, w: Tensor) -> Tensor:
        """The weights again, of transformed ones."""


@dataclass(frozen=True, eq=False)
class ColumnScale:
    """A factor a column, which the input is multiplied by."""

    factors: Tensor

    def of_inputs(self, x: Tensor) -> Tensor:
        """x · c, rounded once to the dtype of x."""
        return (x * self.factors).to(x.dtype)

    def of_weights(self, w: Tensor) -> Tensor:
        """w / c."""
        return w / self.factors

    def undone(self, w: Tensor) -> Tensor:
        """w · c."""
        return w * self.factors


@dataclass(frozen=True)
class Rotation:
    """Random signs of a seed, and a Hadamard matrix by blocks: orthogonal."""

    seed: int

    def of_inputs(self, x: Tensor) -> Tensor:
        """x S H, computed in fp32 at least and rounded once to the dtype of x."""
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        return self.of_weights(wide).to(x.dtype)

    def of_weights(self, w: Tensor) -> Tensor:
        """w S H."""
        return hadamard(w * self._signs(w))

    def undone(self, w: Tensor) -> Tensor:
        """w H S."""
        return hadamard(w) * self._signs(w)

    def _signs(self, x: Tensor) -> Tensor:
        made = _signs.__wrapped__ if is_watched() else _signs
        return made(self.seed, x.shape[-1], x.dtype, x.device)


def transform_of(tensors: Mapping[str, Tensor]) -> Transform | None:
    """What is undone where a tensor of these roles is used; None where nothing is."""
    if (factors := tensors.get("column_scale")) is not None:
        return ColumnScale(factors)
    seed = tensors.get("rotation")
    return None if seed is None else Rotation(int(seed.item()))


def hadamard(x: Tensor) -> Tensor:
    """x H by blocks of the last axis, by products with small matrices: H of 2^a · 2^b is a
    Kronecker product of those of 2^a and 2^b.

    >>> hadamard(torch.tensor([1.0, 0, 0, 0, 2, 0]))   # blocks of two
    tensor([0.7071, 0.7071, 0.0000, 0.0000, 1.4142, 1.4142])
    """
    length = x.shape[-1]
    if not length:
        return x
    size, inner = length & -length, 1
    out = x.reshape(-1, length)
    while inner < size:
        width = min(_WIDTH, size // inner)
        small = (_small.__wrapped__ if is_watched() else _small)(width, x.dtype, x.device)
        if inner == 1:
            out = out.reshape(-1, width) @ small
        else:
            out = small @ out.reshape(-1, width, inner)
        inner *= width
    return (out / math.sqrt(size)).reshape(x.shape)


_WIDTH = 32
"""Of the small matrices, at most: two of them do for rows of 1024."""


@cache
def _small(width: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Of +1 and −1."""
    with torch.inference_mode(False):
        found = torch.ones(1, 1, dtype=dtype, device=device)
        while len(found) < width:
            found = torch.cat([torch.cat([found, found], 1), torch.cat([found, -found], 1)])
        return found


@lru_cache(maxsize=64)
def _signs(seed: int, length: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """+1 and −1, (length,): bits of Python's generator, which is the same wherever it runs."""
    bits = random.Random(seed).getrandbits(max(1, length))
    signs = [1.0 if bits >> i & 1 else -1.0 for i in range(length)]
    with torch.inference_mode(False):
        return torch.tensor(signs, dtype=dtype, device=device)
