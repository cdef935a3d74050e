"""A quantized tensor: what is held of it, and its values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

import torch
from torch import Tensor

from qdemo.numerics.blocks import from_blocks, tiles, to_blocks
from qdemo.numerics.packing import New, unpack
from qdemo.spec.scheme import Scheme


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

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> NoReturn:
        """Refuse to stand for a tensor. That it has this at all keeps torch from its shorter ways
        with a layer's weight, as TransformerEncoderLayer's, and has it call the layer instead.

        Raises:
            TypeError: always.
        """
        name = getattr(function, "__name__", function)
        raise TypeError(f"{name} can't take a quantized tensor; give it dequantize()")

    @property
    def data(self) -> Tensor:
        """The stored numbers, one an element, of shape `shape`."""
        return self.numbers()

    def numbers(self, new: New = torch.empty) -> Tensor:
        """`data`; where it has to be unpacked, in memory from `new`."""
        if self.scheme.bits == 8:
            return self.packed
        length = self.shape[-1] if self.shape else 1
        codes = unpack(self.packed, self.scheme.bits, length, new).sub_(offset(self.scheme))
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

        In memory from `new`, unless it has to be made whole: that much is nothing to hold on to.
        """
        new = new if self.rows_are_apart else torch.empty
        q = blocks_of(self.numbers(new), self.scheme)
        x = new(tuple(q.shape), dtype=dtype or self.dtype, device=self.device)
        scale, zero_point = as_columns(self.scale, self.zero_point)
        for rows, columns in tiles(q):
            own = None if zero_point is None else zero_point[rows]
            _put_values(x[rows, columns], q[rows, columns], scale[rows], own)
        return from_blocks(x, self.shape, self.scheme.axis)

    @property
    def rows_are_apart(self) -> bool:
        """Whether this is a matrix whose rows can be dequantized one by one; groups down a column
        join them."""
        return len(self.shape) == 2 and (self.scheme.axis != 1 or self.scheme.group_size is None)

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


def blocks_of(x: Tensor, scheme: Scheme) -> Tensor:
    """The numbers that share a scale, one block a row."""
    return to_blocks(x, scheme.axis, scheme.group_size)


def as_columns(scale: Tensor, zero_point: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """Scales and zero points as (n_blocks, 1), to stand beside their blocks."""
    return scale.reshape(-1, 1), None if zero_point is None else zero_point.reshape(-1, 1)


def offset(scheme: Scheme) -> int:
    """What makes signed numbers count from 0, so that they can be packed."""
    return 2 ** (scheme.bits - 1) if scheme.storage.signed else 0


def _put_values(x: Tensor, q: Tensor, scale: Tensor, zero_point: Tensor | None) -> None:
    """Make `x` the values of the stored numbers `q`, both (n, length)."""
    wide = x.copy_(q) if x.dtype == scale.dtype else q.to(scale.dtype)
    if zero_point is not None:
        wide -= zero_point
    wide *= scale
    if wide is not x:
        x.copy_(wide)


def _take(x: Tensor, index: slice | Tensor) -> Tensor:
    return x[index] if isinstance(index, slice) else x.index_select(0, index)
