"""The smallest repair of what is on screen: asked for by anyone, in the line of comparisons, with
its progress, and within the time that a comparison may take."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from qdemo.engine import heap
from qdemo.engine.first import libraries
from qdemo.models.availability import get_entry
from qdemo.spec.messages import say
from qdemo.spec.repair import Repair
from qdemo.spec.report import Making
from qdemo.spec.sensitivity import Trying
from qdemo.spec.variant import Variant

if TYPE_CHECKING:
    from qdemo.engine.engine import Engine
    from qdemo.engine.turns import Run, Waiting
    from qdemo.spec.request import Request

_APART_S = 0.25
"""Between two tries that are told: there are hundreds a second."""


@dataclass(frozen=True)
class Mended:
    """A repair, and the bytes that the format holds and that its repaired one does; the same where
    there is none."""

    repair: Repair
    before: int
    after: int


Told: TypeAlias = "Waiting | Making | Trying | Mended"


class GivenUpError(Exception):
    """It ended without a repair; says why, in a sentence for people."""


def mend(engine: Engine, request: Request, format: str, run: Run) -> Iterator[Told]:
    """What happens while the layers are looked for that bring fp32's answer to a request back in
    one of its formats; the last that is told is `Mended`. Nothing is, where it was stopped.

    Raises:
        InputError: the model can't be had, or can't take this input.
        FullError: too many wait.
        GivenUpError: the format can't be made or repaired, or it took as long as it may.
    """
    libraries()
    try:
        with run.turn_in(engine.computing) as waiting:
            yield from waiting
            if not run.is_stopped:
                yield from _in_time(_computed(engine, request, Variant.parse(format), run), engine)
    finally:
        heap.collect()


def _computed(engine: Engine, request: Request, variant: Variant, run: Run) -> Iterator[Told]:
    """The same, in the thread that computes."""
    from qdemo.engine.comparing import reason
    from qdemo.engine.threads import for_size, on_threads

    loaded, _ = engine.given(request)
    count = for_size(get_entry(request.model).parameters or loaded.parameters)
    try:
        yield from on_threads(count, _steps(engine, request, variant), run.stop)
    except (ValueError, ArithmeticError, RuntimeError, MemoryError) as error:
        raise GivenUpError(reason(str(variant), error)) from None


def _steps(engine: Engine, request: Request, variant: Variant) -> Generator[Told]:
    from qdemo.compress.footprint import footprint
    from qdemo.engine.answering import Question
    from qdemo.engine.repairing import repair

    loaded, prompt = engine.given(request)
    question = Question(loaded.family, prompt, request.max_tokens, request.decoding)
    most_s = engine.settings.method_s
    built = yield from engine.made(loaded, variant, most_s)
    found = yield from repair(loaded, question, variant, built)
    before = after = footprint(built).total
    if found.repaired is not None and found.is_needed:
        repaired = yield from engine.made(loaded, Variant.parse(found.repaired), most_s)
        after = footprint(repaired).total
    yield Mended(found, before, after)


def _in_time(told: Iterator[Told], engine: Engine) -> Iterator[Told]:
    """What is told now and then, until there is no more, or no more time."""
    most_s = engine.settings.deadline_s
    began = time.monotonic()
    shown_at = began - _APART_S
    with closing(told):  # type: ignore[type-var]
        for one in told:
            now = time.monotonic()
            if isinstance(one, Mended) or now - shown_at >= _APART_S:
                yield one
                shown_at = now
            if now - began > most_s and not isinstance(one, Mended):
                raise GivenUpError(
                    say("stopped after {seconds} s, the longest here", seconds=most_s)
                )
