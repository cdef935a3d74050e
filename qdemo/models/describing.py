"""What a model is that was typed: its config.json and the headers of its weights, read before the
rest of it is here, and what follows from them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from qdemo.models.availability import MODELS, UnavailableError, folder_of, kept
from qdemo.models.catalogue import BYTES, Entry
from qdemo.models.checkpoint import Stored, stored_in
from qdemo.models.families import FAMILIES, Family
from qdemo.models.hub import config_of, listing
from qdemo.models.typed import LOOKED, Typed
from qdemo.spec.messages import say

_MOST_PARTS = 1024  # layers, or experts, that a configuration may ask to be built
_PARTS = ("layer", "expert")


@dataclass(frozen=True)
class Described:
    """A model as its files describe it. `architecture` is the class of transformers that its
    config.json names, "" where it names none; `commit` and `licence` are the Hub's, where it tells
    them; a model that is here has its `folder`, and nothing to be downloaded."""

    name: str
    commit: str | None
    folder: Path | None
    config: Mapping[str, Any]
    stored: Stored
    download_bytes: int
    licence: str | None = None

    @property
    def architecture(self) -> str:
        """The class of transformers that its config.json names; "" where it names none."""
        named = self.config.get("architectures")
        return str(named[0]) if isinstance(named, list) and named else ""

    @property
    def model_type(self) -> str:
        """The type that its config.json names; "" where it names none."""
        return str(self.config.get("model_type") or "")


def describe(typed: Typed) -> Described:
    """Read what tells what it is, of a folder or of the Hub; nothing else is downloaded.

    Raises:
        UnavailableError: it is not there, or may not be had, or its weights are none that are
            loaded here.
    """
    if typed.folder is not None:
        return _of_folder(typed.folder)
    pinned = replace(typed, revision=typed.revision or kept(typed.repo))
    here = folder_of(pinned)
    if here is not None:
        config, stored = read_config(here, typed.name), stored_in(here, typed.name)
        return Described(typed.name, here.name, None, config, stored, 0)
    found = listing(pinned)
    config = _as_config(config_of(pinned, found), typed.name)
    described = Described(typed.name, found.commit, None, config, found.stored, found.n_bytes)
    return replace(described, licence=found.licence)


def _of_folder(typed: Path) -> Described:
    folder = typed.expanduser().absolute()
    name = folder.name
    known = MODELS.get(name) or LOOKED.get(name)
    if not name or (known is not None and known.folder != folder):
        name = str(folder)
    try:
        is_there = (folder / "config.json").is_file()
    except OSError:  # a name too long for the disk, a folder that may not be read
        is_there = False
    if not is_there:
        raise UnavailableError(
            say("{name} is no folder of a model: it has no config.json", name=str(typed)[:100])
        )
    return Described(name, None, folder, read_config(folder, name), stored_in(folder, name), 0)


def read_config(folder: Path, name: str) -> Mapping[str, Any]:
    """The config.json of a folder.

    Raises:
        UnavailableError: it is none.
    """
    try:
        return _as_config((folder / "config.json").read_bytes(), name)
    except OSError as error:
        raise UnavailableError(say("the config.json of {name} can't be read", name=name)) from error


def _as_config(text: bytes, name: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UnavailableError(say("the config.json of {name} can't be read", name=name))
    return found


def entry_of(found: Described) -> Entry:
    """What is offered under its name; imports transformers.

    Raises:
        UnavailableError: no family takes it, or its weights are already quantized.
    """
    from qdemo.models.loading import counted, outputs, skeleton

    family = _family(found)
    entry = Entry(
        found.name, family.task, False, 0, found.config, found.commit, found.folder,
        _float_of(found), found.licence,
    )  # fmt: skip
    try:
        shapes = skeleton(entry, tied=True)
        tied = _is_tied(found, shapes.config, outputs(shapes))
        parameters = counted(shapes if tied else skeleton(entry, tied=False))
    except Exception as error:  # whatever a configuration makes a constructor raise
        raise UnavailableError(
            say(
                "the config.json of {name} describes no model that can be built: {error}",
                name=found.name,
                error=str(error).partition("\n")[0][:200],
            )
        ) from error
    sized = replace(entry, parameters=parameters, tied=tied)
    return replace(sized, beside=found.stored.n_bytes - sized.stored_bytes)


def _is_tied(found: Described, config: Any, outputs: list[str]) -> bool:
    """As transformers does it: where the configuration says so, or where nothing else is stored."""
    says = found.config.get("tie_word_embeddings", getattr(config, "tie_word_embeddings", False))
    return bool(outputs) and (says is True or not found.stored.names.intersection(outputs))


def _family(found: Described) -> type[Family]:
    """The family whose class for models of that type its config.json names, or names none.

    Raises:
        UnavailableError: there is none.
    """
    check_buildable(found.config, found.name)
    for family in FAMILIES.values():
        if family.takes(found.model_type):
            named = family.architecture(found.model_type).model.__name__
            if found.architecture in ("", named):
                return family
    raise UnavailableError(
        say(
            "{name} is {architecture} of type {found!r:.40}; what is run here are {names}",
            name=found.name,
            architecture=found.architecture[:60] or say("a model"),
            found=found.model_type,
            names=", ".join(map(_told, FAMILIES.values())),
        )
    )


def _told(family: type[Family]) -> str:
    """Its label, with the types that it takes."""
    types = ", ".join(family.model_types) or say("as llama, qwen3, gpt_neox, gpt2, gemma3_text")
    return f"{say(family.label)} ({types})"


def check_buildable(config: Mapping[str, Any], name: str) -> None:
    """Whether transformers has a class of its own for that configuration, of floats, of some size.

    Raises:
        UnavailableError: it has none, or its weights are already quantized; says which.
    """
    from transformers import CONFIG_MAPPING

    found = config.get("model_type")
    if not isinstance(found, str) or found not in CONFIG_MAPPING:
        remote = "auto_map" in config
        raise UnavailableError(
            say("{name} needs code that it brings with it: not run here", name=name)
            if remote
            else say(
                "{name} is of type {found!r:.40}, which transformers does not know",
                name=name,
                found=found,
            )
        )
    if config.get("quantization_config"):
        raise UnavailableError(_quantized(name))
    for key, count in config.items():
        if any(part in key for part in _PARTS) and isinstance(count, int) and count > _MOST_PARTS:
            raise UnavailableError(
                say(
                    "the config.json of {name} has {count:,} as {key:.40}; expected {most:,} "
                    "at most",
                    name=name,
                    count=count,
                    key=key,
                    most=_MOST_PARTS,
                )
            )


def _float_of(found: Described) -> str:
    """What most of the weights are stored as, a key of `BYTES`.

    Raises:
        UnavailableError: no float that is computed with.
    """
    if found.stored.dtype not in BYTES:
        raise UnavailableError(_quantized(found.name))
    return found.stored.dtype


def _quantized(name: str) -> str:
    return say(
        "{name} holds weights that are already quantized; a comparison begins from a model in "
        "fp32, bf16 or fp16",
        name=name,
    )
