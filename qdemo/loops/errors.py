"""Errors of weights, e = ŵ − w: their sums, extremes and counts, and how often each occurs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qdemo.loops.cells import (
    AT_CELLS,
    AT_EDGES,
    CELLS,
    EDGES,
    HEAD,
    PART,
    PIECE,
    RANKS,
    SHIFT,
    SQUARES,
)
from qdemo.loops.compiling import compiled
from qdemo.loops.emit import F32, F64, I16, I32, I64, POINTER, Emitter, Value, i64, of, vector
from qdemo.loops.held import Held, Told, ahead, filled
from qdemo.loops.machine import FIRST_OWN, LANES, Kernel, Machine


def errors(here: Machine) -> Kernel:
    """The kernel, whose items are parts of tensors that the work tells of, one at a time; one, as
    both things it does are compiled at once."""

    def body(e: Emitter, arguments: Value, given: Sequence[Value], first: Value, _: Value) -> None:
        parts = e.pointer(arguments, FIRST_OWN)
        rows = _Rows(e, e.at(parts, e.b.mul(first, i64(8 * len(PART)))))
        with e.b.if_else(e.b.icmp_signed("==", given[0], i64(SQUARES))) as (squares, all_else):
            with squares:
                rows.add_squares()
            with all_else:
                rows.count_errors()

    return compiled(body, here)


class _Rows:
    """The rows of one part of the work."""

    def __init__(self, e: Emitter, part: Value) -> None:
        self.e, self.b, self.told = e, e.b, Told(e, part)
        self.first, self.last = self.told.edge("first"), self.told.edge("last")
        self.length, self.numel = self.told.number("length"), self.told.number("numel")
        self.slot = self.told.address("slot")
        self.held = Held(self.told, self.add)
        self.copied, self.errors = (self.told.memory(4 * (PIECE + LANES)) for _ in range(2))
        self.offsets, self.counts = (self.told.memory(8 * n) for n in (CELLS, RANKS))

    def add_squares(self) -> None:
        e, b = self.e, self.b
        start = b.mul(self.first, self.length)
        size = b.sub(e.least(b.mul(self.last, self.length), self.numel), start)
        w, whole = e.at(self.told.place("w"), start, F32), b.and_(size, i64(-LANES))
        total = of(F64, 0.0)
        for begin, end, lanes in ((i64(0), whole, LANES), (whole, size, 1)):

            def add(i: Value, sums: list[Value], lanes: int = lanes) -> list[Value]:
                x = b.fpext(e.load(w, vector(F32, lanes), i), vector(F64, lanes))
                return [e.multiply_add(x, x, sums[0])]

            (found,) = e.loop(begin, end, lanes, add, [of(vector(F64, lanes), 0.0)])
            total = b.fadd(total, e.sum(found))
        e.store(total, self.slot, align=8)

    def count_errors(self) -> None:
        """Row by row, and of each a piece at a time."""
        for memory, size in ((self.slot, AT_CELLS), (self.counts, 8 * RANKS)):
            self.e.call("memset", POINTER, memory, of(I32, 0), i64(size))
        for sign in range(2):
            self._offsets(sign)
        self.e.loop(self.first, self.last, 1, lambda row, _: self._row(row))
        for sign in range(2):
            self._sums(sign)

    def _row(self, row: Value) -> None:
        e, b = self.e, self.b
        start = b.mul(row, self.length)
        length = e.least(self.length, b.sub(self.numel, start))
        w, codes = e.at(self.told.place("w"), start, F32), self.held.codes(row, start)
        e.loop(i64(0), length, PIECE, lambda k, _: self._piece(
            row, k, e.least(b.sub(length, k), i64(PIECE)), w, codes))  # fmt: skip

    def _piece(self, row: Value, k: Value, count: Value, w: Value, codes: Value) -> None:
        """`count` values from the k-th of a row on. What fills up the last vector is 0 in both."""
        e, b = self.e, self.b
        w = filled(e, e.at(w, k, F32), self.copied, count, i64(4))
        x = self.held.put(row, k, count, w, codes)
        whole = b.and_(b.add(count, i64(LANES - 1)), i64(-LANES))
        self._count(self._measure(x, w, whole))

    def _measure(self, values: Value, w: Value, count: Value) -> Value:
        """Add up what is known of e at once, and keep its bits, as ranks need them. Vectors without
        an error are left out; gives how many values are kept."""
        e, b = self.e, self.b
        low, sign = e.splat(b.trunc(self.told.number("low"), I32)), of(vector(I32), CELLS << SHIFT)
        most = of(low.type, (CELLS << SHIFT) - 1)
        zero, one = of(vector(F32), 0.0), vector(I32)

        def measure(i: Value, carried: list[Value]) -> list[Value]:
            squares, zeroed, exact, largest, kept = carried
            ahead(e, w, b.add(i, i64(PIECE)), i64(4))
            x, own = e.load(values, vector(F32), i, 4), e.load(w, vector(F32), i)
            error = b.fsub(x, own)
            wide = b.fpext(error, vector(F64))
            bits = b.bitcast(b.fadd(error, zero), low.type)  # −0 becomes 0
            size = b.and_(bits, of(low.type, 0x7FFFFFFF))
            is_exact = b.icmp_signed("==", size, of(low.type, 0))
            is_zeroed = b.and_(b.fcmp_ordered("==", x, zero), b.fcmp_unordered("!=", own, zero))
            minus = b.ashr(bits, of(low.type, 31))
            place = self._between(b.sub(b.add(size, minus), low), most)
            e.store(b.add(place, b.and_(minus, sign)), self.errors, kept, 4)
            any_left = b.icmp_signed("!=", b.bitcast(is_exact, I16), of(I16, -1))
            return [
                e.multiply_add(wide, wide, squares),
                b.add(zeroed, b.zext(is_zeroed, one)),
                b.add(exact, b.zext(is_exact, one)),
                self._larger(largest, size),
                b.add(kept, b.select(any_left, i64(LANES), i64(0))),
            ]

        nothing = [of(vector(F64), 0.0), *[of(low.type, 0)] * 3, i64(0)]
        squares, zeroed, exact, largest, kept = e.loop(i64(0), count, LANES, measure, nothing)
        self.add("squares", e.sum(squares))
        self.add("zeroed", b.zext(e.sum(zeroed), I64))
        self.add("exact", b.zext(e.sum(exact), I64))
        found = b.zext(e.largest(largest), I64)
        known = e.load(self.slot, I64, i64(HEAD.index("largest")), 8)
        e.store(self._larger(known, found), self.slot, i64(HEAD.index("largest")), 8)
        return kept

    def _between(self, value: Value, most: Value) -> Value:
        """0 … most."""
        b, nothing = self.b, of(value.type, 0)
        value = b.select(b.icmp_signed("<", value, nothing), nothing, value)
        return b.select(b.icmp_signed(">", value, most), most, value)

    def _larger(self, a: Value, c: Value) -> Value:
        return self.b.select(self.b.icmp_signed(">", a, c), a, c)

    def _count(self, kept: Value) -> None:
        """Count the ranks of what was kept, four at a time."""
        e, b = self.e, self.b

        def count(i: Value, _: object) -> None:
            for j in range(4):
                bits = e.load(self.errors, I32, b.add(i, i64(j)), 4)
                cell = b.zext(b.lshr(bits, of(I32, SHIFT)), I64)
                offset = e.load(self.offsets, I32, cell, 4)
                rank = b.zext(b.lshr(b.add(bits, offset), of(I32, SHIFT)), I64)
                e.store(b.add(e.load(self.counts, I32, rank, 4), of(I32, 1)), self.counts, rank, 4)

        e.loop(i64(0), kept, 4, count)

    def _offsets(self, sign: int) -> None:
        """Write the offsets of all cells of a sign."""
        e, b, offsets = self.e, self.b, self.e.at(self.offsets, i64(sign * CELLS), I32)

        def cell(i: Value, k: Value, nothing: Value) -> Value:
            number = b.trunc(b.add(k, i64(sign * EDGES)), I32)
            e.store(b.shl(number, of(I32, SHIFT)), offsets, i, 4)
            return nothing

        def edge(k: Value, cut: Value, above: Value, nothing: Value) -> Value:
            end = b.shl(b.trunc(b.add(cut, i64(1)), I32), of(I32, SHIFT))
            known = e.load(offsets, I32, cut, 4)
            e.store(b.add(known, b.sub(end, above)), offsets, cut, 4)
            return nothing

        self._along(sign, cell, edge)

    def _sums(self, sign: int) -> None:
        """Write how many of a sign lie below each cell and each edge."""
        e, b = self.e, self.b
        counts = e.at(self.counts, i64(sign * RANKS), I32)
        cells = e.at(self.slot, i64(AT_CELLS + 4 * sign * (CELLS + 1)))
        edges = e.at(self.slot, i64(AT_EDGES + 4 * sign * EDGES))

        def cell(i: Value, k: Value, below: Value) -> Value:
            e.store(below, cells, i, 4)
            return b.add(below, e.load(counts, I32, b.add(i, k), 4))

        def edge(k: Value, cut: Value, above: Value, below: Value) -> Value:
            e.store(below, edges, k, 4)
            return b.add(below, e.load(counts, I32, b.add(b.add(cut, k), i64(1)), 4))

        e.store(self._along(sign, cell, edge), cells, i64(CELLS), 4)

    def _along(
        self,
        sign: int,
        cell: Callable[[Value, Value, Value], Value],
        edge: Callable[[Value, Value, Value, Value], Value],
    ) -> Value:
        """Go along all cells of a sign, each with how many edges lie below it, and along the edges
        after the cell that each cuts; what is carried begins with 0."""
        e, b, edges = self.e, self.b, self.told.place("edges")
        start = b.add(b.trunc(self.told.number("low"), I32), of(I32, sign))

        def cells(first: Value, end: Value, k: Value, carried: Value) -> Value:
            return e.loop(first, end, 1, lambda i, c: [cell(i, k, c[0])], [carried])[0]

        def one(k: Value, carried: list[Value]) -> list[Value]:
            above = b.sub(e.load(edges, I32, k, 4), start)
            cut = b.zext(b.lshr(above, of(I32, SHIFT)), I64)
            end = b.add(cut, i64(1))
            return [end, edge(k, cut, above, cells(carried[0], end, k, carried[1]))]

        first, carried = e.loop(i64(0), i64(EDGES), 1, one, [i64(0), of(I32, 0)])
        return cells(first, i64(CELLS), i64(EDGES), carried)

    def add(self, name: str, value: Value) -> None:
        """Add to a number of the slot."""
        place = i64(HEAD.index(name))
        known = self.e.load(self.slot, value.type, place, 8)
        is_float = value.type == F64
        added = self.b.fadd(known, value) if is_float else self.b.add(known, value)
        self.e.store(added, self.slot, place, 8)
