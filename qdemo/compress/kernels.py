"""The product of float activations and quantized weights; no float copy of the weights exists.

Which way is taken:

- on a CPU, by loops that are compiled for it and decode weights as they read them (`cpu`);
- on a GPU, up to `cuda.ROWS` rows of activations, by a kernel that does the same (`cuda`);
- where there are none, up to `FEW` rows, int8 weights whose rows have one scale are multiplied as
  such, exactly or by torch's kernel for bf16 (`slices`);
- else some rows of weights at a time are made floats, in memory that is used again and stays in the
  cache.

There a scale that a whole row shares is applied to the product, which is shorter than the row.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from qdemo.compress import cuda, outliers, slices
from qdemo.loops import machine
from qdemo.loops.host import MAKING
from qdemo.numerics.blocks import scratch, tile_size
from qdemo.numerics.qtensor import QTensor
from qdemo.spec.scheme import Scheme

FEW = 24
"""Rows of activations up to which integers are multiplied as such, on a CPU."""

_BLOCK = 1 << 20  # weights that are floats, or sums that are integers, at a time


def quantized_linear(
    x: Tensor,
    weight: QTensor,
    bias: Tensor | None,
    bits: int | None = None,
    threshold: float | None = None,
) -> Tensor:
    """x · dequantize(weight)ᵀ + bias, within the rounding of the dtype of `x`.

    `x` is (..., in_features), `weight` (out_features, in_features), the result
    (..., out_features). With `bits` of 8, each row of `x` is rounded to int8 before, with a scale
    of its own; where there is a `threshold`, but for columns with as large an entry. What was done
    to the weight is done to `x` first. The gradient reaches `x` and `bias`, and passes that
    rounding.
    """
    if weight.transform is not None:
        x, weight = weight.transform.of_inputs(x), weight.plain
    if threshold is not None:
        mixed = quantized_linear(outliers.rounded(x, threshold), weight, None).to(x.dtype)
        return mixed if bias is None else mixed + bias
    is_learned = x.requires_grad and torch.is_grad_enabled()
    if x.is_cuda and not bits and not is_learned:
        found = cuda.product(x, weight)
        if found is not None:
            return found if bias is None else found + bias
    flat = x.flatten(0, -2) if x.ndim > 1 else x[None]
    if is_learned:
        out: Tensor = _Product.apply(flat, weight, bits)  # type: ignore[no-untyped-call]
    else:
        out = _product(flat, weight, bits)
    out = out.view(*x.shape[:-1], weight.shape[0])
    return out if bias is None else out + bias


def way_of(weight: QTensor) -> str:
    """How activations are multiplied with that weight on a CPU: by loops for which kind of CPU, or
    by torch's "general" way."""
    loops, here = _loops(), machine.machine()
    return here.kind if loops and here and loops.has_loop(weight.plain) else "general"


@cache
def _loops() -> ModuleType | None:
    """The products by loops, where there are any: else not even what writes them is there."""
    if machine.machine() is None:
        return None
    with MAKING:  # a fork must not find it half imported
        return import_module("qdemo.compress.cpu")


def prepare() -> None:
    """Have the loops of all usual formats compiled, where there are any."""
    if (loops := _loops()) is not None:
        loops.prepare()


class _Product(torch.autograd.Function):
    """x · Ŵᵀ; for the gradient of `x` the weights are made floats once more."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: QTensor, bits: int | None) -> Tensor:
        ctx.weight = weight
        return _product(x, weight, bits)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        out = grad.new_zeros(len(grad), ctx.weight.shape[1])
        for rows, part in ctx.weight.pieces(_height(grad, ctx.weight)):
            out.addmm_(grad[:, rows], part.dequantize(grad.dtype))
        return out, None, None


def _product(x: Tensor, weight: QTensor, bits: int | None) -> Tensor:
    loops = _loops() if x.is_cpu and not torch.compiler.is_compiling() else None
    out: Tensor | None = None if loops is None else loops.times(x, weight, bits)
    if out is not None:
        return out
    if bits:
        return _product(_rounded(x.float()), weight, None).to(x.dtype)
    if x.is_cpu and x.shape[0] <= FEW:
        out = slices.in_integers(x, weight, _BLOCK)
    return _in_blocks(x, weight) if out is None else out


def _rounded(x: Tensor) -> Tensor:
    """What `quantize_tensor(x, BY_TOKEN).dequantize()` gives; rows that are not finite become NaN,
    as in any product, and leave others as they are."""
    unit = x.abs().amax(1, keepdim=True) if x.shape[1] else x.new_zeros(len(x), 1)
    unit = (unit / 127).clamp_min_(torch.finfo(x.dtype).tiny)
    return (x / unit).round_().clamp_(-127, 127).mul_(unit)


BY_TOKEN = Scheme("int8")
"""What activations become that are rounded: the scale of a token is its own largest size / 127."""


def _in_blocks(x: Tensor, weight: QTensor) -> Tensor:
    """With the weights made floats, some rows at a time; scales that rows share come last."""
    if _is_slow(x):
        return _in_blocks(x.float(), weight).to(x.dtype)
    scaled_last = weight.has_row_scales and _sums_fit(x, weight)
    out = x.new_empty(x.shape[0], weight.shape[0])
    for rows, part in weight.pieces(_height(x, weight)):
        floats = _numbers(part, x.dtype) if scaled_last else part.dequantize(x.dtype, scratch)
        torch.mm(x, floats.t(), out=out[:, rows])
    return out.mul_(weight.scale) if scaled_last else out


def _numbers(part: QTensor, dtype: torch.dtype) -> Tensor:
    """The stored numbers as floats."""
    floats = scratch(part.shape, dtype=dtype, device=part.device)
    return part.grid.decode(part.numbers(scratch), floats)


def _sums_fit(x: Tensor, weight: QTensor) -> bool:
    """Whether sums of products with the stored numbers, not yet scaled, stay in the range of the
    dtype: a scaled weight is mostly far smaller than its number. A GPU is not asked, which would
    have to be waited for."""
    if not x.numel():
        return True
    if not x.is_cpu:
        return False
    largest: float = torch.linalg.vector_norm(x, torch.inf).item()
    return largest * weight.scheme.qmax * x.shape[1] < torch.finfo(x.dtype).max


def _is_slow(x: Tensor) -> bool:
    """Whether fp32 is faster, once making the weights floats is counted: a CPU multiplies fp16
    slowly, and a few rows of bf16 don't make up for rounding the weights once more."""
    few = x.dtype == torch.bfloat16 and x.shape[0] <= FEW
    return x.is_cpu and (few or x.dtype == torch.float16)


def _height(x: Tensor, weight: QTensor) -> int:
    """Rows of weights at a time: neither their floats nor their products are more than a block."""
    most = _BLOCK if x.is_cpu else 2 * tile_size(x.device)
    return max(1, most // max(1, weight.shape[1], len(x)))
