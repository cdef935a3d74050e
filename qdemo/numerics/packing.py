"""Numbers below 8 bits, packed without gaps: the bytes held are the bytes claimed.

16 rows of a matrix are a panel, in which each row is a lane; the rows that are left fill a narrower
one. Within a panel bytes run along the rows, so that a kernel reads the same place of 16 rows at
once: 4 bits lie as [panel][length / 2][lane], a byte holding numbers k (low) and k + 1 of its row.
A number of another width is cut into planes of 4, 2 and 1 bits, from its lowest bits on, which lie
one behind the other: 3 bits are a plane of 2 and one of 1. In each plane a row is filled up to
whole bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Protocol

import torch
from torch import Tensor

LANES = 16
"""Rows of a panel."""


class New(Protocol):
    """What gives memory for a tensor, as `torch.empty` does; what it holds does not matter."""

    def __call__(
        self, shape: tuple[int, ...], /, *, dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        """A tensor of that shape."""


@dataclass(frozen=True)
class _Plane:
    """`width` bits of each number, from bit `shift` on; a row takes `n_bytes`, and the plane begins
    at byte `start`."""

    width: int
    shift: int
    n_bytes: int
    start: int

    @property
    def per_byte(self) -> int:
        return 8 // self.width

    @property
    def ones(self) -> int:
        return (1 << self.width) - 1


@dataclass(frozen=True)
class Panels:
    """How a matrix of unsigned numbers of `bits` bits, (n_rows, length), lies in bytes.

    >>> panels = Panels(bits=4, n_rows=1, length=4)
    >>> packed = panels.pack(torch.tensor([[1, 2, 3, 4]], dtype=torch.uint8))
    >>> packed, panels.unpack(packed)
    (tensor([33, 67], dtype=torch.uint8), tensor([[1, 2, 3, 4]], dtype=torch.uint8))
    """

    bits: int
    n_rows: int
    length: int

    @classmethod
    def of(cls, shape: tuple[int, ...], bits: int) -> Panels | None:
        """Those of a tensor, whose last axis is a row; None where each number fills a byte."""
        if bits == 8:
            return None
        return cls(bits, prod(shape[:-1]), shape[-1] if shape else 1)

    @cached_property
    def planes(self) -> tuple[_Plane, ...]:
        """From the lowest bits on, the widest first."""
        found: list[_Plane] = []
        for width in (4, 2, 1):
            if self.bits & width:
                end = found[-1].start + found[-1].n_bytes * self.n_rows if found else 0
                shift = sum(plane.width for plane in found)
                found.append(_Plane(width, shift, -(-self.length * width // 8), end))
        return tuple(found)

    @property
    def n_bytes(self) -> int:
        """What the matrix takes.

        >>> [Panels(bits, 1, 512).n_bytes for bits in (4, 3)], Panels(3, 2, 5).n_bytes
        ([256, 192], 6)
        """
        return self.n_rows * sum(plane.n_bytes for plane in self.planes)

    def pack(self, numbers: Tensor) -> Tensor:
        """The bytes, flat, of numbers (n_rows, length), uint8."""
        packed = numbers.new_empty(self.n_bytes)
        for plane in self.planes:
            rows = _joined(numbers, plane)
            for first, panels in self._panels(packed, plane):
                panels.copy_(_by_lane(rows, first, panels))
        return packed

    def unpack(self, packed: Tensor, new: New = torch.empty, rows: Tensor | None = None) -> Tensor:
        """Undo `pack`: numbers (n_rows, length), or of the given `rows` alone; uint8, in memory
        from `new`."""
        found = None
        for plane in self.planes:
            held = self._rows(packed, plane, new) if rows is None else self._at(packed, plane, rows)
            numbers = _spread(held, plane.width, new)[:, : self.length]
            found = numbers if found is None else found.bitwise_or_(numbers << plane.shift)
        assert found is not None
        return found

    def take(self, packed: Tensor, rows: slice | Tensor) -> tuple[Panels, Tensor]:
        """Some rows as panels of their own; whole panels of a single plane are not copied."""
        if isinstance(rows, slice):
            first, last, step = rows.indices(self.n_rows)
            last = max(first, last)
            start, stop = first // LANES * LANES, min(-(-last // LANES) * LANES, self.n_rows)
            around, held = self._cut(packed, start, stop)
            if (first, last, step) == (start, stop, 1):
                return around, held
            numbers = around.unpack(held)[first - start : last - start : step]
        else:
            numbers = self.unpack(packed, rows=rows)
        taken = Panels(self.bits, len(numbers), self.length)
        return taken, taken.pack(numbers)

    def _panels(self, packed: Tensor, plane: _Plane) -> Iterator[tuple[int, Tensor]]:
        """Views of a plane, (panels, n_bytes, lanes): the full panels, and the narrower one; each
        with its first row."""
        full = self.n_rows // LANES * LANES
        for first, last, lanes in ((0, full, LANES), (full, self.n_rows, self.n_rows - full)):
            if last > first:
                start = plane.start + first * plane.n_bytes
                held = packed[start : start + (last - first) * plane.n_bytes]
                yield first, held.view((last - first) // lanes, plane.n_bytes, lanes)

    def _rows(self, packed: Tensor, plane: _Plane, new: New) -> Tensor:
        """The bytes of a plane row by row, (n_rows, n_bytes)."""
        shape = (self.n_rows, plane.n_bytes)
        rows = new(shape, dtype=packed.dtype, device=packed.device)
        for first, panels in self._panels(packed, plane):
            _by_lane(rows, first, panels).copy_(panels)
        return rows

    def _at(self, packed: Tensor, plane: _Plane, rows: Tensor) -> Tensor:
        """The same of some rows, (len(rows), n_bytes), without a look at the others."""
        every = torch.arange(self.n_rows, device=packed.device)
        rows = every.index_select(0, rows.to(packed.device))  # raises where there is no such row
        full = self.n_rows // LANES * LANES
        lane = torch.where(rows < full, rows % LANES, rows - full)
        lanes = torch.where(rows < full, LANES, self.n_rows - full)
        first = plane.start + (rows - lane) * plane.n_bytes + lane
        along = torch.arange(plane.n_bytes, device=packed.device)
        return packed[first[:, None] + along * lanes[:, None]]

    def _cut(self, packed: Tensor, first: int, last: int) -> tuple[Panels, Tensor]:
        parts = [
            packed[plane.start + first * plane.n_bytes : plane.start + last * plane.n_bytes]
            for plane in self.planes
        ]
        taken = Panels(self.bits, last - first, self.length)
        return taken, parts[0] if len(parts) == 1 else torch.cat(parts)


def _by_lane(rows: Tensor, first: int, panels: Tensor) -> Tensor:
    """The rows from `first` on, (n_rows, n_bytes), seen as `panels` are."""
    count, n_bytes, lanes = panels.shape
    return rows[first : first + count * lanes].view(count, lanes, n_bytes).transpose(1, 2)


def _joined(numbers: Tensor, plane: _Plane) -> Tensor:
    """The bytes of a plane of numbers (n_rows, length), (n_rows, n_bytes)."""
    padding = plane.n_bytes * plane.per_byte - numbers.shape[1]
    padded = torch.nn.functional.pad(numbers, (0, padding)) if padding else numbers
    dtype, steps = _SPREAD[plane.width]
    own = padded >> plane.shift if plane.shift else padded
    wide = (own & plane.ones).reshape(-1).view(dtype).view(len(numbers), plane.n_bytes)
    for shift, mask in reversed(steps):
        wide &= mask
        wide |= wide >> shift
    return wide.to(torch.uint8)


_SPREAD = {
    4: (torch.int16, ((4, 0x0F0F),)),
    2: (torch.int32, ((12, 0x000F000F), (6, 0x03030303))),
    1: (torch.int64, ((28, 0x0000000F0000000F), (14, 0x0003000300030003), (7, 0x0101010101010101))),
}
"""By the width of a number: an integer with a byte for each number of a byte, and how a byte
becomes that: (x | x << shift) & mask, again and again. (The lowest byte comes first in memory.)"""


def _spread(rows: Tensor, width: int, new: New) -> Tensor:
    """Numbers one an element, (n_rows, 8 / width · n_bytes), of bytes (n_rows, n_bytes)."""
    dtype, steps = _SPREAD[width]
    wide = new(tuple(rows.shape), dtype=dtype, device=rows.device).copy_(rows)
    for shift, mask in steps:
        wide.bitwise_or_(wide << shift).bitwise_and_(mask)
    return wide.view(torch.uint8)
