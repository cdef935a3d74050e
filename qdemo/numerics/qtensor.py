"""A quantized tensor: what is held of it, and its values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NoReturn

import torch
from torch import Tensor

from qdemo.numerics.blocks import from_blocks, take_rows, tiles, to_blocks
from qdemo.numerics.grids import Grid, grid_of
from qdemo.numerics.packing import LANES, New, Panels
from qdemo.numerics.qparams import QParams
from qdemo.numerics.scales import outer_shape, read, take
from qdemo.numerics.transforms import ROLES, Transform, transform_of
from qdemo.spec.messages import say
from qdemo.spec.scheme import Scheme


@dataclass(frozen=True, eq=False)
class QTensor:
    """A quantized tensor.

    `tensors` is what is held, by role. "codes" are those of the scheme's grid: of the shape of the
    tensor, or packed into bytes, flat, where they have fewer than 8 bits. "scale", and
    "zero_point" where the scheme is affine, have the shape () per tensor, (C,) per channel, (C, G)
    per group; what scales in other formats than fp32 have besides, `scales` tells. A weight that
    was transformed before has the role of its transform beside these (`transforms.ROLES`). `shape`
    is that of the tensor that was quantized; `dtype` is what `dequantize` returns unless it is told
    otherwise.
    """

    scheme: Scheme
    shape: tuple[int, ...]
    tensors: Mapping[str, Tensor]
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
        raise TypeError(
            say("{name} can't take a quantized tensor; give it dequantize()", name=name)
        )

    @property
    def packed(self) -> Tensor:
        """The codes as they are held."""
        return self.tensors["codes"]

    @property
    def qparams(self) -> QParams:
        """What the codes are decoded with: read anew each time, and held by nothing."""
        return read(self.tensors, self.scheme)

    @property
    def scale(self) -> Tensor:
        """What a step is worth, (), (C,) or (C, G): fp32, or fp64."""
        return self.qparams.scale

    @property
    def zero_point(self) -> Tensor | None:
        """The number that stands for zero, of the shape of `scale`; None where that is 0."""
        return self.qparams.zeros

    @cached_property
    def grid(self) -> Grid:
        """What the codes mean."""
        return grid_of(self.scheme.storage)

    @cached_property
    def transform(self) -> Transform | None:
        """What was done to the weight before it was rounded; `dequantize` undoes it."""
        return transform_of(self.tensors)

    @cached_property
    def plain(self) -> QTensor:
        """What was rounded: this without its transform."""
        if self.transform is None:
            return self
        held = {role: tensor for role, tensor in self.tensors.items() if role not in ROLES}
        return replace(self, tensors=held)

    @cached_property
    def panels(self) -> Panels | None:
        """How the codes are packed; None where each has a byte of its own."""
        return Panels.of(self.shape, self.grid.bits)

    @property
    def data(self) -> Tensor:
        """The codes, one an element, of shape `shape`."""
        return self.numbers()

    def numbers(self, new: New = torch.empty) -> Tensor:
        """`data`; where it has to be unpacked, in memory from `new`."""
        if self.panels is None:
            return self.packed
        return self.as_codes(self.panels.unpack(self.packed, new)).reshape(self.shape)

    def as_codes(self, unpacked: Tensor) -> Tensor:
        """Codes of numbers that count from 0, uint8, in the same memory."""
        offset = self.grid.offset
        return unpacked.sub_(offset).view(self.grid.dtype) if offset else unpacked

    @property
    def device(self) -> torch.device:
        """Where the numbers lie."""
        return self.packed.device

    def to(self, device: str | torch.device) -> QTensor:
        """The same there."""
        return replace(self, tensors={role: t.to(device) for role, t in self.tensors.items()})

    @property
    def nbytes(self) -> int:
        """Bytes held, in all roles."""
        return sum(tensor.nbytes for tensor in self.tensors.values())

    def dequantize(self, dtype: torch.dtype | None = None, new: New = torch.empty) -> Tensor:
        """x̂ = scale · (q − zero_point), or scale · q + minimum, of shape `shape`; computed in the
        scale's dtype.

        In memory from `new`, unless it has to be made whole: that much is nothing to hold on to.
        """
        new = new if self.rows_are_apart else torch.empty
        return self._values(self.numbers(new), dtype or self.dtype, new)

    @property
    def rows_are_apart(self) -> bool:
        """Whether this is a matrix whose rows can be dequantized one by one; groups down a column
        join them."""
        return len(self.shape) == 2 and (self.scheme.axis != 1 or self.scheme.group_size is None)

    @property
    def n_groups(self) -> int:
        """Scales of each row of a matrix whose scales are of its rows, of groups of them, or of all
        of it."""
        outer = outer_shape(self.shape, self.scheme)
        return outer[1] if len(outer) == 2 else 1

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
        dtype = dtype or self.dtype
        if not self.rows_are_apart:
            return take_rows(self.dequantize(dtype), index)
        if self.panels is None or isinstance(index, slice):
            return self.take(index).dequantize(dtype)
        codes = self.as_codes(self.panels.unpack(self.packed, rows=index))
        return self._with_rows(index, codes, len(codes))._values(codes, dtype, torch.empty)

    def take(self, index: slice | Tensor) -> QTensor:
        """The QTensor of some rows of a matrix whose rows are apart.

        Raises:
            IndexError: as `rows`.
        """
        if self.panels is None:
            codes = take_rows(self.packed, index)
            return self._with_rows(index, codes, len(codes))
        panels, codes = self.panels.take(self.packed, index)
        return self._with_rows(index, codes, panels.n_rows)

    def pieces(self, height: int) -> Iterator[tuple[slice, QTensor]]:
        """The tensor some rows at a time, with where they are: `height`, or the next whole panels.
        All at once where it has no more, or no rows that are apart."""
        if not self.rows_are_apart or height >= self.shape[0]:
            yield slice(None), self
            return
        height = height if self.panels is None else max(1, height // LANES) * LANES
        for start in range(0, self.shape[0], height):
            here = slice(start, start + height)
            yield here, self.take(here)

    def _with_rows(self, index: slice | Tensor, codes: Tensor, n_rows: int) -> QTensor:
        """This of `n_rows` rows, whose codes are these."""
        beside = {role: t for role, t in self.tensors.items() if role not in ROLES}
        kept = {role: t for role, t in self.tensors.items() if role in ROLES}
        scheme, tensors = take(beside, self.scheme, index)
        tensors |= {**kept, "codes": codes}
        return replace(self, scheme=scheme, shape=(n_rows, self.shape[1]), tensors=tensors)

    def _values(self, codes: Tensor, dtype: torch.dtype, new: New) -> Tensor:
        """The values of codes of shape `shape`."""
        if self.transform is not None:
            plain = self.plain._values(codes, self.scale.dtype, torch.empty)
            return self.transform.undone(plain).to(dtype)
        blocks, qparams = blocks_of(codes, self.scheme), self.qparams.columns()
        x = new(tuple(blocks.shape), dtype=dtype, device=self.device)
        for rows, columns in tiles(blocks):
            own = qparams.rows(rows)
            _put_values(x[rows, columns], self.grid, blocks[rows, columns], own)
        return from_blocks(x, self.shape, self.scheme.axis)


def blocks_of(x: Tensor, scheme: Scheme) -> Tensor:
    """The numbers that share a scale, one block a row."""
    return to_blocks(x, scheme.axis, scheme.group_size)


def _put_values(x: Tensor, grid: Grid, codes: Tensor, qparams: QParams) -> None:
    """Make `x` the values of `codes`, both (n, length)."""
    scale = qparams.scale
    wide = x if x.dtype == scale.dtype else torch.empty_like(x, dtype=scale.dtype)
    grid.decode(codes, wide)
    if qparams.zero_point is not None:
        wide -= qparams.zero_point
    wide *= scale
    if qparams.minimum is not None:
        wide += qparams.minimum
    if wide is not x:
        x.copy_(wide)
