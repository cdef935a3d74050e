"""Where a model's weights are: here already, or on the Hub."""

from __future__ import annotations

from huggingface_hub import try_to_load_from_cache

from qdemo.zoo.catalogue import CATALOGUE, Entry

MOST_PARAMETERS = 1_000_000_000
"""What a page offers; larger models are for the command line."""

_FILES = ("model.safetensors", "model.safetensors.index.json")


def offered() -> list[Entry]:
    """The models that a page offers."""
    return [entry for entry in CATALOGUE.values() if entry.parameters <= MOST_PARAMETERS]


def is_downloaded(entry: Entry) -> bool:
    """Whether the Hub's local cache has the weights."""
    found = (try_to_load_from_cache(entry.name, file, revision=entry.revision) for file in _FILES)
    return any(isinstance(path, str) for path in found)


def where(entry: Entry) -> str:
    """In two or three words: embedded, downloaded, or how much there is to download."""
    if entry.folder:
        return "embedded"
    if is_downloaded(entry):
        return "downloaded"
    return f"download {4 * entry.parameters / 1e6:,.0f} MB"
