"""ŵ out of what is held of weights, a piece of a row at a time, in memory of the thread."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from qdemo.loops.cells import BEYOND, KINDS, NUMBERS, PART, PIECE
from qdemo.loops.emit import (
    F16,
    F32,
    F64,
    I8,
    I16,
    I32,
    I64,
    POINTER,
    Emitter,
    Value,
    i64,
    of,
    vector,
)
from qdemo.loops.machine import FLOATS, LANES, takes_fp16
from qdemo.loops.scales import FP8, from_fp8, narrowed, widened
from qdemo.loops.unpack import BLOCK, Packed

_WIDTHS = {"bf16": 2, "fp16": 2, "fp32": 4}
_FLOATS = {"bf16": I16, "fp16": F16, "fp32": F32}
_ODD = {"fp8_e4m3": 0x7F, "fp8_e5m2": 0x7C}
"""The first pattern of floats of 8 bits, its sign aside, that is no number."""


class Told:
    """What is told of the work."""

    def __init__(self, e: Emitter, part: Value) -> None:
        """The part of a tensor that is told of there."""
        self.e, self.b, self.part = e, e.b, part
        self._numbers = self.address("numbers")

    def edge(self, name: str) -> Value:
        """One of `PART` that is a row."""
        return self.e.argument(self.part, PART.index(name))

    def address(self, name: str) -> Value:
        """One that is an address."""
        return self.e.pointer(self.part, PART.index(name))

    def number(self, name: str) -> Value:
        """One of `NUMBERS`."""
        return self.e.argument(self._numbers, NUMBERS.index(name))

    def place(self, name: str) -> Value:
        """One that is an address."""
        return self.e.pointer(self._numbers, NUMBERS.index(name))

    def is_(self, name: str, value: int) -> Value:
        """Whether it is that."""
        return self.b.icmp_signed("==", self.number(name), i64(value))

    def memory(self, size: int) -> Value:
        """So many bytes of this thread, on its stack; to be asked for before any loop."""
        found = self.b.alloca(I8, size=size)
        found.type = POINTER  # what else llvmlite lets us store there depends on it
        found.align = 64
        return found


class Held:
    """What is held of the weights of a part of the work.

    `add` adds to what is found: "steps", Σ(e / scale)², and how many errors are "beyond" half a
    step, both before ŵ is rounded.
    """

    def __init__(self, told: Told, add: Callable[[str, Value], None]) -> None:
        """Take the memory for it."""
        self.told, self.add = told, add
        self.e, self.b = told.e, told.b
        self.x, self.copied = told.memory(4 * (PIECE + LANES)), told.memory(4 * (PIECE + LANES))
        self.block, self.no_zero = told.memory(BLOCK), told.memory(1)
        self.e.store(of(I8, 0), self.no_zero)
        self.is_packed = self.b.not_(told.is_("bits", 0))
        self.width = self._width()

    def _width(self) -> Value:
        """Bytes of a code."""
        found: Value = i64(1)
        for kind, width in _WIDTHS.items():
            found = self.b.select(self.told.is_("kind", KINDS.index(kind)), i64(width), found)
        return found

    def codes(self, row: Value, start: Value) -> Value:
        """Where those of a row lie, one by one; panels are unpacked for that, 16 rows at once."""
        e, b, told, stride = self.e, self.b, self.told, self.told.number("stride")
        lane = b.and_(row, i64(LANES - 1))
        memory = told.address("scratch")
        is_first = b.icmp_signed("==", lane, i64(0))
        with e.b.if_then(b.and_(self.is_packed, is_first)):
            n, length, bits = (told.number(name) for name in ("rows", "length", "bits"))
            Packed(e, told.place("codes"), n, length, bits, memory, stride, self.block).unpack(row)
        apart = e.at(told.place("codes"), b.mul(start, self.width))
        return b.select(self.is_packed, e.at(memory, b.mul(lane, stride)), apart)

    def put(self, row: Value, k: Value, count: Value, w: Value, codes: Value) -> Value:
        """Make `count` values from the k-th of a row on, beside `w`; gives where they are, with
        zeros behind them that fill up a vector."""
        e, b = self.e, self.b
        whole = b.and_(b.add(count, i64(LANES - 1)), i64(-LANES))
        codes = filled(e, e.at(codes, b.mul(k, self.width)), self.copied, count, self.width)
        self._decode(codes, whole)
        with e.b.if_then(b.not_(self.told.is_("scales", 0))):
            self._scale(row, k, b.add(k, count), w)
        e.store(of(vector(F32), 0.0), self.x, count, align=4)
        self._round(whole)
        return self.x

    def _decode(self, codes: Value, count: Value) -> None:
        """The numbers that codes stand for, as fp32."""
        for number, kind in enumerate(KINDS):
            if kind == "fp16" and not takes_fp16(self.e.kind):
                continue
            with self.b.if_then(self.told.is_("kind", number)):
                table = self.e.table(self.told.place("table")) if kind == "table" else None
                self._make(count, partial(self._decoded, kind, table, codes))

    def _make(self, count: Value, made: Callable[[Value], Value]) -> None:
        self.e.loop(i64(0), count, LANES, lambda i, _: self.e.store(made(i), self.x, i, 4))

    def _decoded(self, kind: str, table: Value, codes: Value, i: Value) -> Value:
        e, b = self.e, self.b
        ahead(e, codes, b.add(i, i64(PIECE)), i64(_WIDTHS.get(kind, 1)))
        if kind in _FLOATS:
            held = e.load(codes, vector(_FLOATS[kind]), i)
            return held if kind == "fp32" else widened(e, held)
        byte = e.load(codes, vector(I8), i)
        if kind == "integers":
            return b.sitofp(b.sext(byte, vector(I32)), vector(F32))
        if kind in FP8:
            size = b.and_(byte, of(byte.type, 127))
            is_odd = b.icmp_signed(">=", size, of(byte.type, _ODD[kind]))
            value = from_fp8(e, byte, kind)
            return b.select(is_odd, of(value.type, math.nan), value)
        code = b.zext(byte, vector(I32))
        if kind == "table":
            return e.look_up(table, code)
        offset = e.splat(b.trunc(self.told.number("offset"), I32))
        return b.sitofp(b.sub(code, offset), vector(F32))

    def _round(self, count: Value) -> None:
        """To the dtype that is computed in."""
        e, b = self.e, self.b
        ways: dict[str, Callable[[Value], Value]] = {"bf16": partial(narrowed, e)}
        if takes_fp16(e.kind):
            ways["fp16"] = lambda x: b.fptrunc(x, vector(F16))

        def rounded(way: Callable[[Value], Value], i: Value) -> Value:
            return widened(e, way(e.load(self.x, vector(F32), i, 4)))

        for name, way in ways.items():
            with e.b.if_then(self.told.is_("rounded", FLOATS.index(name))):
                self._make(count, partial(rounded, way))

    def _scale(self, row: Value, k: Value, end: Value, w: Value) -> None:
        """Make numbers values, group by group, and add up what is measured in steps."""
        e, b, group = self.e, self.b, self.told.number("group")
        widths = (LANES, 1)  # vectors, and what is left of a group one by one

        def one(g: Value, sums: list[Value]) -> list[Value]:
            begin = b.mul(g, group)
            start = b.sub(b.select(b.icmp_signed("<", begin, k), k, begin), k)
            stop = b.sub(e.least(b.add(begin, group), end), k)
            whole = b.add(start, b.and_(b.sub(stop, start), i64(-LANES)))
            unit, found = self._unit(row, g), []
            for n, (a, c) in enumerate(((start, whole), (whole, stop))):
                scaled = partial(self._scaled, w, unit, widths[n])
                found += e.loop(a, c, widths[n], scaled, sums[2 * n : 2 * n + 2])
            return found

        nothing = [of(vector(type, lanes), 0) for lanes in widths for type in (F64, I32)]
        groups = b.udiv(b.sub(b.add(end, group), i64(1)), group)
        steps, beyond, steps_1, beyond_1 = e.loop(b.udiv(k, group), groups, 1, one, nothing)
        self.add("steps", b.fadd(e.sum(steps), steps_1))
        self.add("beyond", b.zext(b.add(e.sum(beyond), beyond_1), I64))

    def _unit(self, row: Value, g: Value) -> tuple[Value, Value, Value, Value]:
        """A group's scale, its zero point, the largest size that is not beyond half a step, and
        1 / scale, fp64."""
        e, b, told = self.e, self.b, self.told
        place = b.add(b.mul(row, told.number("next_row")), b.mul(g, told.number("next_group")))
        scale = e.load(told.place("scales"), F32, place)
        zeros = e.at(told.place("zeros"), place)
        zero = b.uitofp(e.load(b.select(told.is_("zeros", 0), self.no_zero, zeros), I8), F32)
        wide = b.fpext(scale, F64)
        limit = b.fmul(wide, of(F64, BEYOND))  # exact
        near = b.fptrunc(limit, F32)
        is_above = b.zext(b.fcmp_ordered(">", b.fpext(near, F64), limit), I32)
        below = b.bitcast(b.sub(b.bitcast(near, I32), is_above), F32)
        return scale, zero, below, b.fdiv(of(F64, 1.0), wide)

    def _scaled(
        self, w: Value, unit: Sequence[Value], lanes: int, i: Value, sums: list[Value]
    ) -> list[Value]:
        e, b = self.e, self.b
        scale, zero, limit, per_step = (e.splat(one, lanes) for one in unit)
        number = e.load(self.x, vector(F32, lanes), i, 4)
        x = b.fmul(b.fsub(number, zero), scale)
        e.store(x, self.x, i, 4)
        error = b.fsub(x, e.load(w, vector(F32, lanes), i))
        size = e.call("llvm.fabs." + ("f32" if lanes == 1 else f"v{lanes}f32"), error.type, error)
        is_beyond = b.zext(b.fcmp_ordered(">", size, limit), vector(I32, lanes))
        steps = b.fmul(b.fpext(error, vector(F64, lanes)), per_step)
        return [e.multiply_add(steps, steps, sums[0]), b.add(sums[1], is_beyond)]


def filled(e: Emitter, place: Value, memory: Value, count: Value, width: Value) -> Value:
    """Where `count` elements can be read as whole vectors: where they are, or else a copy with
    zeros behind it."""
    is_ragged = e.b.icmp_signed("!=", e.b.and_(count, i64(LANES - 1)), i64(0))
    with e.b.if_then(is_ragged):
        size = e.b.mul(count, width)
        e.call("memcpy", POINTER, memory, place, size)
        e.call("memset", POINTER, e.at(memory, size), of(I32, 0), i64(4 * LANES))
    return e.b.select(is_ragged, memory, place)


def ahead(e: Emitter, place: Value, index: Value, width: Value) -> None:
    """Have the memory of an element brought near, as it is read soon. CPUs do so by themselves
    within 4 KiB, and a piece is no more."""
    e.prefetch(e.at(place, e.b.mul(index, width)))
