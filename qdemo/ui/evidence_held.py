"""What the Evidence page shows: as everywhere, it holds the number under which the server keeps the
evaluation itself. The first that it shows was computed before anyone has asked."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache

from qdemo.engine.engine import ENGINE
from qdemo.engine.turns import Run
from qdemo.spec import evidence_file
from qdemo.spec.evidence import Evidence
from qdemo.spec.messages import say_counted
from qdemo.views.evidence_points import Findings
from qdemo.views.templates import ASSETS

EXAMPLE = "example"
FILE = ASSETS / "examples" / "evidence.json.gz"
"""Packed: of 32 formats there are tens of thousands of outcomes."""

_GROWING: dict[str, Evidence] = {}
"""Those under way, by the numbers of their runs."""


class Growing:
    """An evaluation under way: who holds its text is shown what is known by then."""

    def __init__(self, number: str) -> None:
        """Nothing is known yet."""
        self._number, self._told = number, 0

    def now(self, evidence: Evidence) -> str:
        """So much is known by now; what a page holds of it, another text each time."""
        _GROWING[self._number] = evidence
        self._told += 1
        return f"{self._number} {self._told}"


@contextmanager
def growing(run: Run) -> Iterator[Growing]:
    """An evaluation that is kept when the block ends, whatever ends it, with what came."""
    try:
        yield Growing(run.number)
    finally:
        found = _GROWING.pop(run.number, None)
        if found is not None:
            ENGINE.keeping.keep_evidence(run.number, found)


def findings(text: object) -> Findings | None:
    """What a page holds that has this text; None where the server no longer has it."""
    try:
        return _findings(str(text))
    except LookupError:
        return None


@lru_cache(maxsize=4)  # each is asked for several times, and worked out of thousands of outcomes
def _findings(text: str) -> Findings:
    number = text.partition(" ")[0]
    if number == EXAMPLE:
        return example()
    found = _GROWING.get(number) or ENGINE.keeping.evidence(number)
    if found is None:
        raise LookupError(number)
    return Findings(found)


@cache
def example() -> Findings:
    """The example; `python -m assets.examples` computes it anew."""
    return Findings(evidence_file.from_text(gzip.decompress(FILE.read_bytes())))


def note(text: object) -> str:
    """When and where the example was computed, to be shown beside it; nothing of any other."""
    if str(text) != EXAMPLE:
        return ""
    evidence = example().evidence
    machine = evidence.machine
    return say_counted(
        "Computed earlier ({date}, {count} thread of {processor}). Press Evaluate for your own.",
        "Computed earlier ({date}, {count} threads of {processor}). Press Evaluate for your own.",
        machine.threads,
        date=evidence.computed[:10],
        count=machine.threads,
        processor=machine.processor,
    )
