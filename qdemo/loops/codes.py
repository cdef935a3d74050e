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
from typing import Literal

from qdemo.loops.emit import F16, F32, I8, I16, I32, Emitter, Value, i64, of, vector
from qdemo.loops.machine import LANES

STEP = 8
"""Numbers of a row that are taken at once out of a panel; rows and groups are multiples of it."""

AHEAD = 2048
"""How many bytes before they are needed weights are fetched, where a CPU does not foresee them, as
those of four panels side by side."""

Scales = Literal["fp32", "fp16", "e8m0", "nested"]
Meaning = Literal["table", "integer", "fp8_e4m3", "fp8_e5m2"]


@dataclass(frozen=True)
class Form:
    """How weights lie and what they mean: all that a loop over them depends on.

    `planes` are the widths of the planes of a panel, lowest bits first; none where a number is a
    byte of a row. Integers count from `offset`; bytes have their sign. `scales` are fp32, fp16,
    powers of two (e8m0), or `nested`: a signed byte for each group, in units of an fp32 for
    `several` groups. Where they `are_shared` there is one scale, and zero point, for all.
    """

    planes: tuple[int, ...]
    meaning: Meaning
    offset: int = 0
    has_zero_points: bool = False
    scales: Scales = "fp32"
    several: int = 1
    are_shared: bool = False

    @property
    def multiple(self) -> int:
        """What the length of a row, and of a group, has to be a multiple of."""
        return STEP if self.planes else LANES


@dataclass(frozen=True)
class Weights:
    """A matrix that a loop reads: numbers and addresses, as values of the function being written.

    `n` rows of `length` numbers in groups of `group`. `scales` and `zeros` (uint8) lie as
    (groups, rows), `outer`, the scales of nested ones, as (groups / several, rows). `table` is of
    sixteen fp32 values.
    """

    e: Emitter
    form: Form
    n: Value
    length: Value
    group: Value
    codes: Value
    scales: Value
    zeros: Value
    table: Value
    outer: Value

    @classmethod
    def given(cls, e: Emitter, form: Form, arguments: Value, first: int) -> Weights:
        """Those of which the work's numbers tell from place `first` on: `NUMBERS` of them."""
        n, length, group = (e.argument(arguments, first + i) for i in range(3))
        addresses = (e.pointer(arguments, first + i) for i in range(3, NUMBERS))
        return cls(e, form, n, length, group, *addresses)

    def scale(self, group: Value, row: Value, lanes: int) -> Value:
        """Scales of rows from `row` on, as fp32."""
        if self.form.are_shared and lanes > 1:
            return self.e.splat(self.scale(group, row, 1), lanes)
        e, b = self.e, self.e.b
        place = self._place(group, row)
        match self.form.scales:
            case "fp32":
                return e.load(self.scales, vector(F32, lanes), place, align=4)
            case "fp16":
                return widened(e, e.load(self.scales, vector(F16, lanes), place, align=2))
            case "e8m0":
                power = b.zext(e.load(self.scales, vector(I8, lanes), place), vector(I32, lanes))
                bits = b.shl(power, of(power.type, 23))
                is_least = b.icmp_signed("==", power, of(power.type, 0))  # 2^−127, a subnormal
                bits = b.select(is_least, of(bits.type, 1 << 22), bits)
                return b.bitcast(bits, vector(F32, lanes))
            case "nested":
                own = b.sext(e.load(self.scales, vector(I8, lanes), place), vector(I32, lanes))
                outer = self._place(b.udiv(group, i64(self.form.several)), row)
                unit = e.load(self.outer, vector(F32, lanes), outer, align=4)
                return b.fmul(b.sitofp(own, unit.type), unit)

    def zero(self, group: Value, row: Value, lanes: int) -> Value | None:
        """Zero points of rows from `row` on, as fp32; None where there are none."""
        if not self.form.has_zero_points:
            return None
        if self.form.are_shared and lanes > 1:
            return self.e.splat(self.zero(group, row, 1), lanes)
        own = self.e.load(self.zeros, vector(I8, lanes), self._place(group, row))
        return self.e.b.uitofp(own, vector(F32, lanes))

    def _place(self, group: Value, row: Value) -> Value:
        """Of what belongs to a group of rows, in the order (groups, rows)."""
        b = self.e.b
        return i64(0) if self.form.are_shared else b.add(b.mul(group, self.n), row)

    def levels(self, lanes: int) -> Value | None:
        """What `decoded` needs besides, loaded once."""
        return self.e.table(self.table, lanes) if self.form.meaning == "table" else None

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
        is_unsigned = self.form.has_zero_points
        wide = b.zext(held, vector(I32)) if is_unsigned else b.sext(held, vector(I32))
        return b.sitofp(wide, vector(F32))


NUMBERS = 8
"""How many numbers tell of weights: see `Weights`, from `n` on."""


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


def widened(e: Emitter, value: Value) -> Value:
    """fp32 of bf16, given as its bits, or of fp16."""
    lanes = getattr(value.type, "count", 1)
    b = e.b
    if getattr(value.type, "element", value.type) == F16:
        return b.fpext(value, vector(F32, lanes))
    wide = b.zext(value, vector(I32, lanes))
    return b.bitcast(b.shl(wide, of(wide.type, 16)), vector(F32, lanes))


def narrowed(e: Emitter, value: Value) -> Value:
    """The bits of the bf16 nearest to finite fp32 values, half to even."""
    b = e.b
    lanes = getattr(value.type, "count", 1)
    bits = b.bitcast(value, vector(I32, lanes))
    odd = b.and_(b.lshr(bits, of(bits.type, 16)), of(bits.type, 1))
    rounded = b.add(b.add(bits, odd), of(bits.type, 0x7FFF))
    return b.trunc(b.lshr(rounded, of(bits.type, 16)), vector(I16, lanes))


FP8 = {"fp8_e4m3": (20, 120), "fp8_e5m2": (21, 112)}
"""How far their bits are from those of fp32 once there is room for all of them, and by which power
of two that is too small then."""


def from_fp8(e: Emitter, held: Value, meaning: str) -> Value:
    """fp32 of a vector of bytes, which are finite numbers."""
    b, (shift, power) = e.b, FP8[meaning]
    wide = b.sext(held, vector(I32))
    sign = b.and_(wide, of(wide.type, -(1 << 31)))
    size = b.shl(b.and_(wide, of(wide.type, 127)), of(wide.type, shift))
    low = b.bitcast(b.or_(sign, size), vector(F32))
    return b.fmul(low, of(low.type, 2.0**power))
