"""An evaluation's turn: it computes between comparisons, none of which waits for more than one of
its steps, and ends where it is stopped, or where the host's limit is."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from qdemo.engine.engine import ENGINE
from qdemo.engine.evaluation import Evaluation, Progress
from qdemo.engine.first import libraries
from qdemo.engine.turns import Run, Waiting
from qdemo.models.availability import UnavailableError, get_entry
from qdemo.spec.messages import say
from qdemo.spec.request import InputError

if TYPE_CHECKING:
    from qdemo.engine.trials import Trials
    from qdemo.models.loading import Loaded


def judged(
    asked: Evaluation,
    run: Run,
    trials: Trials | None = None,
    most_s: float | None = None,
    method_s: int | None = None,
) -> Generator[Waiting | Progress]:
    """What is known, now and then, and last all of it; what a stop, or the end of `most_s` seconds,
    leaves undone is said to be. A method that may take more than `method_s` fails. Nothing is told
    where it was stopped before its turn came. `trials` is where they are kept, here by default.

    Raises:
        InputError: the model can't be had, or can't take an item.
        FullError: too many wait.
    """
    libraries()
    with run.turn_in(ENGINE.judging) as waiting:
        yield from waiting
        if run.is_stopped:
            return
        at, began = None, time.monotonic()  # and later by what it has waited
        with closing(_steps(asked, run, trials, method_s)) as steps:
            for step in steps:
                if step is not at:
                    yield (at := step)
                began += yield from _letting_go_first(at, run)
                if most_s is not None and time.monotonic() - began > most_s:
                    break
        if at is not None and not at.finished:
            late = say("stopped after {seconds} s, the longest here", seconds=most_s)
            reason = say("stopped before it finished") if run.is_stopped else late
            yield at.ended(reason, asked.formats)


def _steps(
    asked: Evaluation, run: Run, trials: Trials | None, method_s: int | None
) -> Generator[Progress]:
    """Each batch, in the thread that computes."""
    from qdemo.engine.outcomes import outcomes
    from qdemo.engine.threads import for_size, on_threads

    loaded = _loaded(asked.model)
    count = for_size(get_entry(asked.model).parameters or loaded.parameters)
    try:
        steps = outcomes(
            loaded, asked, trials or _kept(asked),
            lambda variant: ENGINE.made(loaded, variant, method_s),
            lambda: ENGINE.inputs_of(loaded),
        )  # fmt: skip
        yield from on_threads(count, steps, run.stop)
    except (ValueError, ArithmeticError) as error:
        raise InputError("data", str(error)) from None


def _letting_go_first(at: Progress, run: Run) -> Generator[Progress, None, float]:
    """Wait while somebody compares; the seconds that this took."""
    began, told = time.monotonic(), 0.0
    while not ENGINE.computing.is_empty and not run.is_stopped and not at.finished:
        if time.monotonic() - told > 1:
            told = time.monotonic()
            yield replace(at, yielding=True)
        time.sleep(0.1)
    return time.monotonic() - began


def _loaded(model: str) -> Loaded:
    try:
        return ENGINE.loaded(get_entry(model))
    except UnavailableError as error:
        raise InputError("model", str(error)) from None


def _kept(asked: Evaluation) -> Trials:
    from qdemo.engine.trials import Kept

    return Kept(ENGINE.keeping.trials, depends_on(asked))


def depends_on(asked: Evaluation) -> str:
    """What trials depend on beside their format: where it is the same they are. A folder's weights
    may be others than they were under its name.

    Raises:
        InputError: the model can't be had.
    """
    return f"{asked.asked} {_loaded(asked.model).digest[:16]}"
