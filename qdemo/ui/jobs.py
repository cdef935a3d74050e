"""Comparisons for the page and the API: load, run, tell."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from qdemo.comparison import Event, Started, Written, run
from qdemo.progress import Progress
from qdemo.request import InputError, Request
from qdemo.ui.gpu import on_gpu
from qdemo.ui.threads import for_size, on_threads
from qdemo.zoo.access import load
from qdemo.zoo.catalogue import get_entry

if TYPE_CHECKING:
    from qdemo.zoo.loading import Given, Loaded

SECONDS_APART = 0.06
"""Between two pictures of a text that grows: more often, and a browser only lags behind."""


_LOADING = threading.Lock()


def _loaded(name: str) -> Loaded:
    """The model; who asks while it is being loaded waits, and does not load it a second time."""
    with _LOADING:
        return _load(name)


@lru_cache(maxsize=2)
def _load(name: str) -> Loaded:
    return load(get_entry(name))


def warm_up(name: str) -> None:
    """Load a model in the background, so that the first click need not wait for it."""
    threading.Thread(target=_loaded, args=(name,), daemon=True).start()


def progress(request: Request) -> Iterator[Progress]:
    """What is known, whenever there is something new to show; the last one is finished.

    Raises:
        InputError: the model can't be had, or can't take this input.
    """
    known: Progress | None = None
    shown_at = 0.0
    for event in _events(request):
        known = Progress.begin(event) if isinstance(event, Started) else known
        assert known is not None
        known = known.after(event)
        if not isinstance(event, Written) or time.monotonic() - shown_at > SECONDS_APART:
            yield known
            shown_at = time.monotonic()


def given(request: Request) -> Given:
    """The loaded model with its input.

    Raises:
        InputError: the model can't be had, or can't take this input.
    """
    try:
        loaded = _loaded(request.entry.name)
    except OSError:
        raise InputError("model", _not_here(request.entry.name)) from None
    try:
        return loaded.given(request.given)
    except ValueError as error:
        raise InputError(request.field, str(error)) from None


@on_gpu
def _events(request: Request) -> Iterator[Event]:
    events = run(given(request), request.variants, request.max_tokens)
    yield from on_threads(for_size(request.entry.parameters), events)


def _not_here(name: str) -> str:
    return (
        f"{name} is not on this machine and could not be downloaded from the Hub. Without a "
        "network, use t5-tiny or blip-tiny, which come with the page."
    )
