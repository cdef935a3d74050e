"""Where a model's weights are: here already, or on the Hub."""

from __future__ import annotations

import httpx
from huggingface_hub import constants, try_to_load_from_cache

from qdemo.zoo.catalogue import CATALOGUE, Entry

MOST_PARAMETERS = 1_000_000_000
"""What a page offers; larger models are for the command line."""

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_WORDS = "tokenizer_config.json"
_SECONDS = 5.0


def offered() -> list[Entry]:
    """The models that a page offers."""
    return [entry for entry in CATALOGUE.values() if entry.parameters <= MOST_PARAMETERS]


def is_downloaded(entry: Entry) -> bool:
    """Whether the Hub's local cache has the model."""
    return _is_cached(entry, _WORDS) and any(_is_cached(entry, file) for file in _WEIGHTS)


def _is_cached(entry: Entry, file: str) -> bool:
    return isinstance(try_to_load_from_cache(entry.name, file, revision=entry.revision), str)


def check_hub() -> None:
    """Ask whether the Hub is there at all.

    Raises:
        OSError: it gives no answer.
    """
    if constants.is_offline_mode():
        raise OSError("the Hub is switched off here (HF_HUB_OFFLINE)")
    try:
        httpx.head(constants.ENDPOINT, timeout=_SECONDS)
    except httpx.HTTPError as error:
        raise OSError(f"the Hub at {constants.ENDPOINT} gives no answer: {error}") from None


def where(entry: Entry) -> str:
    """In two or three words: embedded, downloaded, or how much there is to download."""
    if entry.folder:
        return "embedded"
    if is_downloaded(entry):
        return "downloaded"
    return f"download {4 * entry.parameters / 1e6:,.0f} MB"
