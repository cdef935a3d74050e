"""Scales, zero points and minima of rows of weights, as fp32, out of what is held of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from qdemo.loops.emit import F16, F32, I8, I16, I32, Emitter, Value, i64, of, vector
from qdemo.loops.form import Form
from qdemo.loops.machine import LANES

_TOGETHER = 8
"""256 = 2^8 scales have a largest size in common, where they are bytes."""


@dataclass(frozen=True)
class Beside:
    """What lies beside the codes of `n` rows of `groups` groups: see `form.ADDRESSES`.

    Each is asked for by group and first row: of 16 rows in the lanes, or of a single one.
    """

    e: Emitter
    form: Form
    n: Value
    groups: Value
    at: Mapping[str, Value]

    def scale(self, group: Value, row: Value, lanes: int) -> Value:
        """Scales."""
        if self.form.are_shared and lanes > 1:
            return self.e.splat(self.scale(group, row, 1), lanes)
        e, b, held = self.e, self.e.b, self.at["scales"]
        match self.form.scales:
            case "fp32":
                return self._fp32("scales", group, row, lanes)
            case "fp16":
                return self._fp16("scales", group, row, lanes)
            case "e8m0":
                byte = e.load(held, vector(I8, lanes), self._place(group, row))
                return power_of_two(e, b.zext(byte, vector(I32, lanes)))
            case "e4m3":
                byte = e.load(held, vector(I8, lanes), self._place(group, row))
                unit = e.splat(e.load(self.at["outer"], F32, align=4), lanes)
                return b.fmul(from_fp8(e, byte, "fp8_e4m3"), unit)
            case "dq":
                return self._twice(group, row, lanes)
            case "nested":
                return self._nested("scales", "outer", group, row, lanes)

    def zero(self, group: Value, row: Value, lanes: int) -> Value | None:
        """Zero points; None where there are none."""
        if not self.form.has_zero_points:
            return None
        if self.form.are_shared and lanes > 1:
            return self.e.splat(self.zero(group, row, 1), lanes)
        if self.form.zeros == "fp32":
            return self._fp32("zeros", group, row, lanes)
        own = self.e.load(self.at["zeros"], vector(I8, lanes), self._place(group, row))
        return self.e.b.uitofp(own, vector(F32, lanes))

    def minimum(self, group: Value, row: Value, lanes: int) -> Value | None:
        """What is added to scaled numbers; None where nothing is."""
        if not self.form.has_minima:
            return None
        if self.form.are_shared and lanes > 1:
            return self.e.splat(self.minimum(group, row, 1), lanes)
        if self.form.scales == "fp16":
            return self._fp16("minima", group, row, lanes)
        return self.e.b.fneg(self._nested("minima", "outer_minima", group, row, lanes))

    def _place(self, group: Value, row: Value) -> Value:
        """Of what belongs to a group of rows, in the order (groups, rows)."""
        b = self.e.b
        return i64(0) if self.form.are_shared else b.add(b.mul(group, self.n), row)

    def _fp32(self, name: str, group: Value, row: Value, lanes: int) -> Value:
        place = self._place(group, row)
        return self.e.load(self.at[name], vector(F32, lanes), place, align=4)

    def _fp16(self, name: str, group: Value, row: Value, lanes: int) -> Value:
        place = self._place(group, row)
        return widened(self.e, self.e.load(self.at[name], vector(F16, lanes), place, align=2))

    def _twice(self, group: Value, row: Value, lanes: int) -> Value:
        """The value that is known for a byte, in units of the largest of its 256, and the mean."""
        e, b, wide = self.e, self.e.b, vector(I32, lanes)
        byte = e.load(self.at["scales"], vector(I8, lanes), self._place(group, row))
        number = e.gather(self.at["known"], b.zext(byte, wide))
        first = i64(0) if self.form.are_shared else b.add(b.mul(row, self.groups), group)
        place = e.splat(b.trunc(first, I32), lanes)
        if lanes > 1:
            step = e.splat(b.trunc(self.groups, I32), lanes)
            place = b.add(place, b.mul(step, of(wide, list(range(lanes)))))
        largest = e.gather(self.at["outer"], b.lshr(place, of(wide, _TOGETHER)))
        mean = e.splat(e.load(self.at["mean"], F32, align=4), lanes)
        return b.fadd(b.fmul(number, largest), mean)

    def _nested(self, name: str, outer: str, group: Value, row: Value, lanes: int) -> Value:
        """An integer of its own in units of an fp16 of several groups: exact in fp32."""
        e, b = self.e, self.e.b
        several = b.udiv(group, i64(self.form.several))
        unit = self._fp16(outer, several, row, lanes)
        if self.form.inner:
            own = self._packed(name, group, row, lanes)
            own = b.sub(own, of(own.type, self.form.inner_offset))
        else:
            byte = e.load(self.at[name], vector(I8, lanes), self._place(group, row))
            own = b.sext(byte, vector(I32, lanes))
        return b.fmul(b.sitofp(own, unit.type), unit)

    def _packed(self, name: str, group: Value, row: Value, lanes: int) -> Value:
        """The number of a group, out of planes of panels: of a full one, or a row of the narrower
        one."""
        e, b, wide = self.e, self.e.b, vector(I32, lanes)
        full = b.and_(self.n, i64(-LANES))
        first, stride = (row, i64(LANES)) if lanes > 1 else (full, b.sub(self.n, full))
        found, start, shift = None, i64(0), 0
        for width in self.form.inner:
            a_row = b.udiv(b.mul(self.groups, i64(width)), i64(8))
            place = b.add(b.add(start, b.mul(first, a_row)), b.sub(row, first))
            per_byte = i64(8 // width)
            place = b.add(place, b.mul(b.udiv(group, per_byte), stride))
            byte = b.zext(e.load(self.at[name], vector(I8, lanes), place), wide)
            bits = e.splat(b.trunc(b.mul(b.urem(group, per_byte), i64(width)), I32), lanes)
            own = b.and_(b.lshr(byte, bits), of(wide, (1 << width) - 1))
            own = b.shl(own, of(wide, shift)) if shift else own
            found = own if found is None else b.or_(found, own)
            start, shift = b.add(start, b.mul(self.n, a_row)), shift + width
        return found


def power_of_two(e: Emitter, exponent: Value) -> Value:
    """2^(exponent − 127), fp32, of int32; of 0 it is a subnormal number."""
    b = e.b
    bits = b.shl(exponent, of(exponent.type, 23))
    is_least = b.icmp_signed("==", exponent, of(exponent.type, 0))
    bits = b.select(is_least, of(bits.type, 1 << 22), bits)
    return b.bitcast(bits, vector(F32, _lanes(exponent)))


def widened(e: Emitter, value: Value) -> Value:
    """fp32 of bf16, given as its bits, or of fp16."""
    lanes, b = _lanes(value), e.b
    if getattr(value.type, "element", value.type) == F16:
        return b.fpext(value, vector(F32, lanes))
    wide = b.zext(value, vector(I32, lanes))
    return b.bitcast(b.shl(wide, of(wide.type, 16)), vector(F32, lanes))


def narrowed(e: Emitter, value: Value) -> Value:
    """The bits of the bf16 nearest to finite fp32 values, half to even."""
    lanes, b = _lanes(value), e.b
    bits = b.bitcast(value, vector(I32, lanes))
    odd = b.and_(b.lshr(bits, of(bits.type, 16)), of(bits.type, 1))
    rounded = b.add(b.add(bits, odd), of(bits.type, 0x7FFF))
    return b.trunc(b.lshr(rounded, of(bits.type, 16)), vector(I16, lanes))


FP8 = {"fp8_e4m3": (20, 120), "fp8_e5m2": (21, 112)}
"""How far their bits are from those of fp32 once there is room for all of them, and by which power
of two that is too small then."""


def from_fp8(e: Emitter, held: Value, meaning: str) -> Value:
    """fp32 of bytes, which are finite numbers."""
    b, (shift, power), lanes = e.b, FP8[meaning], _lanes(held)
    wide = b.shl(b.sext(held, vector(I32, lanes)), of(vector(I32, lanes), shift))
    bits = b.and_(wide, of(wide.type, (127 << shift) - (1 << 31)))  # the sign, and the rest
    low = b.bitcast(bits, vector(F32, lanes))
    return b.fmul(low, of(low.type, 2.0**power))


def _lanes(value: Value) -> int:
    return int(getattr(value.type, "count", 1))
