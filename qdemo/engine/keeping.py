"""What is kept between comparisons: loaded models, results that may be asked for again, and what
pages show, by numbers that nobody can guess."""

from __future__ import annotations

import os
import pickle
import threading
import zlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from weakref import ReferenceType, WeakSet

from cachetools import LRUCache

from qdemo.engine import heap
from qdemo.settings import Settings
from qdemo.spec.decoding import Decoding
from qdemo.spec.report import Done, Report, Trial
from qdemo.spec.request import Request

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from qdemo.compress.stats import Stats
    from qdemo.measure.measure import Found, Inputs

    Logits = NDArray[np.float32]

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


@dataclass(frozen=True)
class Asked:
    """What a result depends on beside its format; of what a person gave, only the hash. A text that
    is scored has no longest answer."""

    model: str
    given: str
    max_tokens: int
    decoding: Decoding

    @classmethod
    def by(cls, request: Request) -> Asked:
        """That request."""
        digest = sha256(str(request.given).encode()).hexdigest()
        longest = 0 if request.decoding.read_as == "score" else request.max_tokens
        return cls(request.model, digest, longest, request.decoding)


@dataclass(frozen=True)
class _Outcome:
    """A result without what does not depend on the input; of the reference with its logits."""

    trial: Trial
    logits: Logits | None


@dataclass(frozen=True)
class Shown:
    """What a page shows: a report, and the picture that it is about, small, as a `data:` address;
    empty where it is about none."""

    report: Report
    picture: str = ""


@dataclass(frozen=True, eq=False)
class Made(Generic[Value]):
    """What took long to find of that very model: one that is loaded by its name later may be
    another."""

    of: ReferenceType[nn.Module]
    found: Value

    def by(self, model: nn.Module) -> Value | None:
        """What was found, where it is of `model`."""
        return self.found if self.of() is model else None


class Keeping:
    """The memories of one engine."""

    def __init__(self, settings: Settings) -> None:
        """Begin empty."""
        self.models: Memory[str, object] = Memory(settings.model_bytes)
        self.inputs: Memory[str, Inputs] = Memory(settings.model_bytes // 8)
        self.stats: Memory[str, Made[Mapping[str, Stats]]] = Memory(settings.model_bytes // 4)
        self.made: Memory[tuple[str, str], Made[nn.Module]] = Memory(settings.model_bytes // 4)
        self._results: Memory[tuple[Asked, str] | str, bytes] = Memory(settings.result_bytes)
        self._per_model: Memory[tuple[str, str], Found] = Memory(settings.result_bytes)

    @property
    def _all(self) -> tuple[Memory[object, object], ...]:
        return (  # type: ignore[return-value]
            self.models, self.inputs, self.stats, self.made, self._results, self._per_model,
        )  # fmt: skip

    def result(self, request: Request, name: str) -> tuple[Trial, Logits | None] | None:
        """What was kept of that format, unless all is to be computed."""
        held = None if request.fresh else self._results.get((Asked.by(request), name))
        if held is None:
            return None
        outcome: _Outcome = pickle.loads(held)
        if outcome.logits is not None:  # the reference, whose weights have no errors
            return outcome.trial, outcome.logits
        known = self.per_model(request.model, name)
        return None if known is None else (replace(outcome.trial, weights=known.weights), None)

    def keep(self, request: Request, done: Done, per_model: Found) -> None:
        """Keep a result, as long as there is room, without what is kept once for all inputs. As
        bytes: so their number is known, and they leave no gaps behind. Of a long text the logits
        alone may be a gigabyte, so whether there is room is asked before they are copied."""
        trial = done.trial
        if self._results.has_room(0 if done.logits is None else done.logits.nbytes):
            held = pickle.dumps(_Outcome(replace(trial, weights={}), done.logits))
            self._results.put((Asked.by(request), trial.format), held, len(held))
        if trial.weights:
            n_bytes = _BYTES_A_PARAMETER * len(trial.weights)
            self._per_model.put((request.model, trial.format), per_model, n_bytes)

    def per_model(self, model: str, name: str) -> Found | None:
        """What of a format is the same for each input."""
        return self._per_model.get((model, name))

    def keep_shown(self, number: str, shown: Shown) -> None:
        """Keep what a page shows under that number, as long as there is room."""
        held = zlib.compress(pickle.dumps(shown), level=1)
        self._results.put(number, held, len(held))

    def shown(self, number: str) -> Shown | None:
        """What was kept under that number; None where nothing was, or is no longer."""
        held = self._results.get(number)
        if held is None:
            return None
        found: Shown = pickle.loads(zlib.decompress(held))
        return found

    def forget_made(self) -> bool:
        """Let go of what can be made again of a model; False where there was nothing."""
        had = bool(len(self.stats) or len(self.made))
        self.stats.clear()
        self.made.clear()
        return had

    def forget(self) -> None:
        """Let go of everything."""
        for memory in self._all:
            memory.clear()
        heap.collect()


_BYTES_A_PARAMETER = 12_000  # two histograms as Python's numbers
