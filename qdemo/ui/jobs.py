"""Comparisons for the page and the API: each waits for its turn, is told while it runs, and can be
stopped. What computes, `work`, is imported when it is first needed: torch and transformers come
with it, and a page is there before they are."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

from qdemo.importing import IMPORTING
from qdemo.request import InputError, Request
from qdemo.ui import heap
from qdemo.ui.gpu import on_gpu
from qdemo.ui.line import Line
from qdemo.ui.runs import Run, Waiting, begun
from qdemo.models.access import download as bring
from qdemo.models.access import prepare
from qdemo.models.availability import UnavailableError, folder_of, get_entry
from qdemo.models.catalogue import Entry

if TYPE_CHECKING:
    from qdemo.progress import Progress
    from qdemo.results import Event
    from qdemo.models.download import Downloading
    from qdemo.models.loading import Given

PLACES = 16
"""How many wait for their turn."""

COMPUTING, _DOWNLOADING = Line(PLACES), Line(PLACES)  # minutes of a download hold nobody up


def warm_up(name: str) -> None:
    """Import what computes and load a model, in the background: the first click need not wait."""

    def load() -> None:
        with IMPORTING:
            from qdemo.ui import kept, work  # noqa: F401

            prepare()
        kept.loaded(get_entry(name))
        heap.freeze()

    threading.Thread(target=load, daemon=True).start()


def is_here(entry: Entry) -> bool:
    """Whether the model's files are on this machine."""
    return folder_of(entry) is not None


def download(entry: Entry, run: Run) -> Iterator[Waiting | Downloading]:
    """Bring a model from the Hub, telling how far it is; nothing is told where it is here.

    Raises:
        InputError: it can't be had, or there is no room for it.
        FullError: too many wait.
    """
    try:
        with run.turn_in(_DOWNLOADING) as waiting:
            yield from waiting
            for known in bring(entry):
                if run.is_stopped:
                    return
                yield known
    except UnavailableError as error:
        raise InputError("model", str(error)) from None


def progress(request: Request, run: Run) -> Iterator[Waiting | Progress]:
    """What is known, whenever there is something new to show; the last one is finished.

    Nothing is, where it was stopped before its turn came.

    Raises:
        InputError: the model can't be had, or can't take this input.
        FullError: too many wait.
    """
    with IMPORTING:
        from qdemo.ui import work
    try:
        with run.turn_in(COMPUTING) as waiting:
            yield from waiting
            if not run.is_stopped:
                yield from work.told(_events(request, run), run)
    finally:
        heap.collect()


def from_kept(request: Request) -> Progress | None:
    """The end of it, at once, where all that was asked for is kept; None where some is not."""
    with IMPORTING:
        from qdemo.ui import kept, work
    if not kept.are_kept(request):
        return None
    with begun() as run:
        *_, last = work.told(work.events(request, run), run)
    return last


def given(request: Request) -> Given:
    """The loaded model with its input.

    Raises:
        InputError: the model can't be had, or can't take this input.
    """
    with IMPORTING:
        from qdemo.ui import work
    return work.given(request)


@on_gpu
def _events(request: Request, run: Run) -> Generator[Event]:
    """Here, and not in `work`: a Space with a GPU looks for what is decorated when it starts."""
    with IMPORTING:
        from qdemo.ui import work
    yield from work.events(request, run)
