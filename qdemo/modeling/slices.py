"""Float activations times int8 weights in integers, exact but for the last roundings.

A row of activations is cut into slices of a byte, x = unit · Σ 256^i · slice_i, whose products
with the weights add up in int32 without an error, by instructions that do four times as much at
once as those for fp32 (Ootomo, Ozaki and Yokota, "DGEMM on Integer Matrix Multiplication Unit",
2023, arXiv 2306.11975). Below 2^−30 of a row's largest value is cut off, values of at least a
64th of it are whole: no activation is quantized to 8 bits, and together less is lost than when
products are added up in fp32.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

SLICES = 4
LENGTHS = range(2, (1 << 16) + 1)
"""Of rows that can be multiplied. 255 · 127 · 2^16 fits into int32 (255, as oneDNN adds 128 to one
side); with single columns torch 2.13's `_int_mm` is wrong."""

_TOP_BIT = 30
_CENTRED = 0x00808080  # added and taken away by xor: bytes count from −128 to 127


@cache
def is_fast() -> bool:
    """Whether this CPU has instructions for products of bytes; without them it takes longer."""
    has = torch.cpu.get_capabilities()
    return any(has.get(name) for name in ("avx512_vnni", "avx_vnni_int8", "amx_int8"))


@dataclass(frozen=True, eq=False)
class Sliced:
    """Activations x, (rows, length): int8 `slices` (4 · rows, length), and a `unit` for each row.

    The unit is a number where there is one row: arithmetic with it is over sooner.
    """

    slices: Tensor
    unit: Tensor | float
    rows: int

    def times(self, weights: Tensor) -> Tensor:
        """x · weightsᵀ for int8 `weights` (n, length): (rows, n), fp32."""
        sums = torch._int_mm(self.slices, weights.t()).float()
        return torch.mm(_PLACES, sums.view(SLICES, -1)).view(self.rows, -1).mul_(self.unit)


def cut(x: Tensor) -> Sliced | None:
    """Cut x, (rows, length) fp32, into slices; None where a row is too small or not finite."""
    largest = torch.linalg.vector_norm(x, torch.inf, 1, keepdim=True)
    one = largest.item() if len(x) == 1 else None
    low, high = (one, one) if one is not None else (end.item() for end in largest.aminmax())
    if not 2.0**-90 < low <= high < torch.inf:
        return None
    unit = largest if one is None else one
    whole = (x * (2.0**_TOP_BIT / unit)).to(torch.int32, memory_format=torch.contiguous_format)
    whole.add_(_CENTRED).bitwise_xor_(_CENTRED)
    by_value = whole.view(torch.int8).view(*x.shape, SLICES)
    return Sliced(by_value.movedim(-1, 0).reshape(-1, x.shape[1]), unit, len(x))


_PLACES = torch.tensor([[2.0 ** (8 * i - _TOP_BIT) for i in range(SLICES)]])
"""What a one in each slice is worth, beginning with the least."""
