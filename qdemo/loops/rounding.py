"""Linear quantization of fp32 blocks: their ranges in one pass, their integers in another."""

from __future__ import annotations

from collections.abc import Sequence

from qdemo.loops.compiling import compiled
from qdemo.loops.emit import F32, I8, I32, Emitter, Value, i64, of, vector
from qdemo.loops.machine import FIRST_OWN, LANES, Kernel, Machine

LENGTH, X, LOWS, HIGHS = range(FIRST_OWN, FIRST_OWN + 4)
"""The numbers of the work: the length of a block, a multiple of `LANES`, and addresses of fp32."""


def ranges(here: Machine) -> Kernel:
    """The kernel that finds the lowest and highest value of blocks, its items, and of 0. It returns
    1 where a value is infinite or NaN: then what it found means nothing."""

    def body(e: Emitter, work: Value, _: Sequence[Value], first: Value, last: Value) -> Value:
        length, flags = e.argument(work, LENGTH), e.b.alloca(I32)
        x, lows, highs = (e.pointer(work, place) for place in (X, LOWS, HIGHS))
        e.store(of(I32, 0), flags, align=4)

        def block(n: Value, _: list[Value]) -> None:
            low, high, largest = _extremes(e, e.at(x, e.b.mul(n, length), F32), length)
            e.store(low, lows, n, align=4)
            e.store(high, highs, n, align=4)
            is_odd = e.b.icmp_unsigned(">=", largest, of(I32, 0x7F800000))
            seen = e.b.or_(e.load(flags, I32, align=4), e.b.zext(is_odd, I32))
            e.store(seen, flags, align=4)

        e.loop(first, last, 1, block)
        return e.load(flags, I32, align=4)

    return compiled(body, here)


def _extremes(e: Emitter, x: Value, length: Value) -> tuple[Value, Value, Value]:
    """The lowest and the highest value, and the largest size as an integer, where NaN is last."""
    b, floats, bits = e.b, vector(F32), vector(I32)

    def look(k: Value, held: list[Value]) -> list[Value]:
        value = e.load(x, floats, k, align=4)
        size = b.and_(b.bitcast(value, bits), of(bits, 0x7FFFFFFF))
        low, high, largest = held
        return [
            b.select(b.fcmp_ordered("<", value, low), value, low),
            b.select(b.fcmp_ordered(">", value, high), value, high),
            b.select(b.icmp_unsigned(">", size, largest), size, largest),
        ]

    low, high, largest = e.loop(
        i64(0), length, LANES, look, [of(floats, 0.0), of(floats, 0.0), of(bits, 0)]
    )
    low = e.call("llvm.vector.reduce.fmin.v16f32", F32, low)
    return low, e.call("llvm.vector.reduce.fmax.v16f32", F32, high), e.largest(largest)


SCALES, ZEROS, CODES = LOWS, HIGHS, HIGHS + 1
"""What the work tells in their places, and one place further."""


def integers(here: Machine, qmin: int, qmax: int, has_zero_points: bool) -> Kernel:
    """The kernel that makes blocks integers of a byte: clamp(round(x / scale) + zero point, qmin,
    qmax), half to even; scales are fp32 and zero points uint8, one a block. Called with nothing."""

    def body(e: Emitter, work: Value, _: Sequence[Value], first: Value, last: Value) -> None:
        length = e.argument(work, LENGTH)
        x, scales, zeros, codes = (e.pointer(work, place) for place in (X, SCALES, ZEROS, CODES))

        def block(n: Value, _: list[Value]) -> None:
            start = e.b.mul(n, length)
            by = e.splat(e.load(scales, F32, n, align=4))
            zero = e.b.uitofp(e.load(zeros, I8, n), F32) if has_zero_points else None

            def some(k: Value, _: list[Value]) -> None:
                here = e.b.add(start, k)
                y = e.b.fdiv(e.load(x, vector(F32), here, align=4), by)
                y = e.call("llvm.roundeven.v16f32", y.type, y)
                y = y if zero is None else e.b.fadd(y, e.splat(zero))
                e.store(e.b.trunc(_clamped(e, y, qmin, qmax), vector(I8)), codes, here)

            e.loop(i64(0), length, LANES, some)

        e.loop(first, last, 1, block)

    return compiled(body, here)


def _clamped(e: Emitter, y: Value, qmin: int, qmax: int) -> Value:
    b = e.b
    y = b.select(b.fcmp_ordered("<", y, of(y.type, float(qmin))), of(y.type, float(qmin)), y)
    y = b.select(b.fcmp_ordered(">", y, of(y.type, float(qmax))), of(y.type, float(qmax)), y)
    return b.fptosi(y, vector(I32))
