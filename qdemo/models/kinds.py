"""What each kind of task is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transformers import (
    AutoTokenizer,
    BlipForConditionalGeneration,
    BlipProcessor,
    T5ForConditionalGeneration,
)

from qdemo.models.captioning import Captioning
from qdemo.models.catalogue import Task
from qdemo.models.text2text import Text2Text


@dataclass(frozen=True)
class Kind:
    """The class of the model, of what prepares its input, and of the adapter that decodes."""

    model: Any
    prepare: Any
    adapter: Any


KINDS: dict[Task, Kind] = {
    "text2text": Kind(T5ForConditionalGeneration, AutoTokenizer, Text2Text),
    "captioning": Kind(BlipForConditionalGeneration, BlipProcessor, Captioning),
}
"""A new kind of task is one more line."""
