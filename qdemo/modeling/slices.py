"""Float activations times int8 weights in integers, exact but for the last roundings.

A row of activations is cut into slices of a byte, x = unit · Σ 256^i · slice_i, whose products
with the weights add up in int32 without an error, by instructions that do four times as much at
once as those for fp32 (Ootomo, Ozaki and Yokota, "DGEMM on Integer Matrix Multiplication Unit",
2023, arXiv 2306.11975). Below 2^−30 of a row's largest value is cut off, values of at least a
64th of it are whole: no activation is quantized to 8 bits, and together less is lost than when
products are added up in fp32.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

SLICES = 4
LENGTHS = range(2, (1 << 16) + 1)
"""Of rows that `product` takes. 255 · 127 · 2^16 fits into int32 (255, as oneDNN adds 128 to one
side); with single columns torch 2.13's `_int_mm` is wrong."""

_TOP_BIT = 30
_CENTRED = 0x00808080  # added and taken away by xor: bytes count from −128 to 127


@cache
def is_fast() -> bool:
    """Whether this CPU has instructions for products of bytes; without them it takes longer."""
    has = torch.cpu.get_capabilities()
    return any(has.get(name) for name in ("avx512_vnni", "avx_vnni_int8", "amx_int8"))


def cut(x: Tensor) -> tuple[Tensor, Tensor]:
    """The slices of `x` (rows, length), fp32: int8 (SLICES · rows, length), and the unit (rows, 1).

    The unit of a row that holds an infinity or NaN is infinite or NaN, and its slices say nothing.
    """
    largest = torch.linalg.vector_norm(x, torch.inf, -1, keepdim=True).clamp_(min=2.0**-126)
    scaled = (x / largest).contiguous().mul_(2.0**_TOP_BIT)
    whole = scaled.to(torch.int32).add_(_CENTRED).bitwise_xor_(_CENTRED)
    by_value = whole.view(torch.int8).view(*x.shape, SLICES)
    return by_value.movedim(-1, 0).reshape(-1, x.shape[1]), largest


def product(slices: Tensor, unit: Tensor, weights: Tensor) -> Tensor:
    """x · weightsᵀ for int8 `weights` (n, length) and the slices of x: (rows, n), fp32."""
    sums = torch._int_mm(slices, weights.t()).float().view(SLICES, -1)
    return (_PLACES @ sums).view(len(unit), -1).mul_(unit)


_PLACES = torch.tensor([2.0 ** (8 * i - _TOP_BIT) for i in range(SLICES)])
"""What a one in each slice is worth, beginning with the least."""
