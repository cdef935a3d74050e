"""What takes a while and is nobody's comparison, step by step between comparisons: one at a time,
told as it goes, and ended where it is stopped."""

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


def between(
    model: str, steps: Callable[[], Generator[Told]], run: Run, most_s: float
) -> Iterator[Waiting | Told]:
    """What `steps` tells, which it does on the threads that `model` takes; before, one's place in
    the line of those who want the like. It ends where it is stopped.

    Raises:
        InputError: the model can't be had, what is asked for can't be, or it takes more than
            `most_s` seconds.
        FullError: too many wait.
    """
    libraries()
    from qdemo.engine.threads import for_size, on_threads

    with run.turn_in(ENGINE.judging) as waiting:
        yield from waiting
        if run.is_stopped:
            return
        ends = time.monotonic() + most_s
        count = for_size(get_entry(model).parameters)
        try:
            with closing(on_threads(count, steps(), run.stop)) as under_way:
                for told in under_way:
                    yield told
                    ends += _let_go_first(run)
                    if time.monotonic() > ends:
                        raise ValueError(say("stopped after {seconds} s, the longest here",
                                             seconds=most_s))  # fmt: skip
        except UnavailableError as error:
            raise InputError("model", str(error)) from None
        except (ValueError, ArithmeticError) as error:
            raise InputError("formats", str(error)) from None


def _let_go_first(run: Run) -> float:
    """Wait while somebody compares; the seconds that it took."""
    began = time.monotonic()
    while not ENGINE.computing.is_empty and not run.is_stopped:
        time.sleep(_LOOKED_UP_S)
    return time.monotonic() - began
