"""An evaluation's turn: it computes between comparisons, none of which waits for more than one of
its steps, and ends where it is stopped, or where the host's limit is."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from qdemo.engine.between import LateError, between
from qdemo.engine.engine import ENGINE
from qdemo.engine.evaluation import Evaluation, Progress
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
    at: Progress | None = None
    reason: str = say("stopped before it finished")
    steps = partial(_steps, asked, trials, method_s)
    told = between(asked.model, steps, run, most_s, "data", _yielding)
    with closing(told):
        try:
            for one in told:
                if one is not at:  # in the midst of a batch it is told again
                    yield one
                at = one if isinstance(one, Progress) else at
                if at is not None and at.finished:
                    return
        except LateError as error:
            reason = str(error)
    if at is not None:
        yield at.ended(reason, asked.formats)


def _yielding(at: Progress) -> Progress:
    return replace(at, yielding=True)


def _steps(asked: Evaluation, trials: Trials | None, method_s: int | None) -> Generator[Progress]:
    """Each batch."""
    from qdemo.engine.outcomes import outcomes

    loaded = _loaded(asked.model)
    return outcomes(
        loaded, asked, trials or _kept(asked),
        lambda variant: ENGINE.made(loaded, variant, method_s), lambda: ENGINE.inputs_of(loaded),
    )  # fmt: skip


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
