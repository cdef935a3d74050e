"""Integers below 8 bits, packed without gaps: the bytes held are the bytes claimed.

The numbers of a row are cut into units, the fewest numbers that fill whole bytes: two of 4 bits
in one byte, eight of 3 bits in three. A unit takes its numbers from far apart (number i of unit
k is element i · n_units + k of the row), so that every step below works on contiguous runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd
from typing import Protocol

import torch
from torch import Tensor


class New(Protocol):
    """What gives memory for a tensor, as `torch.empty` does; what it holds does not matter."""

    def __call__(
        self, shape: tuple[int, ...], /, *, dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        """A tensor of that shape."""


def pack(numbers: Tensor, bits: int) -> Tensor:
    """Pack unsigned integers below 2^bits, (..., n) uint8, into (..., packed_length(n)) uint8.

    A last unit that is not full is filled with zeros.

    >>> pack(torch.tensor([1, 2, 3, 4], dtype=torch.uint8), bits=4)
    tensor([49, 66], dtype=torch.uint8)
    """
    per_unit, n_bytes = unit(bits)
    *lead, n = numbers.shape
    n_units = -(-n // per_unit)
    padded = torch.nn.functional.pad(numbers, (0, n_units * per_unit - n))
    runs = padded.reshape(*lead, per_unit, n_units)
    packed = numbers.new_zeros(*lead, n_bytes, n_units)
    for i, j, shift in _overlaps(bits):
        packed[..., j, :] |= _shift(runs[..., i, :], shift)
    return packed.reshape(*lead, n_bytes * n_units)


def unpack(packed: Tensor, bits: int, n: int, new: New = torch.empty) -> Tensor:
    """Undo `pack`: the first `n` numbers of each row, uint8, in memory from `new`.

    >>> unpack(torch.tensor([49, 66], dtype=torch.uint8), bits=4, n=4)
    tensor([1, 2, 3, 4], dtype=torch.uint8)
    """
    per_unit, n_bytes = unit(bits)
    *lead, length = packed.shape
    n_units = length // n_bytes
    by_byte = packed.reshape(*lead, n_bytes, n_units)
    numbers = new((*lead, per_unit * n_units), dtype=packed.dtype, device=packed.device)
    runs = numbers.view(*lead, per_unit, n_units)
    for i in range(per_unit):
        first, start = divmod(bits * i, 8)
        run = torch.bitwise_right_shift(by_byte[..., first, :], start, out=runs[..., i, :])
        if start + bits > 8:
            run |= by_byte[..., first + 1, :] << 8 - start
        if start + bits != 8:
            run &= 2**bits - 1
    return numbers[..., :n]


def packed_length(n: int, bits: int) -> int:
    """Bytes that a row of `n` numbers takes.

    >>> packed_length(512, bits=4), packed_length(512, bits=3), packed_length(5, bits=3)
    (256, 192, 3)
    """
    per_unit, n_bytes = unit(bits)
    return -(-n // per_unit) * n_bytes


def unit(bits: int) -> tuple[int, int]:
    """The numbers and the bytes of one unit.

    >>> [unit(bits) for bits in (2, 3, 4)]
    [(4, 1), (8, 3), (2, 1)]
    """
    return 8 // gcd(8, bits), bits // gcd(8, bits)


def _overlaps(bits: int) -> Iterator[tuple[int, int, int]]:
    """Each (number i, byte j) of a unit that share bits, with the shift from i's place to j's."""
    per_unit, n_bytes = unit(bits)
    for i in range(per_unit):
        for j in range(n_bytes):
            shift = bits * i - 8 * j
            if -bits < shift < 8:
                yield i, j, shift


def _shift(x: Tensor, left: int) -> Tensor:
    return x << left if left >= 0 else x >> -left
