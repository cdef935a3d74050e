"""The models without importing transformers before one is asked for: that takes seconds."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from qdemo.importing import IMPORTING
from qdemo.zoo.catalogue import Entry

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from qdemo.zoo.download import Downloading
    from qdemo.zoo.loading import Loaded


def prepare() -> None:
    """Import all that the first model will need."""
    with IMPORTING:
        import qdemo.zoo.loading  # noqa: F401


def load(entry: Entry) -> Loaded:
    """`qdemo.zoo.loading.load`."""
    with IMPORTING:
        from qdemo.zoo import loading
    return loading.load(entry)


def download(entry: Entry) -> Generator[Downloading]:
    """`qdemo.zoo.download.download`."""
    with IMPORTING:
        from qdemo.zoo import download as bringing
    yield from bringing.download(entry)


def skeleton(entry: Entry, tied: bool | None = None) -> PreTrainedModel:
    """`qdemo.zoo.skeleton.skeleton`."""
    with IMPORTING:
        from qdemo.zoo import skeleton as shapes
    return shapes.skeleton(entry, tied)
