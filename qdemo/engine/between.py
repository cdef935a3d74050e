"""What takes a while and is nobody's comparison, step by step between comparisons, none of which
waits for more than one step: one at a time, told as it goes, and ended where it is stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from typing import TypeVar

from qdemo.engine.engine import ENGINE
from qdemo.engine.first import libraries
from qdemo.engine.turns import Run, Waiting
from qdemo.models.availability import UnavailableError, get_entry
from qdemo.spec.messages import say
from qdemo.spec.request import InputError

Told = TypeVar("Told")

_LOOKED_UP_S = 0.1
_TOLD_S = 1.0


class LateError(InputError):
    """It computed for as long as it may."""


def between(
    model: str,
    steps: Callable[[], Generator[Told]],
    run: Run,
    most_s: float | None,
    field: str = "formats",
    yielding: Callable[[Told], Told] | None = None,
) -> Generator[Waiting | Told]:
    """What `steps` tells, which it does on the threads that `model` takes; before, one's place in
    the line of those who want the like. It ends where it is stopped.

    What `yielding` makes of what was told last is told while a comparison goes first, a time that
    does not count.

    Raises:
        InputError: the model can't be had, or, about `field`, what is asked for can't be.
        LateError: it takes more than `most_s` seconds.
        FullError: too many wait.
    """
    libraries()
    from qdemo.engine.threads import for_size, on_threads

    with run.turn_in(ENGINE.judging) as waiting:
        yield from waiting
        if run.is_stopped:
            return
        try:
            count = for_size(ENGINE.loaded(get_entry(model)).parameters)
            with closing(on_threads(count, steps(), run.stop)) as under_way:
                yield from _under_way(under_way, run, most_s, field, yielding)
        except UnavailableError as error:
            raise InputError("model", str(error)) from None
        except InputError:
            raise
        except (ValueError, ArithmeticError) as error:
            raise InputError(field, str(error)) from None


def _under_way(
    steps: Iterator[Told],
    run: Run,
    most_s: float | None,
    field: str,
    yielding: Callable[[Told], Told] | None,
) -> Generator[Told]:
    began = time.monotonic()  # and later by what it has waited
    for told in steps:
        yield told
        began += yield from _letting_go_first(run, told, yielding)
        if most_s is not None and time.monotonic() - began > most_s:
            late = say("stopped after {seconds} s, the longest here", seconds=most_s)
            raise LateError(field, late)


def _letting_go_first(
    run: Run, last: Told, yielding: Callable[[Told], Told] | None
) -> Generator[Told, None, float]:
    """Wait while somebody compares; the seconds that this took."""
    began, told = time.monotonic(), 0.0
    while not ENGINE.computing.is_empty and not run.is_stopped:
        if yielding is not None and time.monotonic() - told > _TOLD_S:
            told = time.monotonic()
            yield yielding(last)
        time.sleep(_LOOKED_UP_S)
    return time.monotonic() - began
