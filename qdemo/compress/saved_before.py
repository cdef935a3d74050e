"""Files that were written before quantized tensors held their parts by role: version 1.

The codes were called `packed`. Below 8 bits the numbers of a row were cut into units, the fewest
that fill whole bytes: two of 4 bits in one byte, eight of 3 bits in three. A unit took its numbers
from far apart: number i of unit k is element i · n_units + k of the row.
"""

from __future__ import annotations

from math import gcd

from torch import Tensor

from qdemo.compress.modules import QWeight
from qdemo.numerics.packing import Panels


def wanted(now: dict[str, Tensor], weights: dict[str, QWeight]) -> dict[str, Tensor]:
    """What such a file has to hold of a model that now holds tensors like these, by name."""
    found = dict(now)
    for name, weight in weights.items():
        like = found.pop(f"{name}.codes")
        if _panels(weight) is not None:
            lead, length = weight.shape[:-1], weight.shape[-1]
            like = like.new_empty(*lead, _packed_length(length, weight.scheme.bits))
        found[f"{name}.packed"] = like
    return found


def converted(tensors: dict[str, Tensor], weights: dict[str, QWeight]) -> dict[str, Tensor]:
    """The tensors of such a file, which were checked, as they are held now; one stays one."""
    found = dict(tensors)
    made: dict[tuple[int, object], Tensor] = {}
    for name, weight in weights.items():
        packed = found.pop(f"{name}.packed")
        key = id(packed), weight.scheme
        if key not in made:
            made[key] = _packed_again(packed, weight)
        found[f"{name}.codes"] = made[key]
    return found


def _packed_again(packed: Tensor, weight: QWeight) -> Tensor:
    panels = _panels(weight)
    if panels is None:
        return packed
    return panels.pack(_unpack(packed, panels.bits, panels.length))


def _panels(weight: QWeight) -> Panels | None:
    return Panels.of(weight.shape, weight.scheme.bits)


def _unpack(packed: Tensor, bits: int, length: int) -> Tensor:
    """The numbers, (n_rows, length), of packed rows, (n_rows, bytes)."""
    per_unit, n_bytes = _unit(bits)
    n_units = packed.shape[1] // n_bytes
    by_byte = packed.view(len(packed), n_bytes, n_units)
    numbers = packed.new_empty(len(packed), per_unit, n_units)
    for i in range(per_unit):
        first, start = divmod(bits * i, 8)
        run = by_byte[:, first] >> start
        if start + bits > 8:
            run |= by_byte[:, first + 1] << 8 - start
        numbers[:, i] = run & 2**bits - 1
    return numbers.view(len(packed), per_unit * n_units)[:, :length]


def _packed_length(length: int, bits: int) -> int:
    per_unit, n_bytes = _unit(bits)
    return -(-length // per_unit) * n_bytes


def _unit(bits: int) -> tuple[int, int]:
    """The numbers and the bytes of one unit."""
    return 8 // gcd(8, bits), bits // gcd(8, bits)
