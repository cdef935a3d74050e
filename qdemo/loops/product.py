"""The product of a few rows of floats and quantized weights, which are decoded in registers.

y = x · Ŵᵀ, with ŵ = scale · (number − zero point). In panels a value of x stands beside 16 rows of
weights at once, and no sum across lanes is ever needed; where weights are bytes, 16 of a row stand
beside 16 values of x.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qdemo.loops.activations import as_bytes, as_fp32
from qdemo.loops.codes import AHEAD, STEP, Form, Panel, Weights
from qdemo.loops.compiling import compiled
from qdemo.loops.emit import F32, I8, I32, Emitter, Value, i64, of, vector
from qdemo.loops.machine import FIRST_OWN, LANES, Kernel, Machine
from qdemo.loops.tiled import CHAIN, ONE, Product, Sums, Tile, tiles


def product(here: Machine, form: Form, bits: int | None = None) -> Kernel:
    """The kernel: it is called with x, y, rows of x, and which of `FLOATS` both are, for weights
    that the work tells of, rows of weights being its items. It returns 1 where any result is
    infinite or NaN. With `bits` of 8 x is rounded to integers before: see `takes_integers`."""
    writer: Any = _InPanels if form.planes else _OfIntegers if bits else _InRows

    def body(
        e: Emitter, arguments: Value, given: Sequence[Value], first: Value, last: Value
    ) -> Value:
        made: _InPanels | _InRows = writer(Weights.given(e, form, arguments, FIRST_OWN), given)
        made.write(first, last)
        return e.load(made.flags, I32, align=4)

    return compiled(body, here, as_bytes if bits else as_fp32)


def takes_integers(form: Form, group: int, here: Machine) -> bool:
    """Whether there is a kernel with `bits` for such weights, in groups of so many."""
    is_plain = form.meaning == "integer" and not form.planes and not form.has_zero_points
    return is_plain and group % (4 * LANES if here.has_dots else LANES) == 0


def chunk(n: int, threads: int, here: Machine, form: Form) -> int:
    """Rows of weights at a time: several pieces a thread, each of whole tiles."""
    tile = max(t.weights for t in tiles(here.kind, bool(form.planes)))
    whole = tile * (LANES if form.planes else 1)
    return min(-(-n // (8 * threads * whole)), max(1, 2048 // whole)) * whole


class _InPanels(Product):
    """16 rows of weights in the lanes, a value of x in all of them."""

    def write(self, first: Value, last: Value) -> None:
        """Several panels at a time, then panel by panel, then the rows of the narrower one."""
        full = self.b.and_(self.w.n, i64(-LANES))
        left = self.over_rows(first, self.e.least(last, full), LANES, self._panels)
        self.w.each_panel(left, last, lambda panel, n: self.each(
            lambda m: self._tile([panel], [n], m, ONE)))  # fmt: skip

    def _panels(self, n: Value, m: Value, tile: Tile) -> None:
        firsts = [self.b.add(n, i64(LANES * i)) for i in range(tile.weights)]
        self._tile([self.w.panel(first) for first in firsts], firsts, m, tile)

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

        found = self.over_groups(sums, scales, count, lanes, CHAIN * tile.sums)
        for r in range(tile.rows):
            for p, first in enumerate(firsts):
                self.put(self.in_fp32(found[r * len(panels) + p]), self.row(m, r), first)


class _InRows(Product):
    """16 weights of a row in the lanes, beside 16 values of x."""

    def write(self, first: Value, last: Value) -> None:
        """Several rows at a time, then row by row."""
        left = self.over_rows(first, last, 1, self._tile)
        self.e.loop(left, last, 1, lambda n, _: self.each(lambda m: self._tile(n, m, ONE)))

    def _tile(self, n: Value, m: Value, tile: Tile) -> None:
        rows = [self.b.add(n, i64(i)) for i in range(tile.weights)]
        places = [self.e.at(self.w.codes, self.b.mul(row, self.w.length)) for row in rows]
        count = tile.weights * tile.rows

        def scales(g: Value) -> list[Value]:
            return [self.e.splat(self.w.scale(g, row, 1), LANES // 2) for row in rows]

        sums = self._sums(rows, places, m, tile)
        found = self.over_groups(sums, scales, count, LANES, LANES * CHAIN * tile.sums)
        for r in range(tile.rows):
            own = found[r * tile.weights : (r + 1) * tile.weights]
            whole = self._in_lanes([self.in_fp32(self.e.sum(one)) for one in own])
            self.put(self._in_units(whole, self.row(m, r)), self.row(m, r), n)

    def halved(self, value: Value) -> Value:
        """Half of the lanes beside the other: as fp64 they need twice the registers."""
        low, high = (self.e.lanes(value, range(i, i + LANES // 2)) for i in (0, LANES // 2))
        return self.b.fadd(low, high)

    def _in_units(self, value: Value, m: Value) -> Value:
        """Results for row m of x; here they are what they are."""
        return value

    def _sums(self, rows: list[Value], places: list[Value], m: Value, tile: Tile) -> Sums:
        """Those of a tile over a group, before they are scaled."""
        xs, count = self.x_rows(m, tile.rows), tile.weights * tile.rows

        def sums(g: Value, start: Value, end: Value) -> list[Value]:
            zeros = [self.w.zero(g, row, 1) for row in rows]

            def step(k: Value, sums: list[Value]) -> list[Value]:
                self._fetch(places, k, tile)
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

        return sums

    def _fetch(self, places: list[Value], k: Value, tile: Tile) -> None:
        """Bring what comes later nearer: a CPU foresees eight rows side by side, and not two."""
        for place in places if tile.rows > 1 else ():
            self.e.prefetch(self.e.at(place, self.b.add(k, i64(AHEAD))))

    def _in_lanes(self, values: list[Value]) -> Value:
        if len(values) == 1:
            return values[0]
        made = of(vector(F32, len(values)), 0.0)
        for i, value in enumerate(values):
            made = self.b.insert_element(made, value, of(I32, i))
        return made


class _OfIntegers(_InRows):
    """16 or 64 weights of a row beside as many integers of x, whose products add up exactly."""

    x_type = I8

    def x_start(self) -> Value:
        """Behind the units of all rows."""
        return self.e.at(self.x, self.b.mul(self.rows, i64(4)))

    def _in_units(self, value: Value, m: Value) -> Value:
        unit = self.e.load(self.x, F32, m, align=4)
        lanes = getattr(value.type, "count", 1)
        return self.b.fmul(value, self.e.splat(unit, lanes))

    def _sums(self, rows: list[Value], places: list[Value], m: Value, tile: Tile) -> Sums:
        xs, count = self.x_rows(m, tile.rows), tile.weights * tile.rows
        several = 4 if self.e.has_dots else 1  # products that one lane adds up
        extra = tile.weights if self.e.has_dots else 0

        def sums(_: Value, start: Value, end: Value) -> list[Value]:
            def step(k: Value, sums: list[Value]) -> list[Value]:
                self._fetch(places, k, tile)
                own = [self._some(place, k, several) for place in places]
                for r, x in enumerate(xs):
                    value = self._some(x, k, several)
                    for p, weights in enumerate(own):
                        at = r * tile.weights + p
                        sums[at] = self._dot(sums[at], value, weights)
                for p in range(extra):  # what the 128 more of each x adds
                    more = of(vector(I32), -0x7F7F7F80)
                    sums[count + p] = self._dot(sums[count + p], more, own[p])
                return sums

            nothing = [of(vector(I32), 0)] * (count + extra)
            found = self.e.loop(start, end, LANES * several, step, nothing)
            if extra:
                found = [self.b.sub(found[i], found[count + i % extra]) for i in range(count)]
            return [self.b.sitofp(one, vector(F32)) for one in found]

        return sums

    def _some(self, place: Value, k: Value, several: int) -> Value:
        """64 bytes as 16 integers of 32 bits, or 16 bytes, each an integer of 32 bits."""
        if several > 1:
            return self.e.load(self.e.at(place, k), vector(I32))
        return self.b.sext(self.e.load(self.e.at(place, k), vector(I8)), vector(I32))

    def _dot(self, so_far: Value, x: Value, weights: Value) -> Value:
        if not self.e.has_dots:
            return self.b.add(so_far, self.b.mul(x, weights))
        bytes = vector(I8, 4 * LANES)
        x, weights = (self.b.bitcast(one, bytes) for one in (x, weights))
        return self.e.call("llvm.x86.avx512.vpdpbusd.512", so_far.type, so_far, x, weights)
