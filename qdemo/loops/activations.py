"""Activations as products take them: fp32 whatever they were, or integers of 8 bits.

Both are written at the start of a call, before threads share the work, into memory of its own.
"""

from __future__ import annotations

from collections.abc import Sequence

from qdemo.loops.emit import (
    F16,
    F32,
    I8,
    I16,
    I32,
    I64,
    NOWHERE,
    POINTER,
    VOID,
    Emitter,
    Value,
    i64,
    of,
    vector,
)
from qdemo.loops.machine import FIRST_OWN, LANES, takes_fp16
from qdemo.loops.scales import widened

SMALLEST_NORMAL = 2.0**-126

LENGTH = FIRST_OWN + 1
"""Where the work tells the length of a row."""


def as_fp32(e: Emitter, arguments: Value, given: Sequence[Value]) -> tuple[list[Value], Value]:
    """x as fp32, in memory of its own where it is something else."""
    x, y, rows, floats = given
    b = e.b
    size = b.mul(rows, e.argument(arguments, LENGTH))
    before = b.block
    with b.if_then(b.icmp_signed("!=", floats, i64(0))):
        memory = e.call("malloc", POINTER, b.mul(size, i64(4)))
        for number, type in ((1, I16), (2, F16))[: None if takes_fp16(e.kind) else 1]:
            with b.if_then(b.icmp_signed("==", floats, i64(number))):
                _convert(e, b.inttoptr(x, POINTER), type, memory, size)
        converted, inside = b.ptrtoint(memory, I64), b.block
    found, to_free = b.phi(I64), b.phi(POINTER)
    found.add_incoming(x, before)
    found.add_incoming(converted, inside)
    to_free.add_incoming(NOWHERE, before)
    to_free.add_incoming(memory, inside)
    return [found, y, rows, floats], to_free


def _convert(e: Emitter, source: Value, type: Value, target: Value, size: Value) -> None:
    """Vectors at a time, and what is left one by one."""
    whole = e.b.and_(size, i64(-LANES))

    def some(start: Value, stop: Value, lanes: int) -> None:
        def convert(i: Value, _: list[Value]) -> None:
            e.store(widened(e, e.load(source, vector(type, lanes), i)), target, i, align=4)

        e.loop(start, stop, lanes, convert)

    some(i64(0), whole, LANES)
    some(whole, size, 1)


def as_bytes(e: Emitter, arguments: Value, given: Sequence[Value]) -> tuple[list[Value], Value]:
    """x in integers from −127 to 127, each row in units of its own: its largest size / 127, and at
    least the smallest normal number, as `numerics.linear` has it. The units come first, fp32, then
    the integers row by row: where the CPU has sums of products of bytes, 128 larger than they are,
    as it wants one factor unsigned. (NaN becomes some integer, its row's unit NaN.)"""
    found, converted = as_fp32(e, arguments, given)
    x, y, rows, floats = found
    b = e.b
    length = e.argument(arguments, LENGTH)
    units = e.call("malloc", POINTER, b.add(b.mul(rows, b.add(length, i64(4))), i64(64)))
    integers = e.at(units, b.mul(rows, i64(4)))
    source = b.inttoptr(x, POINTER)

    def row(m: Value, _: list[Value]) -> None:
        own = e.at(source, b.mul(m, length), F32)
        unit = _unit(e, own, length)
        e.store(unit, units, m, align=4)
        _round_row(e, own, e.at(integers, b.mul(m, length)), unit, length)

    e.loop(i64(0), rows, 1, row)
    e.call("free", VOID, converted)
    return [b.ptrtoint(units, I64), y, rows, floats], units


def _unit(e: Emitter, row: Value, length: Value) -> Value:
    """Sizes are compared as integers, in which NaN is the largest."""
    b = e.b
    wide = vector(I32)

    def larger(k: Value, so_far: list[Value]) -> list[Value]:
        bits = b.and_(e.load(row, wide, k, align=4), of(wide, 0x7FFFFFFF))
        return [b.select(b.icmp_unsigned(">", bits, so_far[0]), bits, so_far[0])]

    (sizes,) = e.loop(i64(0), length, LANES, larger, [of(wide, 0)])
    unit = b.fdiv(b.bitcast(e.largest(sizes), F32), of(F32, 127.0))
    least = of(F32, SMALLEST_NORMAL)
    return b.select(b.fcmp_ordered("<", unit, least), least, unit)


def _round_row(e: Emitter, row: Value, target: Value, unit: Value, length: Value) -> None:
    b, by = e.b, e.splat(unit)

    def some(k: Value, _: list[Value]) -> None:
        scaled = b.fdiv(e.load(row, vector(F32), k, align=4), by)
        nearest = e.call("llvm.roundeven.v16f32", scaled.type, scaled)
        whole = b.trunc(b.fptosi(nearest, vector(I32)), vector(I8))
        e.store(b.add(whole, of(vector(I8), 128)) if e.has_dots else whole, target, k)

    e.loop(i64(0), length, LANES, some)
