"""Comparisons for the page and the API. What computes, `work`, is imported when it is first needed:
torch and transformers come with it, and a page is there before they are."""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING

from qdemo.importing import IMPORTING
from qdemo.request import InputError, Request
from qdemo.ui import heap
from qdemo.ui.gpu import on_gpu
from qdemo.zoo.access import download as bring
from qdemo.zoo.access import prepare
from qdemo.zoo.availability import UnavailableError, folder_of, get_entry
from qdemo.zoo.catalogue import Entry

if TYPE_CHECKING:
    from qdemo.progress import Progress
    from qdemo.results import Event
    from qdemo.zoo.download import Downloading
    from qdemo.zoo.loading import Given


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
    with IMPORTING:
        from qdemo.ui import work
    try:
        yield from work.told(_events(request))
    finally:
        heap.collect()


def given(request: Request) -> Given:
    """The loaded model with its input.

    Raises:
        InputError: the model can't be had, or can't take this input.
    """
    with IMPORTING:
        from qdemo.ui import work
    return work.given(request)


@on_gpu
def _events(request: Request) -> Generator[Event]:
    """Here, and not in `work`: a Space with a GPU looks for what is decorated when it starts."""
    with IMPORTING:
        from qdemo.ui import work
    yield from work.events(request)
