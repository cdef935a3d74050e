"""Writing loops over vectors, as LLVM takes them.

What is one instruction on one CPU and several on another, as a table of sixteen values, is
written for each kind of CPU (`Kind`) here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir

from qdemo.loops.machine import LANES, Kind

I8, I16, I32, I64 = (ir.IntType(bits) for bits in (8, 16, 32, 64))
F16, F32, F64 = ir.HalfType(), ir.FloatType(), ir.DoubleType()
POINTER = ir.PointerType()
VOID = ir.VoidType()

Value = Any
"""An ir.Value; llvmlite has no types of its own to check with."""


def vector(of: Value, lanes: int = LANES) -> Value:
    """The type of so many values; of one, itself."""
    return ir.VectorType(of, lanes) if lanes > 1 else of


def of(type: Value, value: float | Sequence[float]) -> Value:
    """A constant of a type; a vector type takes one value for all lanes, or one for each."""
    if isinstance(type, ir.VectorType):
        values = value if isinstance(value, Sequence) else [value] * type.count
        return ir.Constant(type, [ir.Constant(type.element, one) for one in values])
    return ir.Constant(type, value)


NOWHERE = ir.Constant(POINTER, None)


def i64(value: int) -> Value:
    """A constant size or place."""
    return ir.Constant(I64, value)


class Emitter:
    """Writes one function: `b` is llvmlite's builder, for what needs no words of ours."""

    def __init__(self, function: Value, kind: Kind, has_dots: bool = False) -> None:
        """Begin at the start of `function`; whether the CPU has sums of four products of bytes."""
        self.function, self.kind, self.has_dots = function, kind, has_dots
        self.module = function.module
        self.b = ir.IRBuilder(function.append_basic_block())

    def call(self, name: str, result: Value, *values: Value, fast: Sequence[str] = ()) -> Value:
        """Call a function of LLVM's, or of the C library, that takes these and gives `result`."""
        return self.b.call(self._declared(name, result, values), values, fastmath=fast)

    def _declared(self, name: str, result: Value, values: Sequence[Value]) -> Value:
        known = self.module.globals.get(name)
        type = ir.FunctionType(result, [value.type for value in values])
        return known if known is not None else ir.Function(self.module, type, name)

    def at(self, pointer: Value, index: Value, type: Value = I8) -> Value:
        """The place of element `index` of an array of that type."""
        return self.b.gep(pointer, [index], source_etype=type)

    def load(self, pointer: Value, type: Value, index: Value = None, align: int = 1) -> Value:
        """A value there, or at `index` of an array of what the type's lanes are."""
        if index is not None:
            pointer = self.at(pointer, index, getattr(type, "element", type))
        return self.b.load(pointer, typ=type, align=align)

    def store(self, value: Value, pointer: Value, index: Value = None, align: int = 1) -> None:
        """The other way round."""
        if index is not None:
            pointer = self.at(pointer, index, getattr(value.type, "element", value.type))
        self.b.store(value, pointer, align=align)

    def prefetch(self, pointer: Value) -> None:
        """Have what lies there brought nearer; there may be nothing."""
        read, keep, data = (of(I32, i) for i in (0, 3, 1))
        self.call("llvm.prefetch.p0", VOID, pointer, read, keep, data)

    def argument(self, arguments: Value, place: int) -> Value:
        """The number at a place of an array of 64-bit ones."""
        return self.load(arguments, I64, i64(place), align=8)

    def pointer(self, arguments: Value, place: int) -> Value:
        """The address there."""
        return self.b.inttoptr(self.argument(arguments, place), POINTER)

    def splat(self, value: Value, lanes: int = LANES) -> Value:
        """A vector of that value in each lane."""
        if lanes == 1:
            return value
        type = vector(value.type, lanes)
        first = self.b.insert_element(ir.Constant(type, ir.Undefined), value, of(I32, 0))
        return self.b.shuffle_vector(first, first, of(vector(I32, lanes), 0))

    def multiply_add(self, a: Value, x: Value, y: Value) -> Value:
        """a · x + y: rounded once where the CPU can, and never by a call."""
        return self.call(f"llvm.fmuladd.{_name(a.type)}", a.type, a, x, y)

    def sum(self, value: Value) -> Value:
        """Of all lanes, in any order."""
        type = value.type
        if not isinstance(type, ir.VectorType):
            return value
        if type.element == F32 or type.element == F64:
            start = ir.Constant(type.element, -0.0)
            name = f"llvm.vector.reduce.fadd.{_name(type)}"
            return self.call(name, type.element, start, value, fast=("reassoc",))
        return self.call(f"llvm.vector.reduce.add.{_name(type)}", type.element, value)

    def largest(self, value: Value) -> Value:
        """The largest lane of unsigned integers."""
        type = value.type
        return self.call(f"llvm.vector.reduce.umax.{_name(type)}", type.element, value)

    def look_up(self, table: Value, codes: Value) -> Value:
        """The values of `codes`, int32 of which only the lowest four bits count, in a `table` of
        sixteen: where the CPU has a table in a register `table` is one, else its address."""
        if self.kind == "avx512" and isinstance(codes.type, ir.VectorType):
            return self.call("llvm.x86.avx512.permvar.sf.512", table.type, table, codes)
        if self.kind == "avx2" and isinstance(codes.type, ir.VectorType):
            return self._two_tables_of_eight(table, codes)
        low = self.b.and_(codes, of(codes.type, 15))
        if not isinstance(codes.type, ir.VectorType):
            return self.load(table, F32, low, align=4)
        found = ir.Constant(vector(F32), ir.Undefined)
        for lane in range(LANES):
            one = self.load(table, F32, self.b.extract_element(low, of(I32, lane)), align=4)
            found = self.b.insert_element(found, one, of(I32, lane))
        return found

    def gather(self, place: Value, indexes: Value) -> Value:
        """The fp32 values at these indexes, int32 from 0 on, of an array that lies at `place`."""
        if not isinstance(indexes.type, ir.VectorType):
            return self.load(place, F32, self.b.zext(indexes, I64), align=4)
        found = ir.Constant(vector(F32), ir.Undefined)
        if self.kind == "avx512":
            every, scale = of(vector(ir.IntType(1)), 1), of(I32, 4)
            name = "llvm.x86.avx512.mask.gather.dps.512"
            return self.call(name, found.type, found, place, indexes, every, scale)
        for lane in range(LANES):
            index = self.b.zext(self.b.extract_element(indexes, of(I32, lane)), I64)
            one = self.load(place, F32, index, align=4)
            found = self.b.insert_element(found, one, of(I32, lane))
        return found

    def _two_tables_of_eight(self, table: Value, codes: Value) -> Value:
        b, found = self.b, []
        halves = [self.lanes(table, range(8)), self.lanes(table, range(8, 16))]
        for start in (0, 8):
            own = self.lanes(codes, range(start, start + 8))
            low, high = (
                self.call("llvm.x86.avx2.permps", vector(F32, 8), half, own) for half in halves
            )
            is_high = b.icmp_signed("<", b.shl(own, of(own.type, 28)), of(own.type, 0))
            found.append(b.select(is_high, high, low))
        return b.shuffle_vector(*found, of(vector(I32), list(range(LANES))))

    def lanes(self, value: Value, places: Sequence[int]) -> Value:
        """A vector of those lanes."""
        mask = of(vector(I32, len(places)), list(places))
        return self.b.shuffle_vector(value, value, mask)

    def table(self, address: Value, lanes: int = LANES) -> Value:
        """What `look_up` takes, of sixteen fp32 values that lie there."""
        in_register = self.kind != "portable" and lanes > 1
        return self.load(address, vector(F32)) if in_register else address

    def loop(
        self,
        start: Value,
        stop: Value,
        step: int | Value,
        body: Callable[[Value, list[Value]], Sequence[Value] | None],
        carried: Sequence[Value] = (),
    ) -> list[Value]:
        """for i in range(start, stop, step): carried = body(i, carried); what it was at the end."""
        b, before = self.b, self.b.block
        head, inside, after = (b.append_basic_block(name) for name in ("head", "body", "end"))
        b.branch(head)
        b.position_at_end(head)
        i = b.phi(I64)
        i.add_incoming(start, before)
        held = [b.phi(value.type) for value in carried]
        for phi, value in zip(held, carried, strict=True):
            phi.add_incoming(value, before)
        b.cbranch(b.icmp_signed("<", i, stop), inside, after)
        b.position_at_end(inside)
        made = body(i, list(held)) or ()
        i.add_incoming(b.add(i, i64(step) if isinstance(step, int) else step), b.block)
        for phi, value in zip(held, made, strict=True):
            phi.add_incoming(value, b.block)
        b.branch(head)
        b.position_at_end(after)
        return held

    def least(self, a: Value, c: Value) -> Value:
        """The smaller of two places."""
        return self.b.select(self.b.icmp_signed("<", a, c), a, c)


def _name(type: Value) -> str:
    """As LLVM writes a type in the names of its own functions."""
    if isinstance(type, ir.VectorType):
        return f"v{type.count}{_name(type.element)}"
    if isinstance(type, ir.IntType):
        return f"i{type.width}"
    return {F16: "f16", F32: "f32", F64: "f64"}[type]
