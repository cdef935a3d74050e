"""The product of float activations and quantized weights; no float copy of the weights exists.

Which way is taken, by the rows of activations (measured by `python -m tests.bench.products`):

- up to `FEW`, integers of up to 8 bits whose rows have one scale: the integers are multiplied as
  such, bf16 by torch's packed kernel, fp32 and fp16 in slices;
- else some rows of weights at a time are made floats in memory that is used again and stays in
  the cache, for one product each.

A scale that a whole row shares is applied to the product, which is shorter than the row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import isfinite
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from qdemo.modeling import slices
from qdemo.modeling.scratch import scratch
from qdemo.numerics.linear import QTensor
from qdemo.numerics.scheme import Scheme

FEW = {torch.bfloat16: 16, torch.float32: 24}
"""Rows of activations up to which integers are multiplied as such, on a CPU."""

_PACKED = 32  # weights that torch's packed kernel reads at once; it reads on behind a shorter row
_BLOCK = 1 << 20  # weights that are floats, or sums that are integers, at a time


def quantized_linear(x: Tensor, weight: QTensor, bias: Tensor | None) -> Tensor:
    """x · dequantize(weight)ᵀ + bias, within the rounding of the dtype of `x`.

    `x` is (..., in_features), `weight` (out_features, in_features), the result
    (..., out_features). The gradient reaches `x` and `bias`.
    """
    flat = x.flatten(0, -2) if x.ndim > 1 else x[None]
    if torch.is_grad_enabled() and x.requires_grad:
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
    if x.dtype == torch.float16 and x.device.type == "cpu":  # which multiplies fp16 slowly
        return _product(x.float(), weight).half()
    out = x.new_empty(len(x), weight.shape[0])
    if not _has_row_scales(weight.scheme):
        new = scratch if weight.rows_are_apart else torch.empty  # which are not held on to
        for rows, part in _blocks(weight):
            torch.mm(x, part.dequantize(x.dtype, new).t(), out=out[:, rows])
        return out
    _multiply_numbers(x, weight, out)
    return out.mul_(weight.scale)


def _multiply_numbers(x: Tensor, weight: QTensor, out: Tensor) -> None:
    """The product with the stored numbers, all scales taken for 1."""
    multiply = _by_integers(x, weight.scheme)
    no_floats = multiply is not None and weight.scheme.bits == 8
    for rows, part in _blocks(weight, _BLOCK // (slices.SLICES * len(x)) if no_floats else 0):
        numbers = part.numbers(scratch)
        if multiply is None:
            floats = scratch(tuple(numbers.shape), dtype=x.dtype, device=x.device).copy_(numbers)
            torch.mm(x, floats.t(), out=out[:, rows])
        else:
            out[:, rows] = multiply(numbers)


def _by_integers(x: Tensor, scheme: Scheme) -> Callable[[Tensor], Tensor] | None:
    """What multiplies the few rows of `x` with int8 rows, (n, length) to (rows, n), if anything."""
    few = x.numel() > 0 and len(x) <= FEW.get(x.dtype, 0) and x.device.type == "cpu"
    if not few or scheme.storage.is_float:
        return None
    if x.dtype == torch.bfloat16 and x.shape[1] % _PACKED == 0:
        own = x.contiguous()
        return lambda numbers: torch._weight_int8pack_mm(own, numbers, x.new_ones(len(numbers)))
    if x.shape[1] not in slices.LENGTHS or not slices.is_fast():
        return None
    cut, unit = slices.cut(x.float())
    if not isfinite(unit.sum().item()):
        return None
    return lambda numbers: slices.product(cut, unit, numbers)


def _has_row_scales(scheme: Scheme) -> bool:
    return scheme.symmetric and scheme.group_size is None and scheme.axis in (0, None)


def _blocks(weight: QTensor, rows: int = 0) -> Iterator[tuple[slice, QTensor]]:
    """The weight some rows at a time: `rows`, or as many as fill a block."""
    n_rows, length = weight.shape
    step = max(1, rows or _BLOCK // max(1, length))
    if not weight.rows_are_apart:
        yield slice(None), weight
        return
    for start in range(0, n_rows, step):
        here = slice(start, start + step)
        yield here, weight.take(here)
