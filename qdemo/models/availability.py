"""Which models are offered, and where the weights of each are: here already, or on the Hub.

A host offers models beside the catalogue's, as the variable QDEMO_MODELS names them. It has three
forms, separated by blanks or commas: `google/flan-t5-xl`, a model of the catalogue that is too
large to be offered otherwise; `text2text:someone/my-t5@COMMIT`, any model on the Hub of the family
with that task, at a commit; `text2text:/data/my-t5`, a folder of this machine.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from huggingface_hub import constants, try_to_load_from_cache
from huggingface_hub.file_download import repo_folder_name

from qdemo.models.catalogue import CATALOGUE, EMBEDDED, Entry
from qdemo.models.families import FAMILIES, Family
from qdemo.models.typed import LOOKED, Typed
from qdemo.settings import SETTINGS
from qdemo.spec.messages import say

INDEX = "model.safetensors.index.json"
WEIGHTS = "model.safetensors"
TOKENIZER = "tokenizer_config.json"


class UnavailableError(OSError):
    """A model that can't be had; the message is for people, and has nothing of the machine."""


def allowed(text: str, catalogue: Mapping[str, Entry]) -> dict[str, Entry]:
    """The entries that `text`, the value of QDEMO_MODELS, names, by name.

    Raises:
        ValueError: an item has none of the three forms, or names a folder that is not there.
    """
    entries = [catalogue.get(item) or _parse(item) for item in re.split(r"[\s,]+", text) if item]
    return {entry.name: entry for entry in entries}


def _parse(item: str) -> Entry:
    task, colon, place = item.partition(":")
    if not colon or task not in FAMILIES:
        raise ValueError(
            say("QDEMO_MODELS has {item!r}, expected {expected}", item=item, expected=_expected())
        )
    if found := _ON_THE_HUB.fullmatch(place):
        return Entry(found[1], task, tied=False, parameters=0, revision=found[2])
    folder = Path(place)
    if not (folder / "config.json").is_file():
        raise ValueError(
            say(
                "QDEMO_MODELS has {item!r}, which is no folder of a model; expected {expected}",
                item=item,
                expected=_expected(),
            )
        )
    return Entry(folder.resolve().name, task, tied=False, parameters=0, folder=folder.resolve())


def _expected() -> str:
    return say(
        "a model of the catalogue, TASK:OWNER/NAME@COMMIT with a commit of 40 hex "
        "digits, or TASK:FOLDER, where TASK is {names}",
        names=" or ".join(FAMILIES),
    )


_ON_THE_HUB = re.compile(r"([\w.-]+/[\w.-]+)@([0-9a-f]{40}|refs/pr/\d+)")

ALLOWED = allowed(SETTINGS.models, CATALOGUE)
"""The models that the host has named."""

MODELS = CATALOGUE | ALLOWED
"""Every model there is, by name."""


def get_entry(name: str) -> Entry:
    """The model of that name: of the catalogue, the host's, or one that was looked up before. The
    Hub is not asked: `qdemo.engine.looking.find` does that.

    Raises:
        ValueError: there is none.
    """
    found = MODELS.get(name) or LOOKED.get(name)
    if found is None:
        raise ValueError(unknown(name, MODELS))
    return found


def family_asked(name: object) -> type[Family] | None:
    """The family of the model of that name, whatever was sent as one; None where there is none."""
    try:
        return get_entry(name).family  # type: ignore[arg-type]
    except (ValueError, TypeError):
        return None


def unknown(name: str, listed: Iterable[str]) -> str:
    """That there is no such model, and what there is."""
    first, rest = (names := list(listed))[:_TOLD], len(names) - _TOLD
    told = ", ".join(first)
    if rest > 0:
        told = say("{names} and {count} more", names=told, count=rest)
    return say("unknown model {name!r}; the models are {names}", name=name[:60], names=told)


_TOLD = 8


def offered() -> list[Entry]:
    """The models that a page offers: those the host has named, all that are not too large, and
    those that were looked up; one that is to be installed, where it is."""
    most = SETTINGS.most_parameters
    here = [e for e in MODELS.values() if e.gguf or not e.install]
    listed = [e for e in here if e.name in ALLOWED or e.parameters <= most]
    return [*listed, *LOOKED.entries()]


def to_install(name: str) -> str:
    """What is to be done before a model of the catalogue can run; nothing for most names."""
    entry = CATALOGUE.get(name)
    if entry is None or not entry.install or entry.gguf:
        return ""
    return say("{name} is not installed here: {command}", name=name, command=entry.install)


def folder_of(entry: Entry | Typed) -> Path | None:
    """Where the model's files lie on this machine; None where they are not here, or not all."""
    if entry.folder:
        return entry.folder
    if isinstance(entry, Entry) and entry.install:
        return entry.gguf and entry.gguf.parent
    words = _cached(entry, TOKENIZER)
    return words.parent if words and _has_weights(entry) else None


def _has_weights(entry: Entry | Typed) -> bool:
    if _cached(entry, WEIGHTS):
        return True
    index = _cached(entry, INDEX)
    names = shards(index) if index else ()
    return bool(names) and all(_cached(entry, name) for name in names)


def shards(index: Path) -> set[str]:
    """The names of the files that an index of weights names; none where it is no index."""
    try:
        found = set(json.loads(index.read_bytes())["weight_map"].values())
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return set()
    return {name for name in found if isinstance(name, str)}


def _cached(entry: Entry | Typed, file: str) -> Path | None:
    found = try_to_load_from_cache(entry.repo, file, revision=entry.revision or kept(entry.repo))
    return Path(found) if isinstance(found, str) else None


def kept(repo: str) -> str | None:
    """The commit that a model of the Hub stays at on this machine, where nobody has named one: that
    of its first download here, or of another program's that was before; None before that."""
    return _commit_in(_refs(repo) / _OWN_REF) or _commit_in(_refs(repo) / "main")


def keep(entry: Entry | Typed, commit: str) -> None:
    """Have a model stay at that commit, wherever the Hub's `main` goes: it is written beside the
    refs that huggingface_hub keeps, which then never takes its files for unused. Nothing is, where
    the model's name says the commit.

    Raises:
        OSError: the cache can't be written to.
    """
    if entry.name == entry.repo and _commit_in(_refs(entry.repo) / _OWN_REF) != commit:
        _refs(entry.repo).mkdir(parents=True, exist_ok=True)
        (_refs(entry.repo) / _OWN_REF).write_text(commit, encoding="ascii")


def cache_folder() -> Path:
    """The Hub's local cache, which every program that uses the Hub shares."""
    return Path(constants.HF_HUB_CACHE)


def repo_folder(repo: str) -> Path:
    """Where that cache keeps a model of the Hub."""
    return cache_folder() / repo_folder_name(repo_id=repo, repo_type="model")


def _refs(repo: str) -> Path:
    return repo_folder(repo) / "refs"


def _commit_in(ref: Path) -> str | None:
    try:
        found = ref.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return None
    return found if _COMMIT.fullmatch(found) else None


def commit_of(entry: Entry) -> str | None:
    """The commit of the Hub that is, or would be, compared; None where the first download finds
    it out, and for what is no model of the Hub."""
    return None if entry.folder or entry.install else entry.revision or kept(entry.repo)


_OWN_REF = "qdemo"
_COMMIT = re.compile(r"[0-9a-f]{40}")


def where(entry: Entry) -> str:
    """In two or three words: embedded, downloaded, or how much there is to download."""
    if entry.folder:
        return "embedded" if entry.name in EMBEDDED else say("on this machine")
    if entry.install:
        told = say("installed; its 4-bit weights made floats")
        return told if entry.gguf else to_install(entry.name)
    if folder_of(entry):
        return "downloaded"
    return f"download {entry.stored_bytes / 1e6:,.0f} MB" if entry.parameters else say("on the Hub")
