"""Linear quantization.

q = clamp(round(x / scale) + zero_point, qmin, qmax),   x̂ = scale · (q − zero_point)

Rounding is half to even. Symmetric: scale = absmax / qmax, q in −qmax … qmax, no zero point.
Affine: the range is widened to hold 0, scale = (max − min) / (2^bits − 1), q in 0 … 2^bits − 1.
(Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
Inference", 2018, arXiv 1712.05877, equation 1.) Scales are chosen and kept in fp32 whatever the
dtype of the tensor, fp64 for fp64. They are never below the smallest normal number, so that an
all-zero or subnormal block divides by something, and never so large that scale · qmax overflows:
both ends still come back within scale / 2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from qdemo.numerics.blocks import from_blocks, scale_shape, tiles, to_blocks
from qdemo.numerics.formats import Format
from qdemo.numerics.packing import New, pack, packed_length, unpack
from qdemo.numerics.scheme import Scheme


@dataclass(frozen=True, eq=False)
class QTensor:
    """A quantized tensor.

    `packed` is what is held: the numbers in the scheme's storage dtype, or uint8 with several
    numbers a byte along the last axis where they have fewer than 8 bits. `scale`, and
    `zero_point` where the scheme is affine, have the shape () per tensor, (C,) per channel,
    (C, G) per group. `shape` is that of the tensor that was quantized; `dtype` is what
    `dequantize` returns unless it is told otherwise.
    """

    packed: Tensor
    scale: Tensor
    zero_point: Tensor | None
    scheme: Scheme
    shape: tuple[int, ...]
    dtype: torch.dtype = torch.float32

    @property
    def data(self) -> Tensor:
        """The stored numbers, one an element, of shape `shape`."""
        return self.numbers()

    def numbers(self, new: New = torch.empty) -> Tensor:
        """`data`; where it has to be unpacked, in memory from `new`."""
        if self.scheme.bits == 8:
            return self.packed
        length = self.shape[-1] if self.shape else 1
        codes = unpack(self.packed, self.scheme.bits, length, new).sub_(_offset(self.scheme))
        return codes.view(self.scheme.storage.dtype).reshape(self.shape)

    @property
    def device(self) -> torch.device:
        """Where the numbers lie."""
        return self.packed.device

    @property
    def nbytes(self) -> int:
        """Bytes held: numbers, scales and zero points."""
        zero_point = 0 if self.zero_point is None else self.zero_point.nbytes
        return self.packed.nbytes + self.scale.nbytes + zero_point

    def dequantize(self, dtype: torch.dtype | None = None, new: New = torch.empty) -> Tensor:
        """x̂ = scale · (q − zero_point), of shape `shape`; computed in the scale's dtype.

        In memory from `new`, unless numbers that share a scale lie apart.
        """
        q = _blocks(self.numbers(new), self.scheme)
        x = new(tuple(q.shape), dtype=dtype or self.dtype, device=self.device)
        scale, zero_point = _columns(self.scale, self.zero_point)
        for rows, columns in tiles(q):
            own = None if zero_point is None else zero_point[rows]
            _put_values(x[rows, columns], q[rows, columns], scale[rows], own)
        return from_blocks(x, self.shape, self.scheme.axis)

    @property
    def rows_are_apart(self) -> bool:
        """Whether a matrix's rows can be dequantized one by one; groups down a column join them."""
        return self.scheme.axis != 1 or self.scheme.group_size is None

    @cached_property
    def has_row_scales(self) -> bool:
        """Whether a matrix's rows have one scale each, or all the same, and no zero points."""
        scheme = self.scheme
        return scheme.symmetric and scheme.group_size is None and scheme.axis in (0, None)

    def rows(self, index: slice | Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """`dequantize(dtype)[index]` of a matrix, without dequantizing rows that are apart.

        Raises:
            IndexError: a row does not exist; they are not counted from the end.
        """
        if not self.rows_are_apart:
            return _take(self.dequantize(dtype), index)
        return self.take(index).dequantize(dtype)

    def take(self, index: slice | Tensor) -> QTensor:
        """The QTensor of some rows of a matrix whose rows are apart.

        Raises:
            IndexError: as `rows`.
        """
        packed, scale, zero_point = _take(self.packed, index), self.scale, self.zero_point
        if self.scheme.axis == 0:
            scale = _take(scale, index)
            zero_point = None if zero_point is None else _take(zero_point, index)
        shape = (packed.shape[0], self.shape[1])
        return QTensor(packed, scale, zero_point, self.scheme, shape, self.dtype)


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
    low, high = _ranges(_blocks(x, scheme))  # (n_blocks,)
    span = torch.maximum(-low, high) if scheme.symmetric else high - low
    scale = _scale(span, scheme, torch.promote_types(x.dtype, torch.float32))
    shape = scale_shape(tuple(x.shape), scheme.axis, scheme.group_size)
    if scheme.symmetric:
        return scale.reshape(shape), None
    zero_point = (-low / scale).round().to(torch.uint8)
    return scale.reshape(shape), zero_point.reshape(shape)


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
    if x.is_meta:
        return _without_storage(x, scheme)
    if scale is None:
        scale, zero_point = choose_qparams(x, scheme)
    else:
        _check_given(x, scheme, scale, zero_point)
    blocks = _blocks(x, scheme)
    steps, zeros = _columns(scale, zero_point)
    q = torch.empty(blocks.shape, dtype=scheme.storage.dtype, device=x.device)
    for rows, columns in tiles(blocks):
        own = None if zeros is None else zeros[rows]
        q[rows, columns] = _numbers(blocks[rows, columns], scheme, steps[rows], own)
    packed = _pack(from_blocks(q, tuple(x.shape), scheme.axis), scheme)
    return QTensor(packed, scale, zero_point, scheme, tuple(x.shape), x.dtype)


def fake_quantize(x: Tensor, scheme: Scheme) -> Tensor:
    """What `quantize_tensor(x, scheme).dequantize()` gives, with a gradient.

    Only the rounding is passed straight through, as if it were not there (Bengio et al., 2013,
    arXiv 1308.3432). The scale keeps its own gradient, which reaches the values it was chosen
    from (as in Esser et al., "Learned Step Size Quantization", 2020, arXiv 1902.08153): without
    it the largest weight of a block never learns what its size costs the others.

    Raises:
        ValueError: as `choose_qparams`.
    """
    scale, zero_point = _columns(*choose_qparams(x, scheme))
    q = _numbers(_blocks(x, scheme), scheme, scale, zero_point)
    values = _values(q, scale, zero_point).to(x.dtype)
    return from_blocks(values, tuple(x.shape), scheme.axis)


def _blocks(x: Tensor, scheme: Scheme) -> Tensor:
    return to_blocks(x, scheme.axis, scheme.group_size)


def _numbers(blocks: Tensor, scheme: Scheme, scale: Tensor, zero_point: Tensor | None) -> Tensor:
    """q, still as floats, of blocks (n, length) with scales and zero points (n, 1)."""
    q: Tensor = _Round.apply(blocks / scale, scheme.storage)  # type: ignore[no-untyped-call]
    if zero_point is not None:
        q += zero_point
    return q.clamp_(scheme.qmin, scheme.qmax)


def _values(q: Tensor, scale: Tensor, zero_point: Tensor | None) -> Tensor:
    """x̂ of blocks q (n, length), as floats, with scales and zero points (n, 1)."""
    return (q if zero_point is None else q - zero_point) * scale


def _put_values(x: Tensor, q: Tensor, scale: Tensor, zero_point: Tensor | None) -> None:
    """Make `x` the values of the stored numbers `q`, both (n, length)."""
    wide = x.copy_(q) if x.dtype == scale.dtype else q.to(scale.dtype)
    if zero_point is not None:
        wide -= zero_point
    wide *= scale
    if wide is not x:
        x.copy_(wide)


def _columns(scale: Tensor, zero_point: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Scales and zero points as (n_blocks, 1), to stand beside their blocks."""
    return scale.reshape(-1, 1), None if zero_point is None else zero_point.reshape(-1, 1)


def _take(x: Tensor, index: slice | Tensor) -> Tensor:
    return x[index] if isinstance(index, slice) else x.index_select(0, index)


def _without_storage(x: Tensor, scheme: Scheme) -> QTensor:
    """The QTensor of a meta tensor: all shapes and dtypes, and nothing is computed."""
    shape = tuple(x.shape)
    length = shape[-1] if shape else 1
    held = shape if scheme.bits == 8 else (*shape[:-1], packed_length(length, scheme.bits))
    packed = x.new_empty(held, dtype=scheme.storage.dtype if scheme.bits == 8 else torch.uint8)
    outer = scale_shape(shape, scheme.axis, scheme.group_size)
    scale = x.new_empty(outer, dtype=torch.promote_types(x.dtype, torch.float32))
    zero_point = None if scheme.symmetric else x.new_empty(outer, dtype=torch.uint8)
    return QTensor(packed, scale, zero_point, scheme, shape, x.dtype)


class _Round(torch.autograd.Function):
    """To the nearest number that is stored, ties to even, in place; the gradient passes."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, storage: Format) -> Tensor:
        ctx.mark_dirty(x)
        if not storage.is_float:
            return x.round_()
        return x.copy_(x.clamp_(storage.min, storage.max).to(storage.dtype))

    @staticmethod
    def backward(ctx: Any, *grad: Tensor) -> tuple[Tensor, None]:
        return grad[0], None


def _ranges(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """The lowest and highest value of each block, widened to hold 0, in fp64: (n_blocks,)."""
    if not blocks.is_floating_point() or blocks.dtype.itemsize < 2:
        raise ValueError(f"cannot quantize {blocks.dtype}; expected floats of 16 bits or more")
    if blocks.numel() == 0:
        zeros = blocks.new_zeros(blocks.shape[0], dtype=torch.float64)
        return zeros, zeros
    low, high = (stat.double() for stat in (blocks.amin(1), blocks.amax(1)))
    if not (torch.isfinite(low) & torch.isfinite(high)).all():
        raise ValueError(_not_finite(blocks))
    return low.clamp(max=0), high.clamp(min=0)


def _scale(span: Tensor, scheme: Scheme, dtype: torch.dtype) -> Tensor:
    info = torch.finfo(dtype)
    if (span > info.max).any():
        raise ValueError(f"the range {span.max().item():.3g} is wider than {dtype} can hold")
    largest = info.max * (1 - 4 * info.eps) / scheme.qmax
    return (span / scheme.qmax).to(dtype).clamp(info.tiny, largest)


def _pack(numbers: Tensor, scheme: Scheme) -> Tensor:
    if scheme.bits == 8:
        return numbers.contiguous()
    codes = (numbers.contiguous() + _offset(scheme)).to(torch.uint8)
    return pack(codes.reshape(1) if codes.ndim == 0 else codes, scheme.bits)


def _offset(scheme: Scheme) -> int:
    """What makes signed numbers count from 0, so that they can be packed."""
    return 2 ** (scheme.bits - 1) if scheme.storage.signed else 0


def _check_given(x: Tensor, scheme: Scheme, scale: Tensor, zero_point: Tensor | None) -> None:
    _ranges(_blocks(x, scheme))  # refuses NaN and infinities
    shape = scale_shape(tuple(x.shape), scheme.axis, scheme.group_size)
    for name, given in (("scale", scale), ("zero_point", zero_point)):
        if given is not None and tuple(given.shape) != shape:
            raise ValueError(f"{name} has shape {tuple(given.shape)}, expected {shape}")
    if (zero_point is None) != scheme.symmetric:
        raise ValueError(
            f"zero_point is {'missing' if zero_point is None else 'given'}, but {scheme} is "
            f"{'symmetric' if scheme.symmetric else 'affine'}"
        )
    if not ((scale > 0) & torch.isfinite(scale)).all():
        raise ValueError(f"scales must be positive and finite, got {scale.min().item()}")
    if (
        zero_point is not None
        and not ((zero_point >= scheme.qmin) & (zero_point <= scheme.qmax)).all()
    ):
        raise ValueError(f"zero points must be in {scheme.qmin} … {scheme.qmax}")


def _not_finite(x: Tensor) -> str:
    bad = int((~torch.isfinite(x)).sum())
    return f"cannot quantize: {bad} of {x.numel()} values are NaN or infinite"
