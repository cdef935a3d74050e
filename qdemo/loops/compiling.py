"""Compiling what is done to the items of some work into a kernel, and what stands around it.

What LLVM makes is machine code in this process: it needs no compiler on the host, and writes no
file. Its threads are those that torch computes with, by the very library that torch brings
(`GOMP_parallel` of libgomp): a second pool would fight with them for the cores. Each thread takes
the next piece of the work from a counter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

from llvmlite import binding, ir

from qdemo.loops.emit import I32, I64, POINTER, VOID, Emitter, Value, i64, of
from qdemo.loops.host import MAKING, parallel
from qdemo.loops.machine import CHUNK, COUNT, GIVEN, Kernel, Machine

Body = Callable[[Emitter, Value, Sequence[Value], Value, Value], Value | None]
"""Writes what is done to the items from a first to a last one: it is given the emitter, where the
numbers of the work lie, the four numbers of the call, and those two. It may give an int32, of which
the call returns the bits that any piece set."""

Prepare = Callable[[Emitter, Value, Sequence[Value]], tuple[Sequence[Value], Value]]
"""Writes what is done once before that: it gives the numbers of the call anew, and the address of
memory that is freed at the end, or none."""


def compiled(body: Body, here: Machine, prepare: Prepare | None = None) -> Kernel:
    """A kernel that does what `body` writes, for that machine."""
    with MAKING:
        _initialize()
        module = ir.Module()
        module.triple = binding.get_default_triple()
        _write(module, body, here, prepare)
        return _linked(str(module), here)


def _linked(code: str, here: Machine) -> Kernel:
    module = binding.parse_assembly(code)
    target = binding.Target.from_default_triple().create_target_machine(
        cpu=here.cpu, features=here.features, opt=3
    )
    options = binding.create_pipeline_tuning_options(speed_level=1)
    options.loop_unrolling = options.loop_vectorization = options.slp_vectorization = False
    passes = binding.create_pass_builder(target, options)
    passes.getModulePassManager().run(module, passes)
    engine = binding.create_mcjit_compiler(module, target)
    engine.finalize_object()
    return Kernel(engine.get_function_address("entry"), engine)


def _write(module: Any, body: Body, here: Machine, prepare: Prepare | None) -> None:
    """Three functions: the pieces of the work, what each thread does, and what is called."""

    def function(name: str, result: Value, *types: Value, inside: bool = True) -> Emitter:
        made = ir.Function(module, ir.FunctionType(result, types), name)
        made.linkage = "internal" if inside else ""
        return Emitter(made, here.kind, here.has_dots)

    given = [I64] * GIVEN
    piece = function("piece", I32, POINTER, *given, I64, I64)
    arguments, *numbers, first, last = piece.function.args
    flags = body(piece, arguments, numbers, first, last)
    piece.b.ret(of(I32, 0) if flags is None else flags)

    share = function("share", VOID, POINTER)
    _take_pieces(share, piece.function)
    entry = function("entry", I32, POINTER, *given, I32, inside=False)
    _enter(entry, share.function, prepare)


_SHARED_COUNTER, _SHARED_FLAGS = 1 + GIVEN, 2 + GIVEN


def _take_pieces(e: Emitter, piece: Value) -> None:
    """Each thread takes pieces until there are none; what they share is an array of numbers."""
    b, shared = e.b, e.function.args[0]
    arguments = e.pointer(shared, 0)
    given = [e.argument(shared, 1 + i) for i in range(GIVEN)]
    count, chunk = e.argument(arguments, COUNT), e.argument(arguments, CHUNK)
    head, inside, end = (b.append_basic_block(name) for name in ("head", "inside", "end"))
    b.branch(head)
    b.position_at_end(head)
    counter = e.at(shared, i64(8 * _SHARED_COUNTER))
    first = b.atomic_rmw("add", counter, chunk, "monotonic")
    b.cbranch(b.icmp_signed("<", first, count), inside, end)
    b.position_at_end(inside)
    last = e.least(b.add(first, chunk), count)
    flags = b.call(piece, [arguments, *given, first, last])
    b.atomic_rmw("or", e.at(shared, i64(8 * _SHARED_FLAGS)), b.zext(flags, I64), "monotonic")
    b.branch(head)
    b.position_at_end(end)
    b.ret_void()


def _enter(e: Emitter, share: Value, prepare: Prepare | None) -> None:
    b = e.b
    arguments, *given, threads = e.function.args
    shared = b.alloca(I64, size=_SHARED_FLAGS + 1)
    memory = None
    if prepare is not None:
        given, memory = prepare(e, arguments, given)
    for place, value in enumerate([b.ptrtoint(arguments, I64), *given, i64(0), i64(0)]):
        e.store(value, shared, i64(place), align=8)
    with b.if_else(b.icmp_signed("<=", threads, of(I32, 1))) as (alone, together):
        with alone:
            b.call(share, [shared])
        with together:
            e.call("GOMP_parallel", VOID, share, shared, threads, of(I32, 0))
    if memory is not None:
        e.call("free", VOID, memory)
    b.ret(b.trunc(e.argument(shared, _SHARED_FLAGS), I32))


@cache
def _initialize() -> None:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    binding.add_symbol("GOMP_parallel", parallel())
