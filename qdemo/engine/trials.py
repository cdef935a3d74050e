"""What an evaluation has computed, trial by trial: a trial is one batch of items in one format. So
what was stopped, or broke off, goes on where it was, and nothing is computed twice."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from qdemo.engine.memory import Memory
from qdemo.spec.evidence import Judged
from qdemo.spec.messages import say

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Tokens = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class Trial:
    """What a format made of the items from the one at `start` on: `judged` has their outcomes, and
    `items` tells their inputs from all others. `tokens` are fp32's answers to them, which are
    forced on every other format, whose trials have none."""

    start: int
    items: str
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
            ValueError: it holds another evaluation's, nothing of the kind, or a damaged line.
            OSError: it can't be read or written.
        """
        self._file = file
        self._known: dict[tuple[str, int], Trial] = {}
        if file.exists() and file.stat().st_size:
            self._read(asked)
        else:
            self._write([_heading(asked)])

    def _read(self, asked: str) -> None:
        try:
            *lines, broken = self._file.read_text(encoding="utf-8").split("\n")
            first = lines[0] if lines else broken
            found = json.loads(first)["trials_of"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ValueError(
                say("{file} holds no trials to go on with", file=self._file.name)
            ) from None
        if first != _heading(asked):
            raise ValueError(
                say(
                    "{file} holds trials of another evaluation ({found}); this is {asked}",
                    file=self._file.name,
                    found=str(found)[:200],
                    asked=asked,
                )
            )
        for number, line in enumerate(lines[1:], 2):
            trial = self._trial(line, number)
            self._known[trial.judged.format, trial.start] = trial
        if broken:  # a line that has no end was being written
            self._write(lines or [first])

    def _trial(self, line: str, number: int) -> Trial:
        try:
            return _trial(json.loads(line))
        except (ValueError, KeyError, TypeError, RecursionError):
            raise ValueError(
                say(
                    "{file} is damaged: line {number} is no trial; without that line the others "
                    "are gone on with",
                    file=self._file.name,
                    number=number,
                )
            ) from None

    def _write(self, lines: list[str]) -> None:
        self._file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def get(self, format: str, start: int) -> Trial | None:
        """The trial, where the file has it."""
        return self._known.get((format, start))

    def put(self, trial: Trial) -> None:
        """Write it at the end, in one piece: another process may write there as well."""
        self._known[trial.judged.format, trial.start] = trial
        line = json.dumps(_plain(trial), ensure_ascii=False, allow_nan=False)
        with self._file.open("ab", buffering=0) as file:
            file.write(f"{line}\n".encode())


_SCHEMA = 1
"""Raised whenever a trial changes its meaning."""


def _heading(asked: str) -> str:
    return json.dumps({"schema": _SCHEMA, "trials_of": asked})


_HELD = ("format", "bytes", "bits_per_weight", "output_error", "seconds")


def _plain(trial: Trial) -> dict[str, object]:
    judged = trial.judged
    outcomes = [
        [out.output, _finite(out.kl), out.same, out.positions, _finite(out.loss)]
        for out in judged.outcomes
    ]
    held = {key: getattr(judged, key) for key in _HELD}
    return {
        "start": trial.start,
        "items": trial.items,
        **held,
        "outcomes": outcomes,
        "tokens": trial.tokens,
    }


def _trial(found: Mapping[str, Any]) -> Trial:
    names = ("output", "kl", "same", "positions", "loss")
    outcomes = [dict(zip(names, own, strict=True)) for own in found["outcomes"]]
    for one in outcomes:
        one["kl"] = math.inf if one["kl"] is None else one["kl"]
    judged = {"outcomes": outcomes, **{key: found[key] for key in _HELD}}
    whole = {key: found[key] for key in ("start", "items", "tokens")} | {"judged": judged}
    return _adapter().validate_json(json.dumps(whole), strict=True)


@cache
def _adapter() -> TypeAdapter[Trial]:
    from pydantic import TypeAdapter  # not sooner: what is kept in memory does not need it

    return TypeAdapter(Trial)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
