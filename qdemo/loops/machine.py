"""Compiling loops for the CPU that is found, and running them on torch's own threads.

What LLVM makes is machine code in this process: it needs no compiler on the host, and writes no
file. Its threads are those that torch computes with, by the very library that torch brings
(`GOMP_parallel` of libgomp): a second pool would fight with them for the cores. Each thread takes
the next piece of the work from a counter. A fork has none of its parent's threads, and would wait
for them for ever, so there one thread computes.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from qdemo.loops.host import MAKING, parallel, why_not

if TYPE_CHECKING:
    from qdemo.loops.emit import Emitter, Kind, Value

Body = Callable[["Emitter", "Value", Sequence["Value"], "Value", "Value"], "Value | None"]
"""Writes what is done to the items from a first to a last one: it is given the emitter, where the
numbers of the work lie, the four numbers of the call, and those two. It may give an int32, of which
the call returns the bits that any piece set."""

Prepare = Callable[["Emitter", "Value", Sequence["Value"]], "tuple[Sequence[Value], Value]"]
"""Writes what is done once before that: it gives the numbers of the call anew, and the address of
memory that is freed at the end, or none."""

COUNT, CHUNK, FIRST_OWN = 0, 1, 2
"""What the first numbers of any work are: items in all, and items at a time. From `FIRST_OWN` on
they are the loop's own."""

_GIVEN = 4


_COMPILING = Lock()


@dataclass(frozen=True)
class Machine:
    """A CPU as loops see it: what it has for them, and LLVM's name and features of it."""

    kind: Kind
    cpu: str
    features: str

    @property
    def has_dots(self) -> bool:
        """Whether it adds up four products of bytes at once in each lane of 512 bits."""
        return self.kind == "avx512" and "+avx512vnni" in self.features


@cache
def machine() -> Machine | None:
    """The one that this is; None where loops can't be compiled or run: see `why_not`."""
    with MAKING:
        return None if why_not() else _found()


def _found() -> Machine:
    from llvmlite import binding

    for name in ("product", "floats", "rounding", "errors"):
        import_module(f"qdemo.loops.{name}")
    cpu, features = binding.get_host_cpu_name(), binding.get_host_cpu_features()
    text = features.flatten()
    if all(features.get(name) for name in ("avx512f", "avx512bw", "avx512dq", "avx512vl")):
        # Compilers shy at wide registers on some CPUs; these loops gain from them on all.
        return Machine("avx512", cpu, f"{text},-prefer-256-bit")
    if all(features.get(name) for name in ("avx2", "fma", "f16c")):
        return Machine("avx2", cpu, text)
    return Machine("portable", cpu, text)


NARROWER = {"avx2": Machine("avx2", "x86-64-v3", ""), "portable": Machine("portable", "x86-64", "")}
"""What any of today's x86 CPUs can pass for."""


class Kernel:
    """A compiled loop over the items of some work, on several threads."""

    def __init__(self, address: int, alive: object) -> None:
        """The code at `address`, which exists as long as `alive` does."""
        self._alive = alive
        types = (ctypes.c_int, ctypes.c_void_p, *[ctypes.c_int64] * _GIVEN, ctypes.c_int)
        self.briefly = ctypes.PYFUNCTYPE(*types)(address)
        """For less than some 50 µs: no other thread of Python runs meanwhile, and none is waited
        for at the end."""
        self.at_length = ctypes.CFUNCTYPE(*types)(address)
        """Others run meanwhile."""


def work(count: int, chunk: int, own: Iterable[int]) -> Any:
    """The numbers that a kernel is called with, as an array of C."""
    numbers = (count, chunk, *own)
    return (ctypes.c_int64 * len(numbers))(*numbers)


def threads(wanted: int) -> int:
    """How many may compute: as many as are wanted, but in a fork."""
    return 1 if _FORKED.is_set() else wanted


_FORKED = Event()  # whether this process is a fork


def _before_fork() -> None:
    MAKING.acquire()
    _COMPILING.acquire()


def _after_fork() -> None:
    _COMPILING.release()
    MAKING.release()


def _forked() -> None:
    _FORKED.set()
    _after_fork()


if hasattr(os, "register_at_fork"):  # a fork must find neither the lock held nor LLVM half-way
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_forked)


@cache
def _initialize() -> None:
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    binding.add_symbol("GOMP_parallel", parallel())


_KERNELS: dict[tuple[object, ...], Kernel] = {}


def kernel(write: Callable[..., Kernel], *of: Hashable) -> Kernel:
    """What `write` makes for this machine and of those, compiled the first time; there has to be
    one that loops can run on."""
    key = write, *of
    found = _KERNELS.get(key)
    if found is None:
        here = machine()
        assert here is not None
        with MAKING:
            if key not in _KERNELS:
                _KERNELS[key] = write(here, *of)
            found = _KERNELS[key]
    return found


def compiled(body: Body, here: Machine, prepare: Prepare | None = None) -> Kernel:
    """A kernel that does what `body` writes, for that machine."""
    from llvmlite import binding, ir

    with _COMPILING:
        _initialize()
        module = ir.Module()
        module.triple = binding.get_default_triple()
        _write(module, body, here, prepare)
        return _linked(str(module), here)


def _linked(code: str, here: Machine) -> Kernel:
    from llvmlite import binding

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
    from llvmlite import ir

    from qdemo.loops.emit import I32, I64, POINTER, VOID, Emitter, of

    def function(name: str, result: Value, *types: Value, inside: bool = True) -> Emitter:
        made = ir.Function(module, ir.FunctionType(result, types), name)
        made.linkage = "internal" if inside else ""
        return Emitter(made, here.kind, here.has_dots)

    given = [I64] * _GIVEN
    piece = function("piece", I32, POINTER, *given, I64, I64)
    arguments, *numbers, first, last = piece.function.args
    flags = body(piece, arguments, numbers, first, last)
    piece.b.ret(of(I32, 0) if flags is None else flags)

    share = function("share", VOID, POINTER)
    _take_pieces(share, piece.function)
    entry = function("entry", I32, POINTER, *given, I32, inside=False)
    _enter(entry, share.function, prepare)


_SHARED_COUNTER, _SHARED_FLAGS = 1 + _GIVEN, 2 + _GIVEN


def _take_pieces(e: Emitter, piece: Value) -> None:
    """Each thread takes pieces until there are none; what they share is an array of numbers."""
    from qdemo.loops.emit import I64, i64

    b, shared = e.b, e.function.args[0]
    arguments = e.pointer(shared, 0)
    given = [e.argument(shared, 1 + i) for i in range(_GIVEN)]
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
    from qdemo.loops.emit import I32, I64, VOID, i64, of

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
