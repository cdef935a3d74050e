"""Products of few rows of activations with int8 weights on a CPU, in integers.

bf16 goes to torch's packed kernel. fp32 and fp16 are exact until the result is rounded: a row of
activations is cut into slices of a byte, x = unit · Σ 256^i · slice_i, as many as hold all of its
bits. Their products with the weights add up in int32 without an error, by instructions that do four
times as much at once as those for fp32, and the sums of the slices add up in fp64 (Ootomo, Ozaki
and Yokota, "DGEMM on Integer Matrix Multiplication Unit", 2023, arXiv 2306.11975).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from qdemo.numerics import insides
from qdemo.numerics.qtensor import QTensor

COUNTS = (6, 8)
"""Slices to try: six hold all bits of fp32 values of which the smallest is 2^−22 of the largest,
eight, the most that an integer of 64 bits has room for, where it is 2^−38."""

LENGTHS = range(2, (1 << 16) + 1)
"""Of rows that can be multiplied. 255 · 127 · 2^16 fits into int32 (255, as oneDNN adds 128 to one
side)."""


def in_integers(x: Tensor, weight: QTensor, block: int) -> Tensor | None:
    """x · Ŵᵀ, (rows, n), of weights that are held as int8 and whose rows have one scale, with at
    most `block` sums of integers at a time. None where that is slow, or can't be done."""
    if not insides.is_known() or weight.packed.dtype != torch.int8 or not weight.has_row_scales:
        return None
    if x.dtype == torch.bfloat16:  # the way of every token, so it is the shortest
        return _packed(x, weight)
    return _in_slices(x, weight, block) if x.dtype in _IN_FP32 else None


_IN_FP32 = (torch.float32, torch.float16)  # whose product is computed in fp32


def _packed(x: Tensor, weight: QTensor) -> Tensor | None:
    """By torch's kernel for few rows of bf16, which has the scales in bf16 too. None where it can't
    take them, or where its sums are too large for fp32 before they are scaled."""
    if x.shape[1] % insides.PACKED or not x.numel():
        return None
    out = insides.packed(x, weight.packed, weight.scale)
    return out if math.isfinite(out.sum().item()) else None


def _in_slices(x: Tensor, weight: QTensor, block: int) -> Tensor | None:
    """Exactly. None where that is slow, or has no room for every bit."""
    if x.shape[1] not in LENGTHS or not is_fast():
        return None
    sliced = cut(x.float()) if x.shape[0] else None
    if sliced is None:
        return None
    height = max(1, block // len(sliced.slices))
    parts = [sliced.times(part.packed) for _, part in weight.pieces(height)]
    product = parts[0] if len(parts) == 1 else torch.cat(parts, 1)
    return product.mul_(weight.scale).to(x.dtype)


@cache
def is_fast() -> bool:
    """Whether this CPU has instructions for products of bytes; without them it takes longer."""
    has = torch.cpu.get_capabilities()
    return any(has.get(name) for name in ("avx512_vnni", "avx_vnni_int8", "amx_int8"))


@dataclass(frozen=True, eq=False)
class Sliced:
    """Activations x, (rows, length): int8 `slices` (count · rows, length), and what a one in the
    least of them is worth, a `unit` for each row, (rows, 1) or a number where there is one row."""

    slices: Tensor
    unit: Tensor | float
    count: int

    def times(self, weights: Tensor) -> Tensor:
        """x · weightsᵀ for int8 `weights` (n, length): (rows, n), fp64."""
        sums = insides.summed(self.slices, weights).double().view(self.count, -1)
        product = torch.mm(_PLACES[self.count], sums)
        return product.view(len(self.slices) // self.count, len(weights)).mul_(self.unit)


def cut(x: Tensor) -> Sliced | None:
    """Cut x, (rows, length), into slices; None where it is not finite, or a row ranges so widely
    that its bits have no room."""
    largest = torch.linalg.vector_norm(x, torch.inf, 1)
    one = largest.item() if len(x) == 1 else None  # a number: arithmetic with it is over sooner
    if not math.isfinite(largest.max().item() if one is None else one):
        return None
    # The power of two above each row's largest value, (rows, 1).
    power = torch.frexp(largest)[1].long()[:, None] if one is None else math.frexp(one)[1]
    exact = x.double()
    tried = (_cut(exact, power, count) for count in COUNTS)
    return next((found for found in tried if found is not None), None)


def _cut(x: Tensor, power: Tensor | int, count: int) -> Sliced | None:
    top = 8 * count - 2  # bits of the largest; one more is the sign, one is left for the carry
    scaled = x * _two_to(top - power)
    whole = scaled.to(torch.int64, memory_format=torch.contiguous_format)
    if not torch.equal(whole.double(), scaled):
        return None
    centre = _CENTRE & (1 << 8 * (count - 1)) - 1
    whole.add_(centre).bitwise_xor_(centre)
    by_value = whole.view(torch.int8).view(*x.shape, 8)[..., :count]
    slices = by_value.movedim(-1, 0).reshape(-1, x.shape[1])
    return Sliced(slices, _two_to(power - top), count)


_CENTRE = 0x0080808080808080
"""Added and taken away by xor: all bytes but the first then count from −128 to 127."""


def _two_to(power: Tensor | int) -> Tensor | float:
    """2^power, in fp64 exactly, as `exp2` is not everywhere."""
    if isinstance(power, int):
        return math.ldexp(1.0, power)
    return (power + 1023 << 52).view(torch.float64)


_PLACES = {
    count: torch.tensor([[2.0 ** (8 * i) for i in range(count)]], dtype=torch.float64)
    for count in COUNTS
}
"""What a one in each slice is worth, in ones of the least."""
