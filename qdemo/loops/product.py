"""The product of a few rows of floats and quantized weights, which are decoded in registers.

y = x · Ŵᵀ, with ŵ = scale · (number − zero point). In panels a value of x stands beside 16 rows of
weights at once, and no sum across lanes is ever needed; where weights are bytes, 16 of a row stand
beside 16 values of x.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from qdemo.loops.activations import as_bytes, as_fp32
from qdemo.loops.codes import AHEAD, Panel, Weights
from qdemo.loops.compiling import compiled
from qdemo.loops.emit import F32, F64, I8, I32, Emitter, Value, i64, of, vector
from qdemo.loops.form import STEP, Form
from qdemo.loops.machine import FIRST_OWN, LANES, Kernel, Machine
from qdemo.loops.tiled import ONE, Product, Sums, Tile, Unit, Way, widest


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


_LONGEST = 1 << 19
"""Products of bytes of which two lanes' share adds up to less than 2³¹."""


def takes_integers(form: Form, group: int, here: Machine) -> bool:
    """Whether there is a kernel with `bits` for such weights, in groups of so many."""
    is_plain = form.meaning == "integer" and not form.planes
    is_centred = not (form.has_zero_points or form.has_minima)
    return (
        is_plain
        and is_centred
        and group <= _LONGEST
        and group % (4 * LANES if here.has_dots else LANES) == 0
    )


def chunk(n: int, threads: int, here: Machine, form: Form) -> int:
    """Rows of weights at a time: several pieces a thread, each of whole tiles."""
    if form.planes:
        whole = widest(here.kind, "panels") * LANES
    else:
        whole = widest(here.kind, "rows", "integers")
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

        def sums(g: Value) -> Sums:
            units = [self.unit(g, first, lanes) for first in firsts]

            def some(k: Value, step: int) -> list[Value]:
                numbers = [self._numbers(panel, k, levels, unit)
                           for panel, unit in zip(panels, units, strict=True)]  # fmt: skip
                values = (self._values(x, k, lanes) for x in xs)
                return [self.sum_of(list(zip(own, value, strict=True)))
                        for value in values for own in numbers]  # fmt: skip

            return some

        def scales(g: Value) -> list[Value]:
            return [self.scale(g, first, lanes) for first in firsts]

        found = self.over_groups(sums, scales, count, lanes, [STEP])
        for r in range(tile.rows):
            for p, first in enumerate(firsts):
                self.put(self.in_fp32(found[r * len(panels) + p]), self.row(m, r), first)

    def _numbers(self, panel: Panel, k: Value, levels: Value | None, unit: Unit) -> list[Value]:
        number = self.w.step(panel, k, levels)
        return [unit(number(i)) for i in range(STEP)]

    def _values(self, x: Value, k: Value, lanes: int) -> list[Value]:
        places = (self.b.add(k, i64(i)) for i in range(STEP))
        return [self.e.splat(self.e.load(x, F32, place, align=4), lanes) for place in places]


class _InRows(Product):
    """16 weights of a row in the lanes, beside 16 values of x."""

    way: Way = "rows"

    def write(self, first: Value, last: Value) -> None:
        """Several rows at a time, then row by row."""
        left = self.over_rows(first, last, 1, self._tile)
        self.e.loop(left, last, 1, lambda n, _: self.each(lambda m: self._tile(n, m, ONE)))

    def _tile(self, n: Value, m: Value, tile: Tile) -> None:
        rows = [self.b.add(n, i64(i)) for i in range(tile.weights)]
        places = [self.e.at(self.w.codes, self.b.mul(row, self.w.length)) for row in rows]
        count = tile.weights * tile.rows

        def scales(g: Value) -> list[Value]:
            return [self.e.splat(self.scale(g, row, 1), LANES // 2) for row in rows]

        sums = self._sums(rows, places, m, tile)
        found = self.over_groups(sums, scales, count, LANES // 2, self.steps())
        for r in range(tile.rows):
            own = found[r * tile.weights : (r + 1) * tile.weights]
            whole = self._in_lanes([self.in_fp32(self.e.sum(one)) for one in own])
            self.put(self._in_units(whole, self.row(m, r)), self.row(m, r), n)

    def steps(self) -> Sequence[int | Value]:
        """Products that are added up at a time, those of two lanes together."""
        return (4 * LANES if self.w.form.scales == "fp32" else 2 * LANES), LANES

    def halved(self, value: Value) -> Value:
        """Half of the lanes beside the other: as fp64 they need twice the registers."""
        return self.b.fadd(*self.halves(value))

    def halves(self, value: Value) -> list[Value]:
        return [self.e.lanes(value, range(i, i + LANES // 2)) for i in (0, LANES // 2)]

    def _in_units(self, value: Value, m: Value) -> Value:
        """Results for row m of x; here they are what they are."""
        return value

    def _sums(
        self, rows: list[Value], places: list[Value], m: Value, tile: Tile
    ) -> Callable[[Value], Sums]:
        """Those of a tile over a group, before they are scaled."""
        xs = self.x_rows(m, tile.rows)

        def sums(g: Value) -> Sums:
            units = [self.unit(g, row, 1) for row in rows]

            def some(k: Value, step: int) -> list[Value]:
                self._fetch(places, k, tile)
                parts = [self.b.add(k, i64(i)) for i in range(0, step, LANES)]
                values = [[self.e.load(x, vector(F32), at, align=4) for at in parts] for x in xs]
                numbers = [[unit(self.w.in_row(place, at)) for at in parts]
                           for place, unit in zip(places, units, strict=True)]  # fmt: skip
                return [self.halved(self.sum_of(list(zip(own, value, strict=True))))
                        for value in values for own in numbers]  # fmt: skip

            return some

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
    """16 or 64 weights of a row beside as many integers of x, whose products of a group add up
    exactly."""

    way = "integers"
    x_type = I8

    def x_start(self) -> Value:
        """Behind the units of all rows."""
        return self.e.at(self.x, self.b.mul(self.rows, i64(4)))

    def _in_units(self, value: Value, m: Value) -> Value:
        unit = self.e.load(self.x, F32, m, align=4)
        lanes = getattr(value.type, "count", 1)
        return self.b.fmul(value, self.e.splat(unit, lanes))

    def _sums(
        self, rows: list[Value], places: list[Value], m: Value, tile: Tile
    ) -> Callable[[Value], Sums]:
        xs, count = self.x_rows(m, tile.rows), tile.weights * tile.rows
        several = 4 if self.e.has_dots else 1  # products that one lane adds up
        extra = tile.weights if self.e.has_dots else 0

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

        def some(k: Value, length: Value) -> list[Value]:
            nothing = [of(vector(I32), 0)] * (count + extra)
            found = self.e.loop(k, self.b.add(k, length), LANES * several, step, nothing)
            if extra:
                found = [self.b.sub(found[i], found[count + i % extra]) for i in range(count)]
            return [self.halved(one) for one in found]

        return lambda _: some

    def steps(self) -> Sequence[int | Value]:
        return (self.w.group,)

    def halved(self, value: Value) -> Value:
        return self.b.add(*self.halves(value))

    def wide(self, value: Value) -> Value:
        if value.type != vector(I32, LANES // 2):
            return super().wide(value)
        return self.b.sitofp(value, vector(F64, LANES // 2))

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
