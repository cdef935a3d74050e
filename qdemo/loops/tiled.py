"""What products of a few rows of floats and quantized weights share, however these lie.

Products of a group add up without its scale, `CHAIN` of them at a time, `STRETCH` such sums at a
time, which are scaled and added up in fp64: so long rows lose no more than short ones, and what
comes after a loud activation is rounded to its digits a few times only.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qdemo.loops.codes import Weights, narrowed
from qdemo.loops.emit import F16, F32, F64, I32, I64, POINTER, Value, i64, of, vector
from qdemo.loops.machine import Kind, takes_fp16

CHAIN = 16
"""Products that a lane adds up before their sum is added to others."""

STRETCH = 8
"""Sums that are added up in fp32 before they are in fp64, which takes twice the registers."""


@dataclass(frozen=True)
class Tile:
    """Panels, or rows, of weights beside rows of x at a time, and how many sums of each are under
    way at once, as an addition takes a while."""

    weights: int
    rows: int
    sums: int


Sums = Callable[[Value, Value, Value], list[Value]]
"""Writes sums of products of a group, from one place to another."""

Tiled = Callable[[Value, Value, Tile], None]
"""Writes the product of a tile: of rows of weights from one on, and rows of x from one on."""

ONE = Tile(1, 1, 2)


def tiles(kind: Kind, in_panels: bool) -> tuple[Tile, Tile]:
    """For one row of x, and for more: as many sums as there are registers for."""
    if kind == "avx512":
        return (Tile(4, 1, 2), Tile(2, 8, 1)) if in_panels else (Tile(8, 1, 1), Tile(4, 4, 1))
    return (Tile(2, 1, 2), Tile(1, 4, 1)) if kind == "avx2" else (ONE, Tile(1, 2, 1))


class Product:
    """What both ways of lying share."""

    def __init__(self, weights: Weights, given: Sequence[Value]) -> None:
        """Of those weights, with the numbers of a call."""
        self.w, self.e, self.b = weights, weights.e, weights.e.b
        x, y, self.rows, self.floats = given
        self.x, self.y = self.b.inttoptr(x, POINTER), self.b.inttoptr(y, POINTER)
        self.n_groups = self.b.udiv(self.w.length, self.w.group)
        self.flags = self.b.alloca(I32)
        self.e.store(of(I32, 0), self.flags, align=4)

    def row(self, m: Value, i: int) -> Value:
        """m + i; where there is no such row, the last one again."""
        return self.e.least(self.b.add(m, i64(i)), self.b.sub(self.rows, i64(1))) if i else m

    def x_rows(self, m: Value, count: int) -> list[Value]:
        """Where rows of x lie."""
        places = (self.b.mul(self.row(m, i), self.w.length) for i in range(count))
        return [self.e.at(self.x_start(), place, self.x_type) for place in places]

    x_type: Value = F32

    def x_start(self) -> Value:
        """Where the first of them lies."""
        return self.x

    def put(self, value: Value, m: Value, row: Value) -> None:
        """Store results of rows of weights from `row` on, and note where one is not finite."""
        e, b = self.e, self.b
        lanes = getattr(value.type, "count", 1)
        exponent = of(vector(I32, lanes), 0x7F800000)
        odd = b.icmp_signed("==", b.and_(b.bitcast(value, exponent.type), exponent), exponent)
        marks = b.zext(odd, exponent.type)
        mark = e.call(f"llvm.vector.reduce.or.v{lanes}i32", I32, marks) if lanes > 1 else marks
        e.store(b.or_(e.load(self.flags, I32, align=4), mark), self.flags, align=4)
        place = b.add(b.mul(m, self.w.n), row)
        ways: list[Callable[[], Value]] = [lambda: value, lambda: narrowed(e, value)]
        ways += [lambda: b.fptrunc(value, vector(F16, lanes))] if takes_fp16(e.kind) else []
        for number, made in enumerate(ways):
            with b.if_then(b.icmp_signed("==", self.floats, i64(number))):
                e.store(made(), self.y, place, align=2)

    def over_rows(self, first: Value, last: Value, lanes: int, one: Tiled) -> Value:
        """Write `one` for whole tiles of weights from `first` on, of the tile that fits the rows of
        x; the first row of weights that is left."""
        b, done = self.b, self.b.alloca(I64)

        def all_of(tile: Tile) -> None:
            step = tile.weights * lanes
            whole = b.sub(last, b.urem(b.sub(last, first), i64(step)))
            self.e.store(whole, done, align=8)
            self.e.loop(first, whole, step, lambda n, _: self.each(
                lambda m: one(n, m, tile), tile.rows))  # fmt: skip

        single, several = tiles(self.e.kind, bool(self.w.form.planes))
        with b.if_else(b.icmp_signed("==", self.rows, i64(1))) as (alone, together):
            with alone:
                all_of(single)
            with together:
                all_of(several)
        return self.e.load(done, I64, align=8)

    def each(self, one: Callable[[Value], None], step: int = 1) -> None:
        """Write `one` for all rows of x, so many at a time."""
        self.e.loop(i64(0), self.rows, step, lambda m, _: one(m))

    def over_groups(
        self,
        sums: Sums,
        scales: Callable[[Value], list[Value]],
        count: int,
        lanes: int,
        block: int,
    ) -> list[Value]:
        """`count` sums over whole rows of weights, fp64, a row a lane, or all lanes one. Those of
        group g between two places come from `sums`, one `block` after the other; `scales` gives
        what they are multiplied with, again and again for each row of x."""
        none = [of(vector(F32, lanes), 0.0)] * count

        def group(g: Value, total: list[Value]) -> list[Value]:
            start = self.b.mul(g, self.w.group)
            end = self.b.add(start, self.w.group)
            by = [self._wide(scale) for scale in scales(g)]

            def part(k: Value, so_far: list[Value]) -> list[Value]:
                found = sums(g, k, self.e.least(self.b.add(k, i64(block)), end))
                return [self.b.fadd(a, c) for a, c in zip(so_far, found, strict=True)]

            def stretch(k: Value, total: list[Value]) -> list[Value]:
                stop = self.e.least(self.b.add(k, i64(STRETCH * block)), end)
                whole = self.e.loop(k, stop, block, part, none)
                found = (self._wide(self.halved(one)) for one in whole)
                terms = zip(found, by * (count // len(by)), total, strict=True)
                return [self.e.multiply_add(*each) for each in terms]

            return self.e.loop(start, end, STRETCH * block, stretch, total)

        like = self._wide(self.halved(none[0]))
        return self.e.loop(i64(0), self.n_groups, 1, group, [of(like.type, 0.0)] * count)

    def halved(self, value: Value) -> Value:
        """The same sum in fewer lanes, where they are added up in the end."""
        return value

    def _wide(self, value: Value) -> Value:
        return self.b.fpext(value, vector(F64, getattr(value.type, "count", 1)))

    def in_fp32(self, value: Value) -> Value:
        """A sum as it is stored."""
        return self.b.fptrunc(value, vector(F32, getattr(value.type, "count", 1)))

    def folded(self, sums: list[Value], several: int) -> list[Value]:
        """Sums of which `several` each are one."""
        found = sums[::several]
        for i in range(1, several):
            found = [self.b.fadd(a, c) for a, c in zip(found, sums[i::several], strict=True)]
        return found
