"""Quantized weights made floats, some rows at a time, for products that torch computes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qdemo.loops.codes import Panel, Weights
from qdemo.loops.compiling import compiled
from qdemo.loops.emit import POINTER, Emitter, Value, i64
from qdemo.loops.form import STEP, Form
from qdemo.loops.machine import FIRST_OWN, LANES, Kernel, Machine
from qdemo.loops.scales import narrowed


def floats(here: Machine, form: Form, as_bf16: bool = False) -> Kernel:
    """The kernel: it is called with memory for the values, the first row and the number of rows, of
    weights that the work tells of, whose items are rows from that first one on.

    The values, scale · (number − zero point) or scale · number + minimum, are fp32 or bf16: those
    of bytes row by row, those of panels (length, rows), as they come out of them.
    """
    write = _panels if form.planes else _rows

    def body(
        e: Emitter, arguments: Value, given: Sequence[Value], first: Value, last: Value
    ) -> None:
        weights = Weights.given(e, form, arguments, FIRST_OWN)
        out, start, rows, _ = given
        end = e.least(last, rows)
        to = _Target(weights, e.b.inttoptr(out, POINTER), start, rows, as_bf16)
        write(to, e.b.add(start, first), e.b.add(start, end))

    return compiled(body, here)


class _Target:
    """Where values go."""

    def __init__(
        self, weights: Weights, out: Value, start: Value, rows: Value, as_bf16: bool
    ) -> None:
        self.w, self.out, self.start, self.rows, self.as_bf16 = weights, out, start, rows, as_bf16
        self.e, self.b = weights.e, weights.e.b

    def put(self, value: Value, place: Value) -> None:
        """Store a vector there, in the unit of values."""
        self.e.store(narrowed(self.e, value) if self.as_bf16 else value, self.out, place, align=2)

    def unit(self, g: Value, row: Value, lanes: int, wide: int) -> Callable[[Value], Value]:
        """What makes numbers of a group values: of 16 rows, or `wide` ones of a row."""
        beside = self.w.beside
        held = (beside.scale(g, row, lanes), beside.zero(g, row, lanes),
                beside.minimum(g, row, lanes))  # fmt: skip
        scale, zero, minimum = (None if x is None else self.e.splat(x, wide) for x in held)

        def value(number: Value) -> Value:
            if minimum is not None:
                return self.e.multiply_add(number, scale, minimum)
            return self.b.fmul(number if zero is None else self.b.fsub(number, zero), scale)

        return value


def _rows(to: _Target, first: Value, last: Value) -> None:
    e, b, w = to.e, to.b, to.w

    def row(n: Value, _: list[Value]) -> None:
        source = e.at(w.codes, b.mul(n, w.length))
        target = b.mul(b.sub(n, to.start), w.length)

        def group(g: Value, _: list[Value]) -> None:
            value = to.unit(g, n, 1, LANES)
            begin = b.mul(g, w.group)

            def some(k: Value, _: list[Value]) -> None:
                to.put(value(w.in_row(source, k)), b.add(target, k))

            e.loop(begin, b.add(begin, w.group), LANES, some)

        e.loop(i64(0), b.udiv(w.length, w.group), 1, group)

    e.loop(first, last, 1, row)


def _panels(to: _Target, first: Value, last: Value) -> None:
    e, b, w = to.e, to.b, to.w

    def of_rows(panel: Panel, n: Value) -> None:
        lanes = panel.lanes
        levels, target = w.levels(lanes), b.sub(n, to.start)

        def group(g: Value, _: list[Value]) -> None:
            value, begin = to.unit(g, n, lanes, 1), b.mul(g, w.group)

            def some(k: Value, _: list[Value]) -> None:
                number = w.step(panel, k, levels)
                for i in range(STEP):
                    place = b.mul(b.add(k, i64(i)), to.rows)
                    to.put(value(number(i)), b.add(place, target))

            e.loop(begin, b.add(begin, w.group), STEP, some)

        e.loop(i64(0), b.udiv(w.length, w.group), 1, group)

    w.each_panel(first, last, of_rows)
