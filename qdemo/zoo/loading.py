"""Load a model of the catalogue, with what is needed to give it an input."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from PIL import Image
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.utils.logging import (
    disable_progress_bar,
    enable_progress_bar,
    is_progress_bar_enabled,
)

from qdemo.zoo.availability import check_hub, is_downloaded
from qdemo.zoo.catalogue import Entry
from qdemo.zoo.decoding import Adapter, Inputs, generate, score
from qdemo.zoo.kinds import BUILDING, KINDS
from qdemo.zoo.pictures import Picture


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
        return Given(self.entry.name, _shown(given), self.model, self.adapter, inputs)


@dataclass(frozen=True, eq=False)
class Given:
    """A loaded model with one input: what a comparison runs."""

    name: str
    shown: str
    model: nn.Module
    adapter: Adapter
    inputs: Inputs

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


def load(entry: Entry) -> Loaded:
    """The model of `entry`, in fp32, from its folder, or from the Hub (or the Hub's local cache).

    Raises:
        OSError: it is not there, and can't be downloaded.
    """
    here = entry.folder is not None or is_downloaded(entry)
    if not here:
        check_hub()  # in seconds; a download that can't begin is tried for most of a minute
    kind, source = KINDS[entry.task], entry.folder or entry.name
    where: dict[str, Any] = {"revision": entry.revision, "local_files_only": here}
    with BUILDING, _quiet():
        prepare = kind.prepare.from_pretrained(source, **where)
        model = kind.model.from_pretrained(source, use_safetensors=True, dtype="float32", **where)
    return Loaded(entry, model.eval(), kind.adapter(model.config, prepare))


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
