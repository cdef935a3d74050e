"""Codes of quantized weights becoming floats in registers: how they lie, and what they mean.

Weights lie in one of two ways:

- below 8 bits in panels of 16 rows, a row a lane (`numerics.packing`);
- in whole bytes row by row, 16 weights of a row in the lanes.

Each grid of at most 4 bits is a table of sixteen values, whatever its values are, so that all of
them cost the same; wider integers are arithmetic, and floats of 8 bits are a few shifts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from qdemo.loops.emit import F32, I8, I32, Emitter, Value, i64, of, vector
from qdemo.loops.form import ADDRESSES, Form
from qdemo.loops.machine import LANES
from qdemo.loops.scales import FP8, Beside, from_fp8

AHEAD = 2048
"""How many bytes before they are needed weights are fetched, where a CPU does not foresee them, as
those of four panels side by side."""


@dataclass(frozen=True)
class Weights:
    """A matrix that a loop reads: numbers and addresses, as values of the function being written.

    `n` rows of `length` numbers in groups of `group`, and where all of it lies: see
    `form.ADDRESSES`.
    """

    e: Emitter
    form: Form
    n: Value
    length: Value
    group: Value
    at: dict[str, Value]
    beside: Beside

    @classmethod
    def given(cls, e: Emitter, form: Form, arguments: Value, first: int) -> Weights:
        """Those of which the work's numbers tell from place `first` on: `NUMBERS` of them."""
        n, length, group = (e.argument(arguments, first + i) for i in range(3))
        at = {name: e.pointer(arguments, first + 3 + i) for i, name in enumerate(ADDRESSES)}
        beside = Beside(e, form, n, e.b.udiv(length, group), at)
        return cls(e, form, n, length, group, at, beside)

    @property
    def codes(self) -> Value:
        """Where the codes lie."""
        return self.at["codes"]

    def levels(self, lanes: int) -> Value | None:
        """What `decoded` needs besides, loaded once."""
        return self.e.table(self.at["table"], lanes) if self.form.meaning == "table" else None

    def step(self, panel: Panel, k: Value, levels: Value | None) -> Callable[[int], Value]:
        """What gives number k + i of the rows of a panel, i < STEP, as fp32 in its lanes; written
        where it is asked for, as all of them at once would need too many registers."""
        e, b = self.e, self.e.b
        wide = vector(I32, panel.lanes)
        held: list[list[Value]] = []  # of each plane, the bytes that hold STEP numbers
        for place, width in zip(panel.planes, self.form.planes, strict=True):
            at = b.udiv(b.mul(k, i64(width)), i64(8))
            if panel.lanes > 1:
                e.prefetch(e.at(place, b.add(b.mul(at, panel.stride), i64(AHEAD))))
            rows = (b.mul(b.add(at, i64(i)), panel.stride) for i in range(width))
            held.append([b.zext(e.load(e.at(place, row), vector(I8, panel.lanes)), wide)
                         for row in rows])  # fmt: skip

        def number(i: int) -> Value:
            found, shift = None, 0
            for own, width in zip(held, self.form.planes, strict=True):
                byte, place = divmod(i, 8 // width)
                bits = b.lshr(own[byte], of(wide, place * width)) if place else own[byte]
                found = self._joined(found, bits, width, shift)
                shift += width
            return self._decoded(found, levels)

        return number

    def each_panel(self, first: Value, last: Value, write: Callable[[Panel, Value], None]) -> None:
        """Write for each panel of rows from a first to a last one, with its first row; of the
        narrower one, each lane for itself. Panels are not cut: `first` is the first row of one."""
        e, b = self.e, self.e.b
        full = b.and_(self.n, i64(-LANES))
        e.loop(first, e.least(last, full), LANES, lambda n, _: write(self.panel(n), n))
        narrow = Panel.of(self, full, 1, b.sub(self.n, full))
        start = b.select(b.icmp_signed("<", first, full), full, first)
        e.loop(start, last, 1, lambda n, _: write(narrow.lane(e, b.sub(n, full)), n))

    def panel(self, first: Value) -> Panel:
        """The full panel that begins with that row."""
        return Panel.of(self, first, LANES, i64(LANES))

    def _joined(self, found: Value, own: Value, width: int, shift: int) -> Value:
        """A plane's bits beside those of planes before it. Of the last plane, a table ignores what
        lies above, or is the same there."""
        b = self.e.b
        is_last = shift + width == sum(self.form.planes)
        if not (is_last and self.form.meaning == "table"):
            own = b.and_(own, of(own.type, (1 << width) - 1))
        if found is None:
            return own
        return b.or_(found, b.shl(own, of(own.type, shift)))

    def _decoded(self, code: Value, levels: Value | None) -> Value:
        b = self.e.b
        if levels is not None:
            return self.e.look_up(levels, code)
        number = b.sub(code, of(code.type, self.form.offset)) if self.form.offset else code
        return b.sitofp(number, vector(F32, getattr(code.type, "count", 1)))

    def in_row(self, row: Value, k: Value) -> Value:
        """Numbers k … k + LANES − 1 of a row of bytes that lies at `row`, as fp32."""
        e, b = self.e, self.e.b
        held = e.load(e.at(row, k), vector(I8))
        if self.form.meaning in FP8:
            return from_fp8(e, held, self.form.meaning)
        is_unsigned = self.form.has_zero_points or self.form.has_minima
        wide = b.zext(held, vector(I32)) if is_unsigned else b.sext(held, vector(I32))
        return b.sitofp(wide, vector(F32))


@dataclass(frozen=True)
class Panel:
    """Where the planes of a panel of rows lie, its `lanes`, and how far one byte of a row is from
    the next."""

    planes: tuple[Value, ...]
    lanes: int
    stride: Value

    @classmethod
    def of(cls, weights: Weights, first: Value, lanes: int, stride: Value) -> Panel:
        """That of the rows from `first` on; a lane of it where `lanes` is 1 and `first` in it."""
        e, b = weights.e, weights.e.b
        places = []
        start: Value = i64(0)
        for width in weights.form.planes:
            a_row = b.udiv(b.mul(weights.length, i64(width)), i64(8))
            places.append(e.at(weights.codes, b.add(start, b.mul(first, a_row))))
            start = b.add(start, b.mul(weights.n, a_row))
        return cls(tuple(places), lanes, stride)

    def lane(self, e: Emitter, lane: Value) -> Panel:
        """One lane of it."""
        places = tuple(e.at(place, lane) for place in self.planes)
        return Panel(places, 1, self.stride)
