"""Which scale and zero point just hold the range of each block.

Symmetric: scale = absmax / qmax. Affine: the range is widened to hold 0, scale = (max − min) /
(2^bits − 1); with a float zero point, or a minimum, it need not be, and is as narrow as the values.
Formats whose scales mean something else choose in their own way: MX takes the power of two
2^(floor(log2 absmax) − emax), and GGUF's symmetric integers the value of largest size, with its
sign, as their lowest number; K-quants search (`kquants`).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from qdemo.numerics import fast
from qdemo.numerics.blocks import with_fp64
from qdemo.numerics.kquants import searched
from qdemo.numerics.nested import BITS
from qdemo.numerics.qparams import QParams, has_minima
from qdemo.spec.messages import say
from qdemo.spec.scheme import Scheme


def chosen(blocks: Tensor, scheme: Scheme) -> QParams:
    """What blocks (n_blocks, length) ask for: (n_blocks,) each.

    Raises:
        ValueError: they are no floats of 16 bits or more, a value is NaN or infinite, or a range is
            wider than fp32 can hold.
    """
    if scheme.scale in BITS:
        _check_floats(blocks)
        _in_fp32(*_extremes(blocks))
        return searched(blocks, scheme)
    if scheme.zero_point == "float":
        return _float_zero_points(blocks, scheme)
    low, high = ranges(blocks)
    span = torch.maximum(-low, high) if scheme.symmetric else high - low
    dtype = torch.promote_types(blocks.dtype, torch.float32)
    scale = _scale(span, scheme.qmax, dtype if scheme.scale == "fp32" else torch.float32)
    if scheme.scale == "e8m0":
        scale = _power_of_two(span, scheme)
    if scheme.scale == "fp16" and scheme.symmetric and scheme.storage.kind == "integer":
        scale = _by_largest(blocks, span, scheme)
    if scheme.symmetric:
        return QParams(scale)
    return QParams(scale, (-low / scale).round().to(torch.uint8))


def ranges(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """The lowest and highest value of each block, widened to hold 0, in fp64: (n_blocks,).

    Raises:
        ValueError: as `chosen`.
    """
    _check_floats(blocks)
    if found := fast.ranges(blocks) if blocks.numel() else None:
        low, high = found
        return low.double(), high.double()
    low, high = _extremes(blocks)
    return low.clamp(max=0), high.clamp(min=0)


def _check_floats(blocks: Tensor) -> None:
    if not blocks.is_floating_point() or blocks.dtype.itemsize < 2:
        raise ValueError(
            say("cannot quantize {dtype}; expected floats of 16 bits or more", dtype=blocks.dtype)
        )


def _extremes(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """The same without 0, where there is a value."""
    if blocks.numel() == 0:
        zeros = with_fp64(blocks.new_zeros(blocks.shape[0])).double()
        return zeros, zeros
    low, high = (with_fp64(stat).double() for stat in (blocks.amin(1), blocks.amax(1)))
    if not (torch.isfinite(low) & torch.isfinite(high)).all():
        raise ValueError(_not_finite(blocks))
    return low, high


def _scale(span: Tensor, qmax: float, dtype: torch.dtype) -> Tensor:
    _check_span(span, dtype)
    info = torch.finfo(dtype)
    largest = info.max * (1 - 4 * info.eps) / qmax
    return (span / qmax).to(dtype).clamp(info.tiny, largest)


def _check_span(span: Tensor, dtype: torch.dtype) -> None:
    if (span > torch.finfo(dtype).max).any():
        raise ValueError(
            say(
                "the range {item:.3g} is wider than {dtype} can hold",
                item=span.max().item(),
                dtype=dtype,
            )
        )


def _in_fp32(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """The same in fp32, where all values have room in it."""
    _check_span(torch.maximum(-low, high), torch.float32)
    return low.float(), high.float()


def _power_of_two(span: Tensor, scheme: Scheme) -> Tensor:
    """2^(floor(log2 absmax) − emax), emax being the exponent of the grid's largest number; 2^−127
    where all is zero."""
    exponent = torch.frexp(span)[1] - 1 - math.floor(math.log2(scheme.qmax))
    exponent = torch.where(span == 0, -127, exponent).clamp(-127, 127)
    return torch.ldexp(torch.ones_like(span), exponent).float()


def _by_largest(blocks: Tensor, span: Tensor, scheme: Scheme) -> Tensor:
    """The value of largest size / −2^(bits − 1); of 8 bits absmax / 127 all the same."""
    if scheme.bits == 8 or not blocks.numel():
        return (span / scheme.qmax).float()
    place = blocks.abs().argmax(1, keepdim=True)
    return (blocks.gather(1, place)[:, 0] / -(2.0 ** (scheme.bits - 1))).float()


def _float_zero_points(blocks: Tensor, scheme: Scheme) -> QParams:
    _check_floats(blocks)
    low, high = _extremes(blocks)
    dtype = torch.promote_types(blocks.dtype, torch.float32)
    if has_minima(scheme):
        low, high = _in_fp32(low, high)  # what ggml computes in
        span = (high - low).clamp(max=torch.finfo(torch.float32).max)
        return QParams(span / scheme.qmax, minimum=low)
    # Steps so small that a zero point would leave fp32 are smaller than the values' own.
    size = torch.maximum(-low, high)
    scale = torch.maximum(_scale(high - low, scheme.qmax, dtype), (size * 2.0**-22).to(dtype))
    return QParams(scale, (-low / scale).to(scale.dtype))


def _not_finite(x: Tensor) -> str:
    bad = int((~torch.isfinite(x)).sum())
    return say(
        "cannot quantize: {bad} of {numel} values are NaN or infinite", bad=bad, numel=x.numel()
    )
