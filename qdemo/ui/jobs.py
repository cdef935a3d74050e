"""Comparisons for the page and the API: load, run, tell."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

from qdemo.comparison import run
from qdemo.progress import Progress
from qdemo.request import InputError, Request
from qdemo.results import Done, Event, Failed, Started, Written
from qdemo.settings import SETTINGS
from qdemo.ui import heap
from qdemo.ui.gpu import on_gpu
from qdemo.ui.kept import Results, loaded
from qdemo.ui.threads import for_size, on_threads
from qdemo.zoo.access import download as bring
from qdemo.zoo.availability import UnavailableError, folder_of, get_entry
from qdemo.zoo.catalogue import Entry

if TYPE_CHECKING:
    from qdemo.zoo.download import Downloading
    from qdemo.zoo.loading import Given

SECONDS_APART = 0.06
"""Between two pictures of a text that grows: more often, and a browser only lags behind."""


def warm_up(name: str) -> None:
    """Load a model in the background, so that the first click need not wait for it."""

    def load() -> None:
        loaded(get_entry(name))
        heap.freeze()

    threading.Thread(target=load, daemon=True).start()


def is_here(entry: Entry) -> bool:
    """Whether the model's files are on this machine."""
    return folder_of(entry) is not None


def download(entry: Entry) -> Iterator[Downloading]:
    """Bring a model from the Hub, telling how far it is; nothing is told where it is here.

    Raises:
        InputError: it can't be had, or there is no room for it.
    """
    try:
        yield from bring(entry)
    except UnavailableError as error:
        raise InputError("model", str(error)) from None


def progress(request: Request) -> Iterator[Progress]:
    """What is known, whenever there is something new to show; the last one is finished.

    Raises:
        InputError: the model can't be had, or can't take this input.
    """
    try:
        yield from _told(request)
    finally:
        heap.collect()


def _told(request: Request) -> Iterator[Progress]:
    known: Progress | None = None
    began = shown_at = time.monotonic()
    with closing(_events(request)) as events:
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


def given(request: Request) -> Given:
    """The loaded model with its input.

    Raises:
        InputError: the model can't be had, or can't take this input.
    """
    try:
        model = loaded(request.entry)
    except UnavailableError as error:
        raise InputError("model", str(error)) from None
    try:
        return model.given(request.given)
    except ValueError as error:
        raise InputError(request.field, str(error)) from None


@on_gpu
def _events(request: Request) -> Generator[Event]:
    runner = given(request)
    kept = Results(request, runner.shown)
    events = run(runner, request.variants, request.max_tokens, kept)
    yield from on_threads(for_size(request.entry.parameters), events)
