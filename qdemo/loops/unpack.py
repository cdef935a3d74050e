"""Numbers of panels (`numerics.packing`), one a byte and row by row again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qdemo.loops.emit import I8, I32, POINTER, Emitter, Value, i64, of, vector
from qdemo.loops.machine import LANES

WIDTHS = (4, 2, 1)
"""Bits of a number that a plane may hold, from the lowest bits on."""

BLOCK = LANES * LANES
"""Bytes of memory that it needs besides, of this thread."""


@dataclass(frozen=True)
class Packed:
    """Numbers of `bits` bits, an i64: `n` rows of `length` that lie at `codes`, and the memory that
    a panel is unpacked into: a row each `stride` bytes, which is a multiple of 128. `block` is
    memory of `BLOCK` bytes."""

    e: Emitter
    codes: Value
    n: Value
    length: Value
    bits: Value
    memory: Value
    stride: Value
    block: Value

    def unpack(self, row: Value) -> None:
        """Write what unpacks the panel whose first row this is."""
        e, b = self.e, self.e.b
        lanes = e.least(b.sub(self.n, row), i64(LANES))
        e.call("memset", POINTER, self.memory, of(I32, 0), b.mul(self.stride, i64(LANES)))
        start: Value = i64(0)
        for width in WIDTHS:
            is_held = b.icmp_signed("!=", b.and_(self.bits, i64(width)), i64(0))
            n_bytes = b.lshr(b.add(b.mul(self.length, i64(width)), i64(7)), i64(3))
            place = e.at(self.codes, b.add(start, b.mul(row, n_bytes)))
            with e.b.if_then(is_held):
                self._plane(width, place, n_bytes, lanes)
            start = b.add(start, b.select(is_held, b.mul(self.n, n_bytes), i64(0)))

    def _plane(self, width: int, place: Value, n_bytes: Value, lanes: Value) -> None:
        """The bytes of a full panel 16 at a time, and what is left one by one."""
        b = self.e.b
        shift = b.trunc(b.and_(self.bits, i64(8 - 2 * width)), I8)  # what planes before it hold
        is_full = b.icmp_signed("==", lanes, i64(LANES))
        whole = b.select(is_full, b.and_(n_bytes, i64(-LANES)), i64(0))
        self.e.loop(i64(0), whole, LANES, lambda j, _: self._block(width, place, j, shift))
        self.e.loop(whole, n_bytes, 1, lambda j, _: self.e.loop(
            i64(0), lanes, 1, lambda lane, _: self._byte(width, place, j, lane, lanes, shift)
        ) and None)  # fmt: skip

    def _block(self, width: int, place: Value, j: Value, shift: Value) -> None:
        """16 bytes of each of 16 rows."""
        e, b = self.e, self.e.b
        lines = e.at(place, b.mul(j, i64(LANES)))
        held = [e.load(lines, vector(I8), i64(LANES * i)) for i in range(LANES)]
        for i, row in enumerate(transposed(e, held)):
            e.store(row, self.block, i64(LANES * i))

        def spread(lane: Value, _: object) -> None:
            numbers = self._spread(width, e.load(self.block, vector(I8), b.mul(lane, i64(LANES))))
            target = b.add(b.mul(lane, self.stride), b.mul(j, i64(8 // width)))
            before = e.load(self.memory, numbers.type, target)
            own = b.shl(numbers, e.splat(shift, numbers.type.count))
            e.store(b.or_(before, own), self.memory, target)

        e.loop(i64(0), i64(LANES), 1, spread)

    def _spread(self, width: int, held: Value) -> Value:
        """The numbers of bytes, in their order."""
        b = self.e.b
        parts = [b.lshr(held, of(held.type, i)) if i else held for i in range(0, 8, width)]
        return _interleaved(self.e, [b.and_(one, of(one.type, (1 << width) - 1)) for one in parts])

    def _byte(
        self, width: int, place: Value, j: Value, lane: Value, lanes: Value, shift: Value
    ) -> None:
        e, b = self.e, self.e.b
        byte = e.load(place, I8, b.add(b.mul(j, lanes), lane))
        target = b.add(b.mul(lane, self.stride), b.mul(j, i64(8 // width)))
        for i in range(8 // width):
            number = b.and_(b.lshr(byte, of(I8, i * width)), of(I8, (1 << width) - 1))
            at = b.add(target, i64(i))
            e.store(b.or_(e.load(self.memory, I8, at), b.shl(number, shift)), self.memory, at)


def transposed(e: Emitter, rows: Sequence[Value]) -> list[Value]:
    """Columns of a square of bytes as vectors: four perfect shuffles of all its vectors, each of
    which moves the places by a bit."""
    half, found = len(rows) // 2, list(rows)
    for _ in range(half.bit_length()):
        found = [
            part
            for low, high in zip(found[:half], found[half:], strict=True)
            for part in _zipped(e, low, high)
        ]
    return found


def _zipped(e: Emitter, a: Value, c: Value) -> tuple[Value, Value]:
    """Lanes of both by turns: of their first halves, and of their second ones."""
    n = a.type.count
    places = [i // 2 + n * (i % 2) for i in range(2 * n)]
    low, high = (of(vector(I32, n), part) for part in (places[:n], places[n:]))
    return e.b.shuffle_vector(a, c, low), e.b.shuffle_vector(a, c, high)


def _interleaved(e: Emitter, parts: Sequence[Value]) -> Value:
    """The first lanes of all parts, then the second ones, and so on, as one vector."""
    if len(parts) == 1:
        return parts[0]
    a, c = _interleaved(e, parts[::2]), _interleaved(e, parts[1::2])
    n = a.type.count
    mask = of(vector(I32, 2 * n), [i // 2 + n * (i % 2) for i in range(2 * n)])
    return e.b.shuffle_vector(a, c, mask)
