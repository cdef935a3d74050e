"""What products of a few rows of floats and quantized weights share, however these lie.

Products of a group are added up in fp32 without its scale, eight of a row or so in pairs of pairs,
and such sums are scaled and added up in fp64. So no product is rounded more than four times before,
be it by itself or within a sum: each time by at most u = 2⁻²⁴ of the sizes of what is in the sum.
With P the sum of all positive products, N that of the others, and the result rounded once more, the
error is at most 4u(P + N) + u|P − N| ≤ 8u · max(P, N), but for multiples of u²: four units of fp32
(2u) of the largest partial sum, whatever is loud, wherever it stands and however long rows are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from qdemo.loops.codes import Weights
from qdemo.loops.emit import F16, F32, F64, I32, I64, POINTER, Value, i64, of, vector
from qdemo.loops.machine import Kind, takes_fp16
from qdemo.loops.scales import narrowed


@dataclass(frozen=True)
class Tile:
    """Panels, or rows, of weights beside rows of x at a time."""

    weights: int
    rows: int


Sums = Callable[[Value, Any], list[Value]]
"""Writes sums of products of a group: from one place on, of so many."""

Unit = Callable[[Value], Value]
"""Makes numbers what is multiplied with x."""

Tiled = Callable[[Value, Value, Tile], None]
"""Writes the product of a tile: of rows of weights from one on, and rows of x from one on."""

ONE = Tile(1, 1)

Way = Literal["panels", "rows", "integers"]
"""How weights lie beside x: see `product`."""

_TILES: dict[Kind, dict[Way, tuple[Tile, Tile]]] = {
    "avx512": {
        "panels": (Tile(4, 1), Tile(1, 8)),
        "rows": (Tile(8, 1), Tile(2, 4)),
        "integers": (Tile(8, 1), Tile(4, 4)),
    },
    "avx2": {
        "panels": (ONE, Tile(1, 8)),
        "rows": (ONE, Tile(1, 4)),
        "integers": (Tile(2, 1), Tile(1, 4)),
    },
    "portable": {
        "panels": (ONE, Tile(1, 4)),
        "rows": (ONE, Tile(1, 4)),
        "integers": (ONE, Tile(1, 2)),
    },
}
"""For one row of x, and for more: the fastest of those that were measured."""


def widest(kind: Kind, *ways: Way) -> int:
    """Panels, or rows, of weights of the largest tile."""
    return max(tile.weights for way in ways for tile in _TILES[kind][way])


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

    way: Way = "panels"
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

        single, several = _TILES[self.e.kind][self.way]
        with b.if_else(b.icmp_signed("==", self.rows, i64(1))) as (alone, together):
            with alone:
                all_of(single)
            with together:
                all_of(several)
        return self.e.load(done, I64, align=8)

    def each(self, one: Callable[[Value], None], step: int = 1) -> None:
        """Write `one` for all rows of x, so many at a time."""
        self.e.loop(i64(0), self.rows, step, lambda m, _: one(m))

    def unit(self, g: Value, row: Value, lanes: int) -> Unit:
        """What makes numbers of group g of rows from `row` on what is multiplied: told from their
        zero point, or values, where they have a minimum."""
        e, b, w = self.e, self.b, self.w.beside
        zero, minimum = w.zero(g, row, lanes), w.minimum(g, row, lanes)
        own = None if minimum is None else w.scale(g, row, lanes)

        def made(number: Value) -> Value:
            wide = getattr(number.type, "count", 1) if lanes == 1 else 1
            if minimum is not None:  # the product is exact, so this is the value as it is told of
                by, more = (e.splat(one, wide) for one in (own, minimum))
                return e.multiply_add(number, by, more)
            return number if zero is None else b.fsub(number, e.splat(zero, wide))

        return made

    def scale(self, g: Value, row: Value, lanes: int) -> Value:
        """What sums of that are multiplied with."""
        if self.w.form.has_minima:
            return of(vector(F32, lanes), 1.0)
        return self.w.beside.scale(g, row, lanes)

    def over_groups(
        self,
        sums: Callable[[Value], Sums],
        scales: Callable[[Value], list[Value]],
        count: int,
        lanes: int,
        steps: Sequence[int | Value],
    ) -> list[Value]:
        """`count` sums over whole rows of weights, fp64, a row a lane, or all `lanes` one. Those of
        group g come from `sums(g)`, as many of the first of `steps` products at a time as there
        are, then of the next; `scales` gives what they are multiplied with, again and again for
        each row of x."""

        def group(g: Value, total: list[Value]) -> list[Value]:
            start = self.b.mul(g, self.w.group)
            end = self.b.add(start, self.w.group)
            by, some = [self.wide(scale) for scale in scales(g)], sums(g)

            def plus(total: list[Value], k: Value, step: int | Value) -> list[Value]:
                found = [self.wide(one) for one in some(k, step)]
                terms = zip(found, by * (count // len(by)), total, strict=True)
                return [self.e.multiply_add(*each) for each in terms]

            if self.w.form.group and isinstance(steps[0], int):
                for at in range(0, self.w.form.group, steps[0]):
                    total = plus(total, self.b.add(start, i64(at)), steps[0])
                return total
            for step in steps:

                def more(k: Value, total: list[Value], step: int | Value = step) -> list[Value]:
                    return plus(total, k, step)

                stop = end
                if isinstance(step, int):
                    stop = self.b.sub(end, self.b.urem(self.b.sub(end, start), i64(step)))
                total, start = self.e.loop(start, stop, step, more, total), stop
            return total

        none = of(vector(F64, lanes), 0.0)
        return self.e.loop(i64(0), self.n_groups, 1, group, [none] * count)

    def sum_of(self, products: Sequence[tuple[Value, Value]]) -> Value:
        """Σ a · b, added up in pairs: of eight products, none is rounded more than four times."""
        if len(products) == 1:
            return self.b.fmul(*products[0])
        if len(products) == 2:
            return self.e.multiply_add(*products[1], self.b.fmul(*products[0]))
        half = len(products) // 2
        return self.b.fadd(self.sum_of(products[:half]), self.sum_of(products[half:]))

    def wide(self, value: Value) -> Value:
        """The same in fp64."""
        return self.b.fpext(value, vector(F64, getattr(value.type, "count", 1)))

    def in_fp32(self, value: Value) -> Value:
        """A sum as it is stored."""
        return self.b.fptrunc(value, vector(F32, getattr(value.type, "count", 1)))
