"""What an evaluation has computed, trial by trial: a trial is one batch of items in one format. So
what was stopped, or broke off, goes on where it was, and nothing is computed twice."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from qdemo.engine.memory import Memory
from qdemo.spec.evidence import Judged, Outcome
from qdemo.spec.messages import say

Tokens = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Trial:
    """What a format made of the items from the one at `start` on: `judged` has their outcomes.
    `tokens` are fp32's answers to them, which are forced on every other format, whose trials have
    none."""

    start: int
    judged: Judged
    tokens: Tokens = ()


class Trials(Protocol):
    """Where trials are kept."""

    def get(self, format: str, start: int) -> Trial | None:
        """The trial, where it was computed."""

    def put(self, trial: Trial) -> None:
        """Keep one."""


@dataclass(frozen=True)
class Kept:
    """Those of one evaluation in a memory that many share; `asked` tells what they depend on."""

    memory: Memory[tuple[str, str, int], Trial]
    asked: str

    def get(self, format: str, start: int) -> Trial | None:
        """The trial, where there was room for it."""
        return self.memory.get((self.asked, format, start))

    def put(self, trial: Trial) -> None:
        """Keep it, as long as there is room."""
        texts = sum(len(out.output or "") for out in trial.judged.outcomes)
        n_bytes = 1000 + 2 * texts + _OUTCOME * len(trial.judged.outcomes)
        n_bytes += _TOKEN * sum(map(len, trial.tokens))
        self.memory.put((self.asked, trial.judged.format, trial.start), trial, n_bytes)


_OUTCOME, _TOKEN = 300, 40  # bytes as Python's objects


class Written:
    """Those in a file, a line of JSON each, written when they are through: what breaks off loses
    the one under way."""

    def __init__(self, file: Path, asked: str) -> None:
        """Go on with what `file` holds, or begin it.

        Raises:
            ValueError: it holds another evaluation's, or nothing of the kind.
            OSError: it can't be read or written.
        """
        self._file = file
        self._known: dict[tuple[str, int], Trial] = {}
        if file.exists() and file.stat().st_size:
            self._read(asked)
        else:
            file.write_text(json.dumps({"trials_of": asked}) + "\n", encoding="utf-8")

    def _read(self, asked: str) -> None:
        try:
            first, *lines = self._file.read_text(encoding="utf-8").split("\n")
            found = json.loads(first)["trials_of"]
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                say("{file} holds no trials to go on with", file=self._file.name)
            ) from None
        if found != asked:
            raise ValueError(
                say(
                    "{file} holds trials of another evaluation ({found}); this is {asked}",
                    file=self._file.name,
                    found=str(found)[:200],
                    asked=asked,
                )
            )
        whole, broken = lines[:-1], lines[-1]  # a line that has no end was being written
        for line in whole:
            trial = _trial(json.loads(line))
            self._known[trial.judged.format, trial.start] = trial
        if broken:
            kept = "".join(f"{line}\n" for line in (first, *whole))
            self._file.write_text(kept, encoding="utf-8")

    def get(self, format: str, start: int) -> Trial | None:
        """The trial, where the file has it."""
        return self._known.get((format, start))

    def put(self, trial: Trial) -> None:
        """Write it at the end."""
        self._known[trial.judged.format, trial.start] = trial
        with self._file.open("a", encoding="utf-8") as file:
            file.write(json.dumps(_plain(trial), ensure_ascii=False, allow_nan=False) + "\n")


_HELD = ("format", "bytes", "bits_per_weight", "output_error", "seconds")


def _plain(trial: Trial) -> dict[str, object]:
    judged = trial.judged
    outcomes = [
        [out.output, _finite(out.kl), out.same, out.positions, _finite(out.loss)]
        for out in judged.outcomes
    ]
    held = {key: getattr(judged, key) for key in _HELD}
    return {"start": trial.start, **held, "outcomes": outcomes, "tokens": trial.tokens}


def _trial(found: Mapping[str, Any]) -> Trial:
    outcomes = tuple(
        Outcome(output, math.inf if kl is None else kl, same, positions, loss)
        for output, kl, same, positions, loss in found["outcomes"]
    )
    judged = Judged(outcomes=outcomes, **{key: found[key] for key in _HELD})
    return Trial(found["start"], judged, tuple(map(tuple, found["tokens"])))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
