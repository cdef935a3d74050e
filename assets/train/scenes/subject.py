"""blip-tiny as `assets.train.evaluate` sees it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn
from transformers import BlipForConditionalGeneration, BlipProcessor

from assets.train.scenes.heldout import TASKS, read, task
from assets.train.scenes.train import TARGET
from qdemo.models.scenes import Scene, caption, draw

MAX_NEW_TOKENS = 20


@dataclass(frozen=True)
class Scenes:
    """The model in a folder, asked to put held-out scenes into words."""

    processor: BlipProcessor
    folder: Path
    name: str = "blip-tiny"

    def load(self) -> nn.Module:
        """Load the model in fp32."""
        model: nn.Module = BlipForConditionalGeneration.from_pretrained(self.folder)
        return model.eval()

    def items(self) -> dict[str, list[Scene]]:
        """The held-out scenes by task."""
        scenes = read()
        return {name: [scene for scene in scenes if task(scene) == name] for name in TASKS}

    def answer(self, model: nn.Module, items: Sequence[Scene]) -> list[str]:
        """Caption the scenes, drawn as the page draws them."""
        pictures = [draw(scene) for scene in items]
        pixels = self.processor(images=pictures, return_tensors="pt").pixel_values
        dtype = next(model.parameters()).dtype
        with torch.inference_mode():
            tokens = model.generate(  # type: ignore[operator]
                pixels.to(dtype), max_new_tokens=MAX_NEW_TOKENS
            )
        answers: list[str] = self.processor.batch_decode(tokens, skip_special_tokens=True)
        return answers

    def is_right(self, item: Scene, answer: str) -> bool:
        """Whether the caption is the scene's, word for word."""
        return answer == caption(item)


def subject(folder: Path = TARGET) -> Scenes:
    """The model that comes with qdemo, or the one in another folder."""
    return Scenes(BlipProcessor.from_pretrained(folder), folder)
