"""The CPU as loops see it, and their kernels: made once, and run on torch's own threads.

A fork has none of its parent's threads and would wait for them for ever, so there one computes.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from threading import Event
from typing import Any, Literal

from qdemo.loops.host import MAKING, why_not

COUNT, CHUNK, FIRST_OWN = 0, 1, 2
"""What the first numbers of any work are: items in all, and items at a time. From `FIRST_OWN` on
they are the loop's own."""

GIVEN = 4
"""How many numbers each call is given besides."""

LANES = 16
"""Values of a vector, whatever the CPU: LLVM cuts it into registers of the width that there is."""

Kind = Literal["avx512", "avx2", "portable"]

FLOATS = ("fp32", "bf16", "fp16")
"""What floats are, by the number that says so; fp16 where the CPU converts it."""


def takes_fp16(kind: Kind) -> bool:
    """Whether CPUs of that kind convert fp16, which elsewhere would be a call of a library."""
    return kind != "portable"


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
        types = (ctypes.c_int, ctypes.c_void_p, *[ctypes.c_int64] * GIVEN, ctypes.c_int)
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


def _forked() -> None:
    _FORKED.set()
    MAKING.release()


if hasattr(os, "register_at_fork"):  # a fork must find neither the lock held nor LLVM half-way
    os.register_at_fork(
        before=MAKING.acquire, after_in_parent=MAKING.release, after_in_child=_forked
    )


_KERNELS: dict[tuple[object, ...], Kernel] = {}


def kernel(write: Callable[..., Kernel], *of: Hashable) -> Kernel:
    """What `write` makes for this machine and of those, compiled the first time; there has to be
    one that loops can run on."""
    here = machine()
    assert here is not None
    key = here, write, *of
    found = _KERNELS.get(key)
    if found is None:
        with MAKING:
            if key not in _KERNELS:
                _KERNELS[key] = write(here, *of)
            found = _KERNELS[key]
    return found
