"""A memory for what may be asked for again, which forgets what was not asked for longest."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from threading import Lock
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class ByteLRU(Generic[Key, Value]):
    """At most `most_bytes` of values, the least recently used forgotten first; for any thread.

    >>> memory = ByteLRU[str, str](most_bytes=2)
    >>> for letter in "abc":
    ...     memory.put(letter, letter.upper(), n_bytes=1)
    >>> [memory.get(letter) for letter in "abc"]
    [None, 'B', 'C']
    """

    def __init__(self, most_bytes: int) -> None:
        """Begin empty."""
        self._most_bytes = most_bytes
        self._lock = Lock()
        self._kept: OrderedDict[Key, tuple[Value, int]] = OrderedDict()
        self._bytes = 0

    @property
    def n_bytes(self) -> int:
        """What is held now, as it was declared."""
        return self._bytes

    def get(self, key: Key) -> Value | None:
        """The value, which is now the most recently used; None where there is none."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: Key, value: Value, n_bytes: int) -> None:
        """Keep a value; one that is larger than everything together may be is not kept."""
        with self._lock:
            self._forget(key)
            if n_bytes > self._most_bytes:
                return
            self._kept[key] = value, n_bytes
            self._bytes += n_bytes
            while self._bytes > self._most_bytes:
                self._forget(next(iter(self._kept)))

    def forget_oldest(self) -> bool:
        """Make room; False where there was nothing to forget."""
        with self._lock:
            if not self._kept:
                return False
            self._forget(next(iter(self._kept)))
            return True

    def clear(self) -> None:
        """Forget everything."""
        while self.forget_oldest():
            pass

    def _forget(self, key: Key) -> None:
        if key in self._kept:
            self._bytes -= self._kept.pop(key)[1]
