"""One thread of ours computes, with one thread of torch's for small work, which more only hold up.

The server has forty, and each that computes keeps 10 to 20 MB for the next time: buffers of torch,
of its libraries and of ours. So work is done where that is already, some steps of it at a time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import cache
from threading import Event
from typing import TypeVar

import torch

Item = TypeVar("Item")

SMALL = 20_000_000
"""Parameters. Below this a step is over sooner than threads have agreed on their shares; where the
cores are busy, as on a shared machine, two threads took ten times as long as one."""

LOOKED_UP_S = 0.1
"""Seconds between two looks at whether to stop, in the middle of a step."""

TOGETHER_S = 0.03
"""Seconds of steps that are taken before they are handed over: where others want Python too, each
handing over is a wait for it, and a step of a tiny model, a token, takes 2 ms."""

_ALL = torch.get_num_threads()
_FORKED = Event()  # whether this process is a fork


def for_size(parameters: int) -> int:
    """The number of torch's threads for a model of that size."""
    return 1 if parameters < SMALL or _FORKED.is_set() else _ALL


def settle() -> None:
    """In a fork, compute on this thread alone from now on.

    It has none of the threads that its parent has computed with, and would wait for them for ever.
    """
    if _FORKED.is_set():
        torch.set_num_threads(1)


def on_threads(count: int, items: Generator[Item], stop: Event | None = None) -> Generator[Item]:
    """The same items, each computed in the thread that computes, with `count` of torch's.

    Several that are under way take turns, some steps at a time. Once `stop` is set there are no
    more, at once: a step under way is computed to its end, and nobody waits for it.
    """
    stop = Event() if stop is None else stop

    def steps() -> _Taken[Item]:
        torch.set_num_threads(count)  # as torch keeps the number for the thread that asks
        settle()
        return _take(items, stop)

    try:
        while _is_through(under_way := _computing().submit(steps), stop):
            taken, end = under_way.result()
            for item in taken:
                if stop.is_set():
                    return
                yield item
            if isinstance(end, StopIteration):
                return
            if end is not None:
                raise end
    finally:
        closed = _computing().submit(items.close)  # there, as a step may still be under way
        if not stop.is_set():
            closed.result()


_Taken = tuple[list[Item], Exception | None]
"""What steps gave, and what ended them."""


def _take(items: Generator[Item], stop: Event) -> _Taken[Item]:
    """Steps until they took long enough together, or there is an end."""
    until = time.monotonic() + TOGETHER_S
    taken: list[Item] = []
    try:
        taken.append(next(items))
        while time.monotonic() < until and not stop.is_set():
            taken.append(next(items))
    except Exception as end:
        return taken, end
    return taken, None


def _is_through(under_way: Future[_Taken[Item]], stop: Event) -> bool:
    """Wait for the end of steps, or for `stop`; whether it was the end."""
    while not stop.is_set():
        if wait([under_way], LOOKED_UP_S).done:
            return True
    under_way.cancel()  # where it has not begun
    return False


@cache
def _computing() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "computing")


def _forked() -> None:
    """A Space with a GPU computes in a fork, which has the memory of this process and not its
    threads."""
    _FORKED.set()
    _computing.cache_clear()
    settle()


_computing()  # here, and not by two at once
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
