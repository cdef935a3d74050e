"""What computes a comparison: load, run, tell."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing

from qdemo.comparison import run
from qdemo.progress import Progress
from qdemo.request import InputError, Request
from qdemo.results import Done, Event, Failed, Started, Written
from qdemo.settings import SETTINGS
from qdemo.ui import heap
from qdemo.ui.kept import Results, loaded
from qdemo.ui.runs import Run
from qdemo.ui.threads import for_size, on_threads
from qdemo.models.availability import UnavailableError
from qdemo.models.loading import Given

SECONDS_APART = 0.1
"""Between two pictures of a text that grows: more often, and a browser only lags behind."""


def given(request: Request) -> Given:
    """`qdemo.ui.jobs.given`."""
    try:
        model = loaded(request.entry)
    except UnavailableError as error:
        raise InputError("model", str(error)) from None
    try:
        return model.given(request.given)
    except ValueError as error:
        raise InputError(request.field, str(error)) from None


def events(request: Request, asked: Run) -> Generator[Event]:
    """What happens in a comparison, with as many threads as its model is worth."""
    runner = given(request)
    kept = Results(request, runner.shown)
    events = run(runner, request.variants, request.max_tokens, kept)
    yield from on_threads(for_size(request.entry.parameters), events, asked.stop)


def told(events: Generator[Event], asked: Run) -> Iterator[Progress]:
    """What is known after those events, whenever there is something new to show."""
    known: Progress | None = None
    began = shown_at = time.monotonic()
    with closing(events):
        for event in events:
            known = Progress.begin(event) if isinstance(event, Started) else known
            assert known is not None
            known = known.after(event)
            if isinstance(event, Done | Failed):  # never between tokens, whose time is measured
                heap.give_back()
            now = time.monotonic()
            if now - began > SETTINGS.deadline_s and not known.finished:
                yield known.stopped(f"stopped after {SETTINGS.deadline_s} s, the longest here")
                return
            if not isinstance(event, Written) or now - shown_at > SECONDS_APART:
                yield known
                shown_at = time.monotonic()
    if asked.is_stopped and known is not None and not known.finished:
        yield known.stopped("stopped before it finished")
