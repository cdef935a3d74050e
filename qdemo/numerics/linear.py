"""Linear quantization, and that of the grids whose steps are not even.

q = clamp(round(x / scale) + zero_point, qmin, qmax),   x̂ = scale · (q − zero_point)

Rounding is half to even. Symmetric: scale = absmax / qmax, q in −qmax … qmax, no zero point.
Affine: the range is widened to hold 0, scale = (max − min) / (2^bits − 1), q in 0 … 2^bits − 1.
(Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", 2018, arXiv 1712.05877, equation 1.) Scales are chosen and kept in fp32 whatever the
dtype of the tensor, fp64 for fp64. They are never below the smallest normal number, so that an
all-zero or subnormal block divides by something, and never so large that scale · qmax overflows:
both ends still come back within scale / 2. Small floats and codebooks (`grids`) have no zero point;
the nearest of their numbers takes the place of round(x / scale). Scales that are held in other
formats (`scales`) are fp32 until then.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from qdemo.numerics.blocks import from_blocks
from qdemo.numerics.choosing import chosen, ranges
from qdemo.numerics.grids import Grid, grid_of
from qdemo.numerics.packing import Panels
from qdemo.numerics.qparams import QParams
from qdemo.numerics.qtensor import QTensor, blocks_of
from qdemo.numerics.rounding import codes_of
from qdemo.numerics.scales import hold, outer_shape, read
from qdemo.spec.messages import say
from qdemo.spec.scheme import Scheme


def choose_qparams(x: Tensor, scheme: Scheme) -> tuple[Tensor, Tensor | None]:
    """The scale, and the zero point where `scheme` is affine, that just hold each block's range.

    Shapes: () per tensor, (C,) per channel, (C, G) per group. Zero points are uint8, or floats
    where the scheme says so. Scales are in fp32 (fp64 for fp64) and not yet as they are held: see
    `held_qparams`.

    >>> x = torch.tensor([0.0, 1.0, 2.0, 3.0])
    >>> choose_qparams(x, Scheme("int2", symmetric=False, axis=None))
    (tensor(1.), tensor(0, dtype=torch.uint8))

    Raises:
        ValueError: `x` is not of a float dtype of 16 bits or more, a value is NaN or infinite, or
            the scheme does not fit the shape of `x`.
    """
    asked = _chosen(x, scheme)
    return asked.scale, asked.zeros


def held_qparams(
    x: Tensor, scheme: Scheme, scale: Tensor | None = None, zero_point: Tensor | None = None
) -> QParams:
    """What the codes of `quantize_tensor(x, scheme, scale, zero_point)` are decoded with: scales
    and zero points as they come back out of the format that they are held in.

    >>> held_qparams(torch.ones(1, 32), Scheme.parse("mxfp4"), torch.tensor([[0.3]])).scale
    tensor([[0.2500]])

    Raises:
        ValueError: as `quantize_tensor`.
    """
    return read(hold(_asked(x.detach(), scheme, scale, zero_point), scheme), scheme)


def held_scales(x: Tensor, scheme: Scheme, scale: Tensor | None = None) -> Tensor:
    """The scales of `held_qparams`, of the shape of `scale`; zero points are chosen.

    Raises:
        ValueError: as `choose_qparams`, or `scale` does not fit the scheme.
    """
    zero_point = None if scale is None or scheme.symmetric else choose_qparams(x, scheme)[1]
    return held_qparams(x, scheme, scale, zero_point).scale


def quantize_tensor(
    x: Tensor, scheme: Scheme, scale: Tensor | None = None, zero_point: Tensor | None = None
) -> QTensor:
    """Quantize `x`, with the scale and zero point of `choose_qparams` unless they are given.

    A given scale is in fp32, and is held as the scheme holds scales.

    >>> q = quantize_tensor(torch.tensor([0.0, 1.0, 2.0, 3.0]), Scheme.parse("int2-tensor-affine"))
    >>> q.data, q.dequantize(), q.packed.nbytes
    (tensor([0, 1, 2, 3], dtype=torch.uint8), tensor([0., 1., 2., 3.]), 1)

    Raises:
        ValueError: as `choose_qparams`; or `scale` and `zero_point` do not fit the scheme.
    """
    x = x.detach()
    if x.is_meta:
        return _without_storage(x, scheme)
    asked = _asked(x, scheme, scale, zero_point)
    tensors = hold(asked, scheme)
    q = codes_of(blocks_of(x, scheme), scheme, asked, read(tensors, scheme))
    codes = from_blocks(q, tuple(x.shape), scheme.axis)
    held = {"codes": _pack(codes, grid_of(scheme.storage)), **tensors}
    return QTensor(scheme, tuple(x.shape), held, x.dtype)


def with_codes(held: QTensor, codes: Tensor) -> QTensor:
    """The same scales with other codes, of the shape of the tensor and the grid's dtype."""
    return replace(held, tensors={**held.tensors, "codes": _pack(codes, held.grid)})


def fake_quantize(x: Tensor, scheme: Scheme) -> Tensor:
    """What `quantize_tensor(x, scheme).dequantize()` gives, with a gradient.

    Only the rounding is passed straight through, as if it were not there (Bengio et al., 2013,
    arXiv 1308.3432). The scale keeps its own gradient, which reaches the values it was chosen
    from (as in Esser et al., "Learned Step Size Quantization", 2020, arXiv 1902.08153): without
    it the largest weight of a block never learns what its size costs the others. Where scales are
    rounded too, or zero points are no integers, the gradient passes all of it.

    Raises:
        ValueError: as `choose_qparams`.
    """
    if scheme.scale != "fp32" or scheme.zero_point != "int":
        values: Tensor = _Whole.apply(x, scheme)  # type: ignore[no-untyped-call]
        return values
    qparams = _chosen(x, scheme).columns()
    q = _numbers(blocks_of(x, scheme), scheme, qparams)
    zero_point = qparams.zero_point
    values = (q if zero_point is None else q - zero_point) * qparams.scale
    return from_blocks(values.to(x.dtype), tuple(x.shape), scheme.axis)


def _numbers(blocks: Tensor, scheme: Scheme, qparams: QParams) -> Tensor:
    """q, still as floats, of blocks (n, length) with scales and zero points (n, 1)."""
    grid = grid_of(scheme.storage)
    q: Tensor = _Round.apply(grid.scaled(blocks, qparams.scale), grid)  # type: ignore[no-untyped-call]
    if qparams.zero_point is not None:
        q += qparams.zero_point
    return q.clamp_(scheme.qmin, scheme.qmax)


class _Round(torch.autograd.Function):
    """To the nearest number of the grid, in place; the gradient passes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, grid: Grid) -> Tensor:
        ctx.mark_dirty(x)
        return grid.round_(x)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None]:
        return grad[0], None


class _Whole(torch.autograd.Function):
    """What comes back of a tensor; the gradient passes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scheme: Scheme) -> Tensor:
        return quantize_tensor(x, scheme).dequantize()

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None]:
        return grad[0], None


def _asked(x: Tensor, scheme: Scheme, scale: Tensor | None, zero_point: Tensor | None) -> QParams:
    """What is to be held: what was given, or else chosen."""
    if scale is None:
        return _chosen(x, scheme)
    _check_given(x, scheme, scale, zero_point)
    return QParams.given(scheme, scale, zero_point)


def _chosen(x: Tensor, scheme: Scheme) -> QParams:
    shape = outer_shape(tuple(x.shape), scheme)
    return chosen(blocks_of(x, scheme), scheme).shaped(shape, x.device)


def _without_storage(x: Tensor, scheme: Scheme) -> QTensor:
    """The QTensor of a meta tensor: all shapes and dtypes, and nothing is computed."""
    grid = grid_of(scheme.storage)
    outer = outer_shape(tuple(x.shape), scheme)
    scale = x.new_empty(outer, dtype=torch.promote_types(x.dtype, torch.float32))
    zero_point = None
    if not scheme.symmetric:
        is_float = scheme.zero_point == "float"
        zero_point = torch.empty_like(scale, dtype=None if is_float else torch.uint8)
    tensors = hold(QParams.given(scheme, scale, zero_point), scheme)
    codes = _pack(torch.empty_like(x, dtype=grid.dtype), grid)
    return QTensor(scheme, tuple(x.shape), {"codes": codes, **tensors}, x.dtype)


def _pack(codes: Tensor, grid: Grid) -> Tensor:
    panels = Panels.of(tuple(codes.shape), grid.bits)
    if panels is None:
        return codes.contiguous()
    numbers = codes.contiguous().view(torch.uint8) + grid.offset  # of signed ones, from 0 on
    return panels.pack(numbers.view(panels.n_rows, panels.length))


def _check_given(x: Tensor, scheme: Scheme, scale: Tensor, zero_point: Tensor | None) -> None:
    ranges(blocks_of(x, scheme))  # refuses NaN and infinities
    shape = outer_shape(tuple(x.shape), scheme)
    for name, given in (("scale", scale), ("zero_point", zero_point)):
        if given is not None and tuple(given.shape) != shape:
            raise ValueError(
                say(
                    "{name} has shape {shape}, expected {expected}",
                    name=name,
                    shape=tuple(given.shape),
                    expected=shape,
                )
            )
    if (zero_point is None) != scheme.symmetric:
        raise ValueError(
            say(
                "zero_point is {found}, but {scheme} is {range}",
                found="missing" if zero_point is None else "given",
                scheme=scheme,
                range="symmetric" if scheme.symmetric else "affine",
            )
        )
    _check_scale(scheme, scale)
    if zero_point is not None:
        _check_zero_point(scheme, zero_point)


def _check_scale(scheme: Scheme, scale: Tensor) -> None:
    """Those of GGUF have a sign, and may be 0; so may those that were decoded from a byte."""
    if scheme.scale in ("fp32", "e8m0", "e4m3"):
        if not ((scale > 0) & torch.isfinite(scale)).all():
            raise ValueError(
                say("scales must be positive and finite, got {least}", least=scale.min().item())
            )
    elif not torch.isfinite(scale).all():
        raise ValueError(say("scales must be finite"))


def _check_zero_point(scheme: Scheme, zero_point: Tensor) -> None:
    if scheme.zero_point == "float":
        if not (zero_point.is_floating_point() and torch.isfinite(zero_point).all()):
            raise ValueError(say("zero points must be floats, and finite"))
    elif not ((zero_point >= scheme.qmin) & (zero_point <= scheme.qmax)).all():
        raise ValueError(
            say("zero points must be in {qmin} … {qmax}", qmin=scheme.qmin, qmax=scheme.qmax)
        )
