"""Whether loops can be compiled and run in this process, and if not, why."""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from mmap import PAGESIZE, mmap
from pathlib import Path
from threading import RLock

from qdemo.spec.messages import say

MAKING = RLock()
"""Whatever loops need is imported under it, and made: a fork waits for it, and finds nothing half
done."""

_READ_WRITE_EXECUTE = 7


@cache
def why_not() -> str:
    """Why loops can't run here, in a sentence; empty where they can."""
    if _is_missing("llvmlite"):
        return say("llvmlite is not installed")
    if not _loads():
        return say("llvmlite is installed, and does not load here")
    if not _may_write_code():
        return say("this system lets no program write code")
    if ctypes.sizeof(ctypes.c_void_p) != 8:
        return say("this is no 64-bit Python")
    return "" if parallel() else say("torch brings no libgomp here")


def _is_missing(package: str) -> bool:
    try:
        return find_spec(package) is None
    except ValueError:  # what stands in its place was never found
        return True


def _loads() -> bool:
    try:
        import_module("llvmlite.binding")
    except (ImportError, OSError, RuntimeError):
        return False
    return True


def _may_write_code() -> bool:
    """Whether memory may hold code that was written; hardened services forbid it, and LLVM does not
    look. (macOS wants to be asked in another way, which LLVM knows.)"""
    if sys.platform != "linux":
        return True
    try:
        mmap(-1, PAGESIZE, prot=_READ_WRITE_EXECUTE).close()
    except OSError:
        return False
    return True


@cache
def parallel() -> int:
    """The address of GOMP_parallel in the libgomp beside torch's libraries, or 0."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return 0
    home = Path(spec.origin).parent
    for folder in (home / "lib", home.parent / "torch.libs"):
        for path in sorted(folder.glob("libgomp*.so*")):
            return ctypes.cast(ctypes.CDLL(str(path)).GOMP_parallel, ctypes.c_void_p).value or 0
    return 0
