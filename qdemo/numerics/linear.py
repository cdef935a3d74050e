"""Linear quantization, and that of the grids whose steps are not even.

q = clamp(round(x / scale) + zero_point, qmin, qmax),   x̂ = scale · (q − zero_point)

Rounding is half to even. Symmetric: scale = absmax / qmax, q in −qmax … qmax, no zero point.
Affine: the range is widened to hold 0, scale = (max − min) / (2^bits − 1), q in 0 … 2^bits − 1.
(Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", 2018, arXiv 1712.05877, equation 1.) Scales are chosen and kept in fp32 whatever the
dtype of the tensor, fp64 for fp64. They are never below the smallest normal number, so that an
all-zero or subnormal block divides by something, and never so large that scale · qmax overflows:
both ends still come back within scale / 2. Small floats and codebooks (`grids`) have no zero point;
the nearest of their numbers takes the place of round(x / scale).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from qdemo.numerics import fast
from qdemo.numerics.blocks import from_blocks, scale_shape, tiles, with_fp64
from qdemo.numerics.grids import Grid, IntGrid, grid_of
from qdemo.numerics.packing import Panels
from qdemo.numerics.qtensor import QTensor, as_columns, blocks_of
from qdemo.spec.messages import say
from qdemo.spec.scheme import Scheme


def choose_qparams(x: Tensor, scheme: Scheme) -> tuple[Tensor, Tensor | None]:
    """The scale, and the zero point where `scheme` is affine, that just hold each block's range.

    Shapes: () per tensor, (C,) per channel, (C, G) per group. Zero points are uint8.

    >>> x = torch.tensor([0.0, 1.0, 2.0, 3.0])
    >>> choose_qparams(x, Scheme("int2", symmetric=False, axis=None))
    (tensor(1.), tensor(0, dtype=torch.uint8))

    Raises:
        ValueError: `x` is not of a float dtype of 16 bits or more, a value is NaN or infinite, or
            the scheme does not fit the shape of `x`.
    """
    _check_known(scheme)
    low, high = _ranges(blocks_of(x, scheme))  # (n_blocks,)
    span = torch.maximum(-low, high) if scheme.symmetric else high - low
    scale = _scale(span, scheme, torch.promote_types(x.dtype, torch.float32))
    shape = scale_shape(tuple(x.shape), scheme.axis, scheme.group_size)
    if scheme.symmetric:
        return scale.to(x.device).reshape(shape), None
    zero_point = (-low / scale).round().to(torch.uint8)
    return scale.to(x.device).reshape(shape), zero_point.to(x.device).reshape(shape)


def quantize_tensor(
    x: Tensor, scheme: Scheme, scale: Tensor | None = None, zero_point: Tensor | None = None
) -> QTensor:
    """Quantize `x`, with the scale and zero point of `choose_qparams` unless they are given.

    >>> q = quantize_tensor(torch.tensor([0.0, 1.0, 2.0, 3.0]), Scheme.parse("int2-tensor-affine"))
    >>> q.data, q.dequantize(), q.packed.nbytes
    (tensor([0, 1, 2, 3], dtype=torch.uint8), tensor([0., 1., 2., 3.]), 1)

    Raises:
        ValueError: as `choose_qparams`; or `scale` and `zero_point` do not fit the scheme.
    """
    x = x.detach()
    _check_known(scheme)
    if x.is_meta:
        return _without_storage(x, scheme)
    if scale is None:
        scale, zero_point = choose_qparams(x, scheme)
    else:
        _check_given(x, scheme, scale, zero_point)
    blocks = blocks_of(x, scheme)
    grid, (steps, zeros) = grid_of(scheme.storage), as_columns(scale, zero_point)
    codes = from_blocks(_all_codes(blocks, grid, steps, zeros), tuple(x.shape), scheme.axis)
    return _held(_pack(codes, grid), scale, zero_point, scheme, x)


def with_codes(held: QTensor, codes: Tensor) -> QTensor:
    """The same scales with other codes, of the shape of the tensor and the grid's dtype."""
    return replace(held, tensors={**held.tensors, "codes": _pack(codes, held.grid)})


def fake_quantize(x: Tensor, scheme: Scheme) -> Tensor:
    """What `quantize_tensor(x, scheme).dequantize()` gives, with a gradient.

    Only the rounding is passed straight through, as if it were not there (Bengio et al., 2013,
    arXiv 1308.3432). The scale keeps its own gradient, which reaches the values it was chosen
    from (as in Esser et al., "Learned Step Size Quantization", 2020, arXiv 1902.08153): without
    it the largest weight of a block never learns what its size costs the others.

    Raises:
        ValueError: as `choose_qparams`.
    """
    scale, zero_point = as_columns(*choose_qparams(x, scheme))
    q = _numbers(blocks_of(x, scheme), scheme, scale, zero_point)
    values = _values(q, scale, zero_point).to(x.dtype)
    return from_blocks(values, tuple(x.shape), scheme.axis)


def _numbers(blocks: Tensor, scheme: Scheme, scale: Tensor, zero_point: Tensor | None) -> Tensor:
    """q, still as floats, of blocks (n, length) with scales and zero points (n, 1)."""
    grid = grid_of(scheme.storage)
    q: Tensor = _Round.apply(grid.scaled(blocks, scale), grid)  # type: ignore[no-untyped-call]
    if zero_point is not None:
        q += zero_point
    return q.clamp_(scheme.qmin, scheme.qmax)


def _all_codes(blocks: Tensor, grid: Grid, scale: Tensor, zero_point: Tensor | None) -> Tensor:
    """The codes of all blocks, a piece after the other, or by a loop where there is one."""
    if isinstance(grid, IntGrid):
        limits = int(grid.qmin), int(grid.qmax)
        q = fast.integers(blocks, scale, zero_point, *limits, grid.dtype)
        if q is not None:
            return q
    q = torch.empty(blocks.shape, dtype=grid.dtype, device=blocks.device)
    for rows, columns in tiles(blocks):
        own = None if zero_point is None else zero_point[rows]
        q[rows, columns] = _codes(blocks[rows, columns], grid, scale[rows], own)
    return q


def _codes(blocks: Tensor, grid: Grid, scale: Tensor, zero_point: Tensor | None) -> Tensor:
    """The same as codes; a zero point may be added to what was rounded already."""
    y = grid.scaled(blocks, scale)
    if zero_point is None:
        return grid.encode(y)
    return (grid.round_(y) + zero_point).clamp_(grid.qmin, grid.qmax).to(grid.dtype)


def _values(q: Tensor, scale: Tensor, zero_point: Tensor | None) -> Tensor:
    """x̂ of blocks q (n, length), as floats, with scales and zero points (n, 1)."""
    return (q if zero_point is None else q - zero_point) * scale


def _held(
    codes: Tensor, scale: Tensor, zero_point: Tensor | None, scheme: Scheme, like: Tensor
) -> QTensor:
    tensors = {"codes": codes, "scale": scale}
    if zero_point is not None:
        tensors["zero_point"] = zero_point
    return QTensor(scheme, tuple(like.shape), tensors, like.dtype)


def _without_storage(x: Tensor, scheme: Scheme) -> QTensor:
    """The QTensor of a meta tensor: all shapes and dtypes, and nothing is computed."""
    grid = grid_of(scheme.storage)
    codes = _pack(torch.empty_like(x, dtype=grid.dtype), grid)
    outer = scale_shape(tuple(x.shape), scheme.axis, scheme.group_size)
    scale = x.new_empty(outer, dtype=torch.promote_types(x.dtype, torch.float32))
    zero_point = None if scheme.symmetric else x.new_empty(outer, dtype=torch.uint8)
    return _held(codes, scale, zero_point, scheme, x)


class _Round(torch.autograd.Function):
    """To the nearest number of the grid, in place; the gradient passes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, grid: Grid) -> Tensor:
        ctx.mark_dirty(x)
        return grid.round_(x)

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None]:
        return grad[0], None


def _ranges(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """The lowest and highest value of each block, widened to hold 0, in fp64: (n_blocks,)."""
    if not blocks.is_floating_point() or blocks.dtype.itemsize < 2:
        raise ValueError(
            say("cannot quantize {dtype}; expected floats of 16 bits or more", dtype=blocks.dtype)
        )
    if blocks.numel() == 0:
        zeros = with_fp64(blocks.new_zeros(blocks.shape[0])).double()
        return zeros, zeros
    if found := fast.ranges(blocks):
        low, high = found
        return low.double(), high.double()
    low, high = (with_fp64(stat).double() for stat in (blocks.amin(1), blocks.amax(1)))
    if not (torch.isfinite(low) & torch.isfinite(high)).all():
        raise ValueError(_not_finite(blocks))
    return low.clamp(max=0), high.clamp(min=0)


def _scale(span: Tensor, scheme: Scheme, dtype: torch.dtype) -> Tensor:
    info = torch.finfo(dtype)
    if (span > info.max).any():
        raise ValueError(
            say(
                "the range {item:.3g} is wider than {dtype} can hold",
                item=span.max().item(),
                dtype=dtype,
            )
        )
    largest = info.max * (1 - 4 * info.eps) / scheme.qmax
    return (span / scheme.qmax).to(dtype).clamp(info.tiny, largest)


def _pack(codes: Tensor, grid: Grid) -> Tensor:
    panels = Panels.of(tuple(codes.shape), grid.bits)
    if panels is None:
        return codes.contiguous()
    numbers = codes.contiguous().view(torch.uint8) + grid.offset  # of signed ones, from 0 on
    return panels.pack(numbers.view(panels.n_rows, panels.length))


def _check_known(scheme: Scheme) -> None:
    if scheme.scale != "fp32" or scheme.zero_point != "int":
        raise ValueError(
            say(
                "{scheme} keeps scales in {scale} and zero points as {zero_point}; expected "
                "fp32 and int, which is all that is computed yet",
                scheme=scheme,
                scale=scheme.scale,
                zero_point=scheme.zero_point,
            )
        )


def _check_given(x: Tensor, scheme: Scheme, scale: Tensor, zero_point: Tensor | None) -> None:
    _ranges(blocks_of(x, scheme))  # refuses NaN and infinities
    shape = scale_shape(tuple(x.shape), scheme.axis, scheme.group_size)
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
    if not ((scale > 0) & torch.isfinite(scale)).all():
        raise ValueError(
            say("scales must be positive and finite, got {least}", least=scale.min().item())
        )
    if (
        zero_point is not None
        and not ((zero_point >= scheme.qmin) & (zero_point <= scheme.qmax)).all()
    ):
        raise ValueError(
            say("zero points must be in {qmin} … {qmax}", qmin=scheme.qmin, qmax=scheme.qmax)
        )


def _not_finite(x: Tensor) -> str:
    bad = int((~torch.isfinite(x)).sum())
    return say(
        "cannot quantize: {bad} of {numel} values are NaN or infinite", bad=bad, numel=x.numel()
    )
