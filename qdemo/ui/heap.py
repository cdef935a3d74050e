"""Memory that is free goes back to the system: glibc would keep what each thread once needed.

Measured with 60 comparisons of t5-tiny, each in a thread of its own: 0.47 GB instead of 1.97 GB.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_M_ARENA_MAX = -8  # of malloc.h


def few_arenas() -> None:
    """Have threads share two heaps; by default each new one may fragment a heap of its own."""
    _call("mallopt", _M_ARENA_MAX, 2)


def give_back() -> None:
    """Hand whole free pages back."""
    _call("malloc_trim", 0)


def _call(name: str, *arguments: int) -> None:
    """A function of glibc, where the C library is that."""
    function = getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
    if function is not None:
        function(*arguments)


def collect() -> None:
    """Also what only refers to itself, as transformers' attention masks do; Python would wait for
    a quarter of a million objects more."""
    gc.collect()
    give_back()


@contextmanager
def for_good() -> Iterator[None]:
    """Take all that is imported and built meanwhile for good.

    Python would look through it for garbage again and again: a fifth of the time of a start.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def freeze() -> None:
    """Take what is loaded by now for good, so that `collect` need not look through all of it."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()
