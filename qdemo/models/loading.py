"""Load a model of the catalogue, with what is needed to give it an input."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils.logging import (
    disable_progress_bar,
    enable_progress_bar,
    is_progress_bar_enabled,
)

from qdemo.results import InputToken
from qdemo.models.availability import UnavailableError, folder_of
from qdemo.models.building import BUILDING
from qdemo.models.catalogue import Entry
from qdemo.models.decoding import Adapter, Inputs, generate, score
from qdemo.models.kinds import KINDS, Kind
from qdemo.models.pictures import Picture


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model in fp32 and its adapter."""

    entry: Entry
    model: PreTrainedModel
    adapter: Adapter

    def given(self, given: Any) -> Given:
        """This model with one input.

        Raises:
            ValueError: it is nothing that the model can take; says what is wrong.
        """
        inputs = self.adapter.encode(given)
        read = self.adapter.read(given)
        return Given(self.entry.name, _shown(given), self.model, self.adapter, inputs, read)


@dataclass(frozen=True, eq=False)
class Given:
    """A loaded model with one input: what a comparison runs."""

    name: str
    shown: str
    model: nn.Module
    adapter: Adapter
    inputs: Inputs
    read: tuple[InputToken, ...]

    @property
    def kept_wide(self) -> tuple[str, ...]:
        """`kept_wide` of the model."""
        return kept_wide(self.model)

    def generate(self, model: nn.Module, max_tokens: int) -> Iterator[int]:
        """The tokens that `model`, a variant of `self.model`, answers with."""
        return generate(self.adapter, model, self.inputs, max_tokens)

    def score(self, model: nn.Module, tokens: Sequence[int]) -> Tensor:
        """Logits (T, V) from which each of the T `tokens` would be chosen, all of them given."""
        return score(self.adapter, model, self.inputs, tokens)

    def decode(self, tokens: Sequence[int]) -> str:
        """The tokens as text."""
        return self.adapter.decode(tokens)

    def pieces(self, tokens: Sequence[int]) -> list[str]:
        """Each token as it is written in the vocabulary."""
        return self.adapter.pieces(tokens)


def kept_wide(model: nn.Module) -> tuple[str, ...]:
    """Names of the layers that transformers keeps in fp32 when it loads a model as fp16.

    `from_pretrained(dtype=torch.float16)` asks the class for them; `.half()` does not.
    """
    patterns = getattr(model, "_keep_in_fp32_modules", None) or []
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    return tuple(name for name in names if name.rpartition(".")[2] in patterns)


_NOT_HERE = (
    "{} is not on this machine yet: comparing it on the Compare page brings it here, as /download "
    "of the API does"
)


def load(entry: Entry) -> Loaded:
    """The model of `entry`, in fp32, from its folder or from the Hub's local cache.

    Raises:
        UnavailableError: it is not here (see `qdemo.models.download`), or its files are not what they
            should be.
    """
    folder = folder_of(entry)
    if folder is None:
        raise UnavailableError(_NOT_HERE.format(entry.name))
    kind = KINDS[entry.task]
    _check_kind(entry, kind, folder)
    try:
        with BUILDING, _quiet():
            prepare = kind.prepare.from_pretrained(folder, local_files_only=True)
            model, found = kind.model.from_pretrained(
                folder, use_safetensors=True, dtype="float32", local_files_only=True,
                output_loading_info=True,
            )  # fmt: skip
    except Exception as error:  # each library raises its own; none is for people
        raise UnavailableError(_broken(entry)) from error
    if found["missing_keys"]:
        raise UnavailableError(_incomplete(entry, sorted(found["missing_keys"])))
    try:
        return Loaded(entry, model.eval(), kind.adapter(model.config, prepare))
    except ValueError as error:
        raise UnavailableError(f"{entry.name} can't be decoded: {error}") from None


def _check_kind(entry: Entry, kind: Kind, folder: Path) -> None:
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model_type"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnavailableError(_broken(entry)) from error
    wanted = kind.model.config_class.model_type
    if found != wanted:
        raise UnavailableError(
            f"{entry.name} is a model of type {found!r:.40}, expected {wanted!r}"
        )


def _broken(entry: Entry) -> str:
    return f"the files of {entry.name} can't be read: they are damaged, or not all there"


def _incomplete(entry: Entry, missing: list[str]) -> str:
    return f"the files of {entry.name} lack {len(missing)} weights that it needs, as {missing[0]}"


def _shown(given: Any) -> str:
    if isinstance(given, Image.Image):
        return str(Picture(given.convert("RGB"), "a picture"))
    return str(given)


@contextmanager
def _quiet() -> Iterator[None]:
    """No bar for weights that are read in a moment, and no word on what is as it should be."""
    logger, bars = logging.getLogger("transformers.modeling_utils"), is_progress_bar_enabled()
    logger.addFilter(_is_news)
    disable_progress_bar()
    try:
        yield
    finally:
        logger.removeFilter(_is_news)
        if bars:
            enable_progress_bar()


def _is_news(record: logging.LogRecord) -> bool:
    """transformers 5 says of every untied T5, FLAN-T5 too, that it will not tie it."""
    return not record.getMessage().startswith("The tied weights mapping and config")
