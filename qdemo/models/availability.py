"""Which models are offered, and where the weights of each are: here already, or on the Hub."""

from __future__ import annotations

import json
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from qdemo.settings import SETTINGS
from qdemo.models.allowed import allowed
from qdemo.models.catalogue import CATALOGUE, EMBEDDED, Entry

INDEX = "model.safetensors.index.json"
WEIGHTS = "model.safetensors"
_WORDS = "tokenizer_config.json"


class UnavailableError(OSError):
    """A model that can't be had; the message is for people, and has nothing of the machine."""


ALLOWED = allowed(SETTINGS.models, CATALOGUE)
"""The models that the host has named."""

MODELS = CATALOGUE | ALLOWED
"""Every model there is, by name."""


def get_entry(name: str) -> Entry:
    """The model of that name, of the catalogue or the host's.

    Raises:
        ValueError: there is none.
    """
    if name not in MODELS:
        raise ValueError(f"unknown model {name!r}; the models are {', '.join(MODELS)}")
    return MODELS[name]


def offered() -> list[Entry]:
    """The models that a page offers: those the host has named, and all that are not too large."""
    most = SETTINGS.most_parameters
    return [e for e in MODELS.values() if e.name in ALLOWED or e.parameters <= most]


def folder_of(entry: Entry) -> Path | None:
    """Where the model's files lie on this machine; None where they are not here, or not all."""
    if entry.folder:
        return entry.folder
    words = _cached(entry, _WORDS)
    return words.parent if words and _has_weights(entry) else None


def _has_weights(entry: Entry) -> bool:
    if _cached(entry, WEIGHTS):
        return True
    index = _cached(entry, INDEX)
    shards = set(json.loads(index.read_text())["weight_map"].values()) if index else set()
    return bool(shards) and all(_cached(entry, shard) for shard in shards)


def _cached(entry: Entry, file: str) -> Path | None:
    found = try_to_load_from_cache(entry.name, file, revision=entry.revision)
    return Path(found) if isinstance(found, str) else None


def where(entry: Entry) -> str:
    """In two or three words: embedded, downloaded, or how much there is to download."""
    if entry.folder:
        return "embedded" if entry.name in EMBEDDED else "on this machine"
    if folder_of(entry):
        return "downloaded"
    return f"download {4 * entry.parameters / 1e6:,.0f} MB" if entry.parameters else "on the Hub"
