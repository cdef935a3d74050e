"""A memory of bounded size, for any thread: what is kept of models, results and pages."""

from __future__ import annotations

import os
import threading
from collections.abc import Hashable
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from cachetools import LRUCache

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class Memory(Generic[Key, Value]):
    """At most `most_bytes` of values, the least recently used forgotten first; for any thread.

    >>> memory = Memory[str, str](most_bytes=2)
    >>> for letter in "abc":
    ...     memory.put(letter, letter.upper(), n_bytes=1)
    >>> [memory.get(letter) for letter in "abc"]
    [None, 'B', 'C']
    """

    def __init__(self, most_bytes: int) -> None:
        """Begin empty."""
        self._lock = threading.Lock()
        _EVERY.add(self)
        self._kept: LRUCache[Key, tuple[Value, int]] = LRUCache(most_bytes, lambda pair: pair[1])

    @property
    def n_bytes(self) -> int:
        """What is held now, as it was declared."""
        return int(self._kept.currsize)

    def __len__(self) -> int:
        """How many values are held."""
        return len(self._kept)

    def get(self, key: Key) -> Value | None:
        """The value, which is now the most recently used; None where there is none."""
        with self._lock:
            found = self._kept.get(key)
        return None if found is None else found[0]

    def values(self) -> list[Value]:
        """All of them, none of which counts as used."""
        with self._lock:
            return [value for value, _ in self._kept.values()]

    def has_room(self, n_bytes: int) -> bool:
        """Whether so many are no more than everything together may be."""
        return n_bytes <= self._kept.maxsize

    def put(self, key: Key, value: Value, n_bytes: int) -> None:
        """Keep a value; one that is larger than everything together may be is not kept."""
        with self._lock:
            self._kept.pop(key, None)
            if self.has_room(n_bytes):
                self._kept[key] = value, n_bytes

    def forget_oldest(self) -> bool:
        """Make room; False where there was nothing to forget."""
        with self._lock:
            if self._kept:
                self._kept.popitem()
                return True
            return False

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()

    def _unlocked(self) -> None:
        self._lock = threading.Lock()


_EVERY: WeakSet[Memory[Any, Any]] = WeakSet()


def _in_fork() -> None:
    """Whoever held a lock is not there."""
    for memory in _EVERY:
        memory._unlocked()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_fork)
