"""The product of a few rows of floats and quantized weights, which are decoded in registers.

y = x · Ŵᵀ, with ŵ = scale · (number − zero point). In panels a value of x stands beside 16 rows of
weights at once, and no sum across lanes is ever needed; where weights are bytes, 16 of a row stand
beside 16 values of x. The products of a group add up without its scale, in blocks of `BLOCK`, whose
sums are added up and scaled: so the rounding errors of long rows stay small.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qdemo.loops.codes import STEP, Form, Panel, Weights, narrowed, widened
from qdemo.loops.emit import (
    F16,
    F32,
    I16,
    I32,
    I64,
    LANES,
    POINTER,
    Emitter,
    Kind,
    Value,
    i64,
    of,
    vector,
)  # fmt: skip
from qdemo.loops.machine import FIRST_OWN, Kernel, Machine, compiled

BLOCK = 64
"""Products that are added up before their sum is added to others."""

FLOATS = ("fp32", "bf16", "fp16")
"""What x and y may be, by the number that says so; fp16 where the CPU converts it."""


@dataclass(frozen=True)
class Tile:
    """Panels, or rows, of weights beside rows of x at a time, and how many sums of each are under
    way at once, as an addition takes a while."""

    weights: int
    rows: int
    sums: int


Tiled = Callable[[Value, Value, Tile], None]
"""Writes the product of a tile: of rows of weights from one on, and rows of x from one on."""

_ONE = Tile(1, 1, 2)


def tiles(kind: Kind, in_panels: bool) -> tuple[Tile, Tile]:
    """For one row of x, and for more: as many sums as there are registers for."""
    if kind == "avx512":
        return Tile(4, 1, 2), Tile(2, 8, 1)
    return (Tile(2, 1, 2), Tile(1, 4, 1)) if kind == "avx2" else (_ONE, Tile(1, 2, 1))


def product(form: Form, here: Machine) -> Kernel:
    """The kernel: it is called with x, y, rows of x, and which of `FLOATS` both are, for weights
    that the work tells of, rows of weights being its items. It returns 1 where any result is
    infinite or NaN."""
    writer = _InPanels if form.planes else _InRows

    def body(
        e: Emitter, arguments: Value, given: Sequence[Value], first: Value, last: Value
    ) -> Value:
        weights = Weights.given(e, form, arguments, FIRST_OWN)
        made = writer(weights, given)
        made.write(first, last)
        return e.load(made.flags, I32, align=4)

    return compiled(body, here, _as_fp32)


def chunk(n: int, threads: int, here: Machine, form: Form) -> int:
    """Rows of weights at a time: several pieces a thread, each of whole tiles."""
    tile = max(t.weights for t in tiles(here.kind, bool(form.planes)))
    whole = tile * (LANES if form.planes else 1)
    return min(-(-n // (8 * threads * whole)), max(1, 2048 // whole)) * whole


def floats(kind: Kind) -> tuple[str, ...]:
    """Those of `FLOATS` that the kernels of that kind take."""
    return FLOATS if _has_fp16(kind) else FLOATS[:2]


def _has_fp16(kind: Kind) -> bool:
    return kind != "portable"


def _as_fp32(e: Emitter, arguments: Value, given: Sequence[Value]) -> tuple[list[Value], Value]:
    """x as fp32, in memory of its own where it is something else."""
    x, y, rows, floats = given
    b = e.b
    size = b.mul(rows, e.argument(arguments, FIRST_OWN + 1))
    before = b.block
    with b.if_then(b.icmp_signed("!=", floats, i64(0))):
        memory = e.call("malloc", POINTER, b.mul(size, i64(4)))
        for number, type in ((1, I16), (2, F16))[: None if _has_fp16(e.kind) else 1]:
            with b.if_then(b.icmp_signed("==", floats, i64(number))):
                _convert(e, b.inttoptr(x, POINTER), type, memory, size)
        converted, inside = b.ptrtoint(memory, I64), b.block
    found, to_free = b.phi(I64), b.phi(POINTER)
    found.add_incoming(x, before)
    found.add_incoming(converted, inside)
    to_free.add_incoming(of(POINTER, None), before)
    to_free.add_incoming(memory, inside)
    return [found, y, rows, floats], to_free


def _convert(e: Emitter, source: Value, type: Value, target: Value, size: Value) -> None:
    """Vectors at a time, and what is left one by one."""
    whole = e.b.and_(size, i64(-LANES))
    for start, stop, lanes in ((i64(0), whole, LANES), (whole, size, 1)):
        e.loop(start, stop, lanes, lambda i, _, lanes=lanes: e.store(
            widened(e, e.load(source, vector(type, lanes), i)), target, i, align=4))  # fmt: skip


class _Product:
    """What both ways of lying share."""

    def __init__(self, weights: Weights, given: Sequence[Value]) -> None:
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
        return [self.e.at(self.x, place, F32) for place in places]

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
        ways = [lambda: value, lambda: narrowed(e, value)]
        ways += [lambda: b.fptrunc(value, vector(F16, lanes))] if _has_fp16(e.kind) else []
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
        sums: Callable[[Value, Value, Value], list[Value]],
        scales: Callable[[Value], list[Value]],
        count: int,
        lanes: int = LANES,
        block: int | None = None,
    ) -> list[Value]:
        """`count` sums over whole rows of weights. Those of group g between two places come from
        `sums`, where there is a `block` one after the other; `scales` gives what they are
        multiplied with, again and again for each row of x."""
        nothing = [of(vector(F32, lanes), 0.0)] * count

        def group(g: Value, total: list[Value]) -> list[Value]:
            start = self.b.mul(g, self.w.group)
            end = self.b.add(start, self.w.group)

            def part(k: Value, so_far: list[Value]) -> list[Value]:
                found = sums(g, k, self.e.least(self.b.add(k, i64(block or 0)), end))
                return [self.b.fadd(a, c) for a, c in zip(so_far, found, strict=True)]

            by = scales(g)
            whole = self.e.loop(start, end, block, part, nothing) if block else sums(g, start, end)
            return [self.e.multiply_add(one, by[i % len(by)], so_far)
                    for i, (one, so_far) in enumerate(zip(whole, total, strict=True))]  # fmt: skip

        return self.e.loop(i64(0), self.n_groups, 1, group, nothing)

    def folded(self, sums: list[Value], several: int) -> list[Value]:
        """Sums of which `several` each are one."""
        found = sums[::several]
        for i in range(1, several):
            found = [self.b.fadd(a, c) for a, c in zip(found, sums[i::several], strict=True)]
        return found


class _InPanels(_Product):
    """16 rows of weights in the lanes, a value of x in all of them."""

    def write(self, first: Value, last: Value) -> None:
        """Several panels at a time, then panel by panel, then the rows of the narrower one."""
        b, full = self.b, self.b.and_(self.w.n, i64(-LANES))
        end = self.e.least(last, full)
        left = self.over_rows(first, end, LANES, self._panels)
        self.e.loop(left, end, LANES, lambda n, _: self.each(lambda m: self._panels(n, m, _ONE)))
        narrow = Panel.of(self.w, full, 1, b.sub(self.w.n, full))
        start = b.select(b.icmp_signed("<", first, full), full, first)
        self.e.loop(start, last, 1, lambda n, _: self.each(lambda m: self._tile(
            [narrow.lane(self.e, b.sub(n, full))], [n], m, _ONE)))  # fmt: skip

    def _panels(self, n: Value, m: Value, tile: Tile) -> None:
        firsts = [self.b.add(n, i64(LANES * i)) for i in range(tile.weights)]
        panels = [Panel.of(self.w, first, LANES, i64(LANES)) for first in firsts]
        self._tile(panels, firsts, m, tile)

    def _tile(self, panels: list[Panel], firsts: list[Value], m: Value, tile: Tile) -> None:
        lanes, count = panels[0].lanes, len(panels) * tile.rows
        xs, levels = self.x_rows(m, tile.rows), self.w.levels(lanes)

        def sums(g: Value, start: Value, end: Value) -> list[Value]:
            zeros = [self.w.zero(g, first, lanes) for first in firsts]

            def step(k: Value, sums: list[Value]) -> list[Value]:
                several = [self.w.step(panel, k, levels) for panel in panels]
                for i in range(STEP):
                    numbers = [number(i) for number in several]
                    if self.w.form.has_zero_points:
                        numbers = [self.b.fsub(a, z) for a, z in zip(numbers, zeros, strict=True)]
                    place = self.b.add(k, i64(i))
                    for r, x in enumerate(xs):
                        value = self.e.splat(self.e.load(x, F32, place, align=4), lanes)
                        for p, number in enumerate(numbers):
                            at = (r * len(panels) + p) * tile.sums + i % tile.sums
                            sums[at] = self.e.multiply_add(number, value, sums[at])
                return sums

            nothing = [of(vector(F32, lanes), 0.0)] * (count * tile.sums)
            return self.folded(self.e.loop(start, end, STEP, step, nothing), tile.sums)

        def scales(g: Value) -> list[Value]:
            return [self.w.scale(g, first, lanes) for first in firsts]

        found = self.over_groups(sums, scales, count, lanes, BLOCK)
        for r in range(tile.rows):
            for p, first in enumerate(firsts):
                self.put(found[r * len(panels) + p], self.row(m, r), first)


class _InRows(_Product):
    """16 weights of a row in the lanes, beside 16 values of x."""

    def write(self, first: Value, last: Value) -> None:
        """Several rows at a time, then row by row."""
        left = self.over_rows(first, last, 1, self._tile)
        self.e.loop(left, last, 1, lambda n, _: self.each(lambda m: self._tile(n, m, _ONE)))

    def _tile(self, n: Value, m: Value, tile: Tile) -> None:
        rows = [self.b.add(n, i64(i)) for i in range(tile.weights)]
        places = [self.e.at(self.w.codes, self.b.mul(row, self.w.length)) for row in rows]
        xs, count = self.x_rows(m, tile.rows), tile.weights * tile.rows

        def sums(g: Value, start: Value, end: Value) -> list[Value]:
            zeros = [self.w.zero(g, row, 1) for row in rows]

            def step(k: Value, sums: list[Value]) -> list[Value]:
                values = [self.e.load(x, vector(F32), k, align=4) for x in xs]
                for p, place in enumerate(places):
                    number = self.w.in_row(place, k)
                    if self.w.form.has_zero_points:
                        number = self.b.fsub(number, self.e.splat(zeros[p]))
                    for r, value in enumerate(values):
                        at = (r * tile.weights + p) * tile.sums
                        made = self.e.multiply_add(number, value, sums[at])
                        # Those of a place take turns.
                        sums[at : at + tile.sums] = [*sums[at + 1 : at + tile.sums], made]
                return sums

            nothing = [of(vector(F32), 0.0)] * (count * tile.sums)
            return self.folded(self.e.loop(start, end, LANES, step, nothing), tile.sums)

        def scales(g: Value) -> list[Value]:
            return [self.e.splat(self.w.scale(g, row, 1)) for row in rows]

        found = self.over_groups(sums, scales, count)
        for r in range(tile.rows):
            own = found[r * tile.weights : (r + 1) * tile.weights]
            self.put(self._in_lanes([self.e.sum(one) for one in own]), self.row(m, r), n)

    def _in_lanes(self, values: list[Value]) -> Value:
        if len(values) == 1:
            return values[0]
        made = of(vector(F32, len(values)), 0.0)
        for i, value in enumerate(values):
            made = self.b.insert_element(made, value, of(I32, i))
        return made
