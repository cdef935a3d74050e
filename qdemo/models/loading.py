"""Models that are built: loaded from their files, with their family's words, or as shapes alone.

torch and transformers are imported by the functions that need them, and not with this file.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from qdemo.models.availability import UnavailableError, folder_of, keep, to_install
from qdemo.models.catalogue import Entry
from qdemo.models.checkpoint import folder_here, is_tied
from qdemo.models.families import FAMILIES, Family
from qdemo.spec.messages import say

if TYPE_CHECKING:
    import torch
    from torch import nn
    from transformers import PreTrainedModel

BUILDING = Lock()
"""Held while a model is built, one at a time, of whatever kind: transformers changes torch's
initializers meanwhile, for everyone, and two at once come out with weights missing."""


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model in fp32, and its family, which speaks for it."""

    entry: Entry
    model: PreTrainedModel
    family: Family

    @property
    def kept_wide(self) -> tuple[str, ...]:
        """`kept_wide` of the model."""
        return kept_wide(self.model)

    @property
    def parameters(self) -> int:
        """How many it has; shared ones count once."""
        return counted(self.model)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of its weights, hex: what is found of others of the same name is not theirs."""
        found = sha256()
        for name, parameter in self.model.named_parameters():
            found.update(f"{name} {tuple(parameter.shape)}".encode())
            found.update(parameter.detach().cpu().contiguous().numpy())
        return found.hexdigest()

    def on(self, device: torch.device) -> Loaded:
        """The same on that device, to which it is moved where it is not there."""
        self.model.to(device)
        return self


def kept_wide(model: nn.Module) -> tuple[str, ...]:
    """Names of the layers that transformers keeps in fp32 when it loads a model as fp16.

    `from_pretrained(dtype=torch.float16)` asks the class for them; `.half()` does not.
    """
    from torch import nn

    patterns = getattr(model, "_keep_in_fp32_modules", None) or []
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    return tuple(name for name in names if name.rpartition(".")[2] in patterns)


def prepare() -> None:
    """Import all that the first model will need of torch and transformers, which takes seconds.

    Two threads must not do so at once: each may find a module half made.
    """
    import transformers.utils.logging  # noqa: F401

    for family in FAMILIES.values():
        family.prepare()


def load(entry: Entry, device: torch.device | str = "cpu") -> Loaded:
    """The model of `entry`, in fp32, from its folder or from the Hub's local cache.

    Raises:
        UnavailableError: it is not here (see `qdemo.models.download`), or its files are not what
            they should be.
    """
    folder = folder_of(entry)
    if folder is None:
        raise UnavailableError(to_install(entry.name) or _NOT_HERE.format(entry.name))
    model, words = _of_gguf(entry) if entry.gguf else _of_folder(entry, folder)
    try:
        family = entry.family(model.config, words, model.generation_config)
    except ValueError as error:
        raise UnavailableError(
            say("{name} can't be decoded: {error}", name=entry.name, error=error)
        ) from None
    return Loaded(entry, model.eval().to(device), family)


def _of_folder(entry: Entry, folder: Path) -> tuple[PreTrainedModel, Any]:
    """The model, and its tokenizer or processor, out of transformers' files."""
    if entry.folder is None and entry.revision is None:  # another program may have brought it
        with suppress(OSError):  # a cache that is only read
            keep(entry, folder.name)
    architecture = entry.family.architecture(_model_type(entry, folder))
    try:
        with BUILDING, _quiet():
            words = architecture.words.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
            model, found = architecture.model.from_pretrained(
                folder, use_safetensors=True, dtype="float32", local_files_only=True,
                output_loading_info=True, trust_remote_code=False,
            )  # fmt: skip
    except Exception as error:  # each library raises its own; none is for people
        raise UnavailableError(_broken(entry)) from error
    if found["missing_keys"]:
        raise UnavailableError(_incomplete(entry, sorted(found["missing_keys"])))
    return model, words


def _of_gguf(entry: Entry) -> tuple[PreTrainedModel, Any]:
    """The same out of the one file that has it all."""
    from qdemo.models.gguf_file import GgufError, GgufFile

    assert entry.gguf
    try:
        file = GgufFile(entry.gguf)
        build = entry.family.architecture(file.config.model_type).model
        with BUILDING, _quiet():
            return file.model(build), file.tokenizer()
    except GgufError as error:
        raise UnavailableError(
            say("the file of {name} can't be read: {error}", name=entry.name, error=error)
        ) from error


_NOT_HERE = (
    "{} is not on this machine yet: comparing it on the Compare page brings it here, as /download "
    "of the API does"
)


def _model_type(entry: Entry, folder: Path) -> str:
    """What its config.json says that it is; one of its family's types.

    Raises:
        UnavailableError: it says nothing, or something else.
    """
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        found: object = config["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnavailableError(_broken(entry)) from error
    if not isinstance(found, str) or not entry.family.takes(found):
        wanted = " or ".join(map(repr, entry.family.model_types)) or say("a language model")
        raise UnavailableError(
            say(
                "{name} is a model of type {found!r:.40}, expected {wanted}",
                name=entry.name,
                found=found,
                wanted=wanted,
            )
        )
    return found


def _broken(entry: Entry) -> str:
    return say(
        "the files of {name} can't be read: they are damaged, or not all there", name=entry.name
    )


def _incomplete(entry: Entry, missing: list[str]) -> str:
    return say(
        "the files of {name} lack {count} weights that it needs, as {found}",
        name=entry.name,
        count=len(missing),
        found=missing[0],
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """No bar for weights that are read in a moment, and no word on what is as it should be."""
    from transformers.utils import logging as words

    logger, bars = logging.getLogger("transformers.modeling_utils"), words.is_progress_bar_enabled()
    logger.addFilter(_is_news)
    words.disable_progress_bar()
    try:
        yield
    finally:
        logger.removeFilter(_is_news)
        if bars:
            words.enable_progress_bar()


def _is_news(record: logging.LogRecord) -> bool:
    """transformers 5 says of every untied T5, FLAN-T5 too, that it will not tie it."""
    return not record.getMessage().startswith("The tied weights mapping and config")


def skeleton(entry: Entry, tied: bool | None = None) -> PreTrainedModel:
    """The architecture of `entry` without storage, on torch's meta device: shapes, no weights.

    `tied` overrides whether the word embedding and the output layer are one matrix: transformers
    5 ties the two when a checkpoint holds equal values for both, earlier versions counted both.

    Raises:
        UnavailableError: it is the host's own and not on this machine yet.
    """
    model = shapes(*planned(entry))
    untie(model, [k for k in outputs(model) if not (is_tied(entry, k) if tied is None else tied)])
    return model


def shapes(build: Any, config: Any) -> PreTrainedModel:
    """A model of that class and configuration on torch's meta device, tied as transformers does."""
    import torch

    with BUILDING, torch.device("meta"):
        model: PreTrainedModel = build(config)
    return model


def untie(model: PreTrainedModel, keys: Iterable[str]) -> None:
    """Give output layers, which go by their matrices' names, matrices of their own; T5Config can't
    be told to: it ties whatever it says."""
    import torch

    for key in keys:
        layer = model.get_submodule(key.rpartition(".")[0])
        layer.weight = torch.nn.Parameter(torch.empty_like(layer.weight))


def outputs(model: PreTrainedModel) -> list[str]:
    """The names of the matrices of output layers that are one with the word embedding."""
    return [key for key in model.all_tied_weights_keys if _is_output(model, key)]


def counted(model: nn.Module) -> int:
    """How many parameters a model has; shared ones count once."""
    return sum(parameter.numel() for parameter in model.parameters())


def planned(entry: Entry) -> tuple[Any, Any]:
    """The class of its model, and its configuration: the catalogue's, or that of its files."""
    if entry.config:
        model_type = entry.config.get("model_type") or entry.family.model_types[0]
        build = entry.family.architecture(model_type).model
        return build, build.config_class.from_dict(dict(entry.config))
    folder = folder_here(entry)
    build = entry.family.architecture(_model_type(entry, folder)).model
    return build, build.config_class.from_pretrained(folder)


def _is_output(model: nn.Module, key: str) -> bool:
    """Whether that is the matrix of an output layer; both ends' embeddings are tied too, and stay
    so."""
    from torch import nn

    name, _, kind = key.rpartition(".")
    return kind == "weight" and isinstance(model.get_submodule(name), nn.Linear)
