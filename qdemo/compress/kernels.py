"""The product of float activations and quantized weights; no float copy of the weights exists.

Which way is taken, by the rows of activations (measured by `python -m tests.bench.products`):

- up to `FEW`, integers of up to 8 bits whose rows have one scale: the integers are multiplied as
  such, bf16 by torch's packed kernel, fp32 and fp16 in slices, as long as these hold every bit;
- else some rows of weights at a time are made floats in memory that is used again and stays in
  the cache, for one product each.

A scale that a whole row shares is applied to the product, which is shorter than the row.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from qdemo.compress import int8, slices
from qdemo.numerics.qtensor import QTensor
from qdemo.numerics.scratch import scratch

FEW = 24
"""Rows of activations up to which integers are multiplied as such, on a CPU."""

_IN_FP32 = (torch.float32, torch.float16)  # whose product is computed in fp32
_BLOCK = 1 << 20  # weights that are floats, or sums that are integers, at a time


def quantized_linear(x: Tensor, weight: QTensor, bias: Tensor | None) -> Tensor:
    """x · dequantize(weight)ᵀ + bias, within the rounding of the dtype of `x`.

    `x` is (..., in_features), `weight` (out_features, in_features), the result
    (..., out_features). The gradient reaches `x` and `bias`.
    """
    flat = x.flatten(0, -2) if x.ndim > 1 else x[None]
    if x.requires_grad and torch.is_grad_enabled():
        out: Tensor = _Product.apply(flat, weight)  # type: ignore[no-untyped-call]
    else:
        out = _product(flat, weight)
    out = out.view(*x.shape[:-1], weight.shape[0])
    return out if bias is None else out + bias


class _Product(torch.autograd.Function):
    """x · Ŵᵀ; for the gradient of `x` the weights are made floats once more."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: QTensor) -> Tensor:
        ctx.weight = weight
        return _product(x, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        out = grad.new_zeros(len(grad), ctx.weight.shape[1])
        for rows, part in _blocks(ctx.weight):
            out.addmm_(grad[:, rows], part.dequantize(grad.dtype))
        return out, None


def _product(x: Tensor, weight: QTensor) -> Tensor:
    out = None
    if _has_integer_rows(weight) and x.shape[0] <= FEW and x.is_cpu:
        out = _packed(x, weight) if x.dtype == torch.bfloat16 else _in_slices(x, weight)
    return _in_blocks(x, weight) if out is None else out


def _has_integer_rows(weight: QTensor) -> bool:
    return weight.has_row_scales and not weight.scheme.storage.is_float


def _packed(x: Tensor, weight: QTensor) -> Tensor | None:
    """By torch's kernel for few rows of bf16, which has the scales in bf16 too. None where it can't
    take them, or where its sums are too large for fp32 before they are scaled."""
    if x.shape[1] % int8.PACKED or not x.numel():
        return None
    if weight.scheme.bits == 8:  # the way of every token, so it is the shortest
        out = int8.packed(x, weight.packed, weight.scale)
    else:
        parts = [int8.packed(x, w.numbers(scratch), w.scale) for _, w in _blocks(weight)]
        out = parts[0] if len(parts) == 1 else torch.cat(parts, 1)
    return out if math.isfinite(out.sum().item()) else None


def _in_slices(x: Tensor, weight: QTensor) -> Tensor | None:
    """In integers, exactly. None where that is slow, or has no room for every bit."""
    if x.dtype not in _IN_FP32 or x.shape[1] not in slices.LENGTHS or not slices.is_fast():
        return None
    cut = slices.cut(x.float()) if x.shape[0] else None
    if cut is None:
        return None
    sums = len(cut.slices)
    parts = [cut.times(part.numbers(scratch)) for _, part in _blocks(weight, sums)]
    product = parts[0] if len(parts) == 1 else torch.cat(parts, 1)
    return product.mul_(weight.scale).to(x.dtype)


def _in_blocks(x: Tensor, weight: QTensor) -> Tensor:
    """With the weights made floats, some rows at a time; scales that rows share come last."""
    if _is_slow(x):
        return _in_blocks(x.float(), weight).to(x.dtype)
    scaled_last = weight.has_row_scales and _sums_fit(x, weight)
    out = x.new_empty(x.shape[0], weight.shape[0])
    for rows, part in _blocks(weight):
        floats = _numbers(part, x.dtype) if scaled_last else part.dequantize(x.dtype, scratch)
        torch.mm(x, floats.t(), out=out[:, rows])
    return out.mul_(weight.scale) if scaled_last else out


def _numbers(part: QTensor, dtype: torch.dtype) -> Tensor:
    """The stored numbers as floats."""
    numbers = part.numbers(scratch)
    return scratch(part.shape, dtype=dtype, device=part.device).copy_(numbers)


def _sums_fit(x: Tensor, weight: QTensor) -> bool:
    """Whether sums of products with the stored numbers, not yet scaled, stay in the range of the
    dtype: a scaled weight is mostly far smaller than its number."""
    if not x.numel():
        return True
    largest: float = torch.linalg.vector_norm(x, torch.inf).item()
    return largest * weight.scheme.qmax * x.shape[1] < torch.finfo(x.dtype).max


def _is_slow(x: Tensor) -> bool:
    """Whether fp32 is faster, once making the weights floats is counted: a CPU multiplies fp16
    slowly, and a few rows of bf16 don't make up for rounding the weights once more."""
    few = x.dtype == torch.bfloat16 and x.shape[0] <= FEW
    return x.is_cpu and (few or x.dtype == torch.float16)


def _blocks(weight: QTensor, sums: int = 0) -> Iterator[tuple[slice, QTensor]]:
    """The weight some rows at a time. A block has so many numbers that are made floats or have to
    be unpacked; where neither is done, so many `sums`, of which each row needs that many."""
    n_rows, length = weight.shape
    each = sums if sums and weight.scheme.bits == 8 else length
    step = max(1, _BLOCK // max(1, each))
    if step >= n_rows or not weight.rows_are_apart:
        yield slice(None), weight
        return
    for start in range(0, n_rows, step):
        here = slice(start, start + step)
        yield here, weight.take(here)
