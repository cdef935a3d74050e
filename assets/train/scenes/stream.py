"""The endless training data: batches of pictures and captions, none of them held out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice

from torch import Tensor
from transformers import BlipProcessor

from assets.train.scenes.split import held_out
from qdemo.models.scenes import Scene, caption, draw, random_scene

SEEDS_PER_STEP = 10_000  # more than a batch and its held-out scenes ever take
IGNORED = -100  # the label that the loss passes over


def training_scenes(step: int) -> Iterator[Scene]:
    """Scenes for one step, without end; which they are depends on the step alone."""
    scenes = map(random_scene, count(step * SEEDS_PER_STEP))
    return (scene for scene in scenes if not held_out(scene))


@dataclass(frozen=True)
class Stream:
    """Draws the batch of a step."""

    processor: BlipProcessor
    size: int

    def batch_at(self, step: int) -> dict[str, Tensor]:
        """What `BlipForConditionalGeneration` takes, labels included."""
        return encode(self.processor, list(islice(training_scenes(step), self.size)))


def encode(processor: BlipProcessor, scenes: list[Scene]) -> dict[str, Tensor]:
    """Scenes as model inputs, captions included."""
    tokenizer = processor.tokenizer
    text = tokenizer([caption(scene) for scene in scenes], padding=True, return_tensors="pt")
    text.input_ids[:, 0] = tokenizer.bos_token_id  # as `generate` begins
    pictures = [draw(scene, _side(processor, scene)) for scene in scenes]
    pixels = processor.image_processor(pictures, return_tensors="pt")
    return {
        "pixel_values": pixels.pixel_values,
        "input_ids": text.input_ids,
        "attention_mask": text.attention_mask,
        "labels": text.input_ids.masked_fill(text.attention_mask == 0, IGNORED),
    }


def _side(processor: BlipProcessor, scene: Scene) -> int:
    # Drawing at the model's own size is quickest; now and then larger, as people's pictures are.
    side: int = processor.image_processor.size["height"]
    return side if scene.seed % 4 else 2 * side
