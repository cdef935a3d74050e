"""What a model is that was typed: its config.json and the headers of its weights, read before the
rest of it is here, and what follows from them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdemo.models.availability import MODELS, TOKENIZER, UnavailableError, folder_of, keep
from qdemo.models.catalogue import BYTES, Entry
from qdemo.models.checkpoint import Stored, stored_in
from qdemo.models.families import FAMILIES, Family
from qdemo.models.hub import config_of, listing, no_words
from qdemo.models.typed import LOOKED, Typed
from qdemo.spec.messages import say

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_MOST_PARTS = 1024  # layers, or experts, that a configuration may ask to be built
_PARTS = ("layer", "expert", "depth", "block", "stage")
_NO_PARTS = ("size", "dim", "channel")  # as shared_expert_intermediate_size


@dataclass(frozen=True)
class Described:
    """A model as its `files` describe it, which go by their names. `commit` and `licence` are the
    Hub's, where it tells them."""

    name: str
    commit: str | None
    folder: Path | None
    config: Mapping[str, Any]
    stored: Stored
    files: frozenset[str]
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


def describe(typed: Typed, needs_weights: bool = True) -> Described:
    """Read what tells what it is, of a folder or of the Hub; nothing else is downloaded. For its
    shapes alone a folder need not have weights.

    Raises:
        UnavailableError: it is not there, or may not be had, or its weights are none that are
            loaded here.
    """
    if typed.folder is not None:
        folder = _folder(typed.folder)
        return _in(folder, _name_of(folder), needs_weights)
    here = folder_of(typed)
    if here is not None:
        with suppress(OSError):  # a cache that is only read
            keep(typed, here.name)
        return replace(_in(here, typed.name), commit=here.name, folder=None)
    found = listing(typed)
    config = _as_config(config_of(typed, found), typed.name)
    files = frozenset(file.name for file in (*found.words, *found.weights))
    return Described(typed.name, found.commit, None, config, found.stored, files, found.licence)


def _folder(typed: Path) -> Path:
    """The whole path of a folder that has a configuration.

    Raises:
        UnavailableError: it has none.
    """
    try:
        folder = typed.expanduser().absolute()
        if (folder / "config.json").is_file() and any(folder.iterdir()):
            return folder
    except (OSError, RuntimeError):  # too long a name, one that may not be read, nobody's home
        pass
    raise UnavailableError(
        say("{name} is no folder of a model: it has no config.json", name=str(typed)[:100])
    )


def _name_of(folder: Path) -> str:
    """Its last part, where no other model has that name."""
    known = MODELS.get(folder.name) or LOOKED.get(folder.name)
    is_free = known is None or known.folder == folder
    return folder.name if folder.name and is_free else str(folder)


def _in(folder: Path, name: str, needs_weights: bool = True) -> Described:
    files = frozenset(path.name for path in folder.iterdir())
    try:
        stored = stored_in(folder, name)
    except UnavailableError:
        if needs_weights:
            raise
        stored = Stored({})
    return Described(name, None, folder, read_config(folder, name), stored, files)


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
        UnavailableError: no family takes it, it has no tokenizer, or its weights are already
            quantized.
    """
    from qdemo.models.loading import counted, outputs

    task = _family(found).task
    dtype = _float_of(found)
    if TOKENIZER not in found.files:
        raise UnavailableError(no_words(found.name))
    shapes = shapes_of(found)
    sized = Entry(
        found.name, task, bool(outputs(shapes)), counted(shapes), found.config, found.commit,
        found.folder, dtype, found.licence,
    )  # fmt: skip
    return replace(sized, beside=found.stored.n_bytes - sized.stored_bytes)


def shapes_of(found: Described, tied: bool | None = None) -> PreTrainedModel:
    """The architecture without storage, of any class of transformers, whether a family takes it or
    not; `tied` overrides whether the word embedding and the output layer are one matrix.

    Raises:
        UnavailableError: transformers has no such class, or can't build it.
    """
    check_buildable(found.config, found.name)
    from qdemo.models.loading import outputs, shapes, untie

    try:
        build = _class_of(found)
        model = shapes(build, build.config_class.from_dict(dict(found.config)))
        is_one = _is_tied(found, model.config, outputs(model)) if tied is None else tied
        untie(model, () if is_one else outputs(model))
    except Exception as error:  # whatever a configuration makes a constructor raise
        raise UnavailableError(
            say("the config.json of {name} describes no model that can be built", name=found.name)
        ) from error
    return model


def _class_of(found: Described) -> Any:
    """The class that its config.json names, or the bare model of its type."""
    import transformers

    named: Any = getattr(transformers, found.architecture or "-", None)
    is_class = isinstance(named, type) and issubclass(named, transformers.PreTrainedModel)
    if is_class and getattr(named.config_class, "model_type", None) == found.model_type:
        return named
    return transformers.MODEL_MAPPING[transformers.CONFIG_MAPPING[found.model_type]]


def _is_tied(found: Described, config: Any, outputs: list[str]) -> bool:
    """As transformers does it: where the configuration says so, or where nothing else is stored."""
    says = found.config.get("tie_word_embeddings", getattr(config, "tie_word_embeddings", False))
    return says is True or not found.stored.names.intersection(outputs)


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
            "{name} is {architecture} of type {found!r:.40}; what can be compared here: {names}",
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
    for key, count in _counts(config):
        if count > _MOST_PARTS:
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


def _counts(config: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """What says how many parts a model has, or one of the models that it is made of."""
    of = [config]
    for one in of:
        for key, value in one.items():
            if isinstance(value, dict):
                of.append(value)
            elif any(part in key for part in _PARTS) and not any(part in key for part in _NO_PARTS):
                counts = value if isinstance(value, list) else [value]
                yield from ((key, count) for count in counts if isinstance(count, int))


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
