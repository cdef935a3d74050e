"""What is kept between comparisons: loaded models, results that may be asked for again, and what
pages show, by numbers that nobody can guess."""

from __future__ import annotations

import pickle
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING, Generic, TypeVar
from weakref import ReferenceType

from qdemo.engine import heap
from qdemo.engine.memory import Memory
from qdemo.settings import Settings
from qdemo.spec.decoding import Decoding
from qdemo.spec.evidence import Evidence
from qdemo.spec.report import Done, Report, Trial
from qdemo.spec.request import Request

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from qdemo.compress.stats import Stats
    from qdemo.engine import trials
    from qdemo.measure.measure import Found, Inputs

    Logits = NDArray[np.float32]

Value = TypeVar("Value")


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
        self.trials: Memory[tuple[str, str, int], trials.Trial] = Memory(settings.result_bytes // 4)
        self._results: Memory[tuple[Asked, str] | str, bytes] = Memory(settings.result_bytes)
        self._per_model: Memory[tuple[str, str], Found] = Memory(settings.result_bytes)

    @property
    def _all(self) -> tuple[Memory[object, object], ...]:
        return (  # type: ignore[return-value]
            self.models, self.inputs, self.stats, self.made, self.trials, self._results,
            self._per_model,
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

    def keep_evidence(self, number: str, evidence: Evidence) -> None:
        """Keep an evaluation that a page shows under that number, as long as there is room."""
        held = zlib.compress(pickle.dumps(evidence), level=1)
        self._results.put(f"evidence {number}", held, len(held))

    def evidence(self, number: str) -> Evidence | None:
        """The evaluation kept under that number; None where there is none, or is no longer."""
        held = self._results.get(f"evidence {number}")
        if held is None:
            return None
        found: Evidence = pickle.loads(zlib.decompress(held))
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
