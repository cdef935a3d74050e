"""The models without importing transformers before one is asked for: that takes seconds.

One import at a time: transformers finds its parts when they are first asked for, and a second
thread that asks meanwhile finds them half made.
"""

from __future__ import annotations

from collections.abc import Generator
from threading import Lock
from typing import TYPE_CHECKING

from qdemo.zoo.catalogue import Entry

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from qdemo.zoo.download import Downloading
    from qdemo.zoo.loading import Loaded

_IMPORTING = Lock()


def load(entry: Entry) -> Loaded:
    """`qdemo.zoo.loading.load`."""
    with _IMPORTING:
        from qdemo.zoo import loading
    return loading.load(entry)


def download(entry: Entry) -> Generator[Downloading]:
    """`qdemo.zoo.download.download`."""
    with _IMPORTING:
        from qdemo.zoo import download as bringing
    yield from bringing.download(entry)


def skeleton(entry: Entry, tied: bool | None = None) -> PreTrainedModel:
    """`qdemo.zoo.skeleton.skeleton`."""
    with _IMPORTING:
        from qdemo.zoo import skeleton as shapes
    return shapes.skeleton(entry, tied)
