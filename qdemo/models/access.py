"""The models without importing transformers before one is asked for: that takes seconds."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from qdemo.importing import IMPORTING
from qdemo.models.catalogue import Entry

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from qdemo.models.download import Downloading
    from qdemo.models.loading import Loaded


def prepare() -> None:
    """Import all that the first model will need."""
    with IMPORTING:
        import qdemo.models.loading  # noqa: F401


def load(entry: Entry) -> Loaded:
    """`qdemo.models.loading.load`."""
    with IMPORTING:
        from qdemo.models import loading
    return loading.load(entry)


def download(entry: Entry) -> Generator[Downloading]:
    """`qdemo.models.download.download`."""
    with IMPORTING:
        from qdemo.models import download as bringing
    yield from bringing.download(entry)


def skeleton(entry: Entry, tied: bool | None = None) -> PreTrainedModel:
    """`qdemo.models.skeleton.skeleton`."""
    with IMPORTING:
        from qdemo.models import skeleton as shapes
    return shapes.skeleton(entry, tied)
