"""Train blip-tiny and write it out: `python -m assets.train.scenes.train`."""

from __future__ import annotations

import argparse
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from transformers import BlipConfig, BlipForConditionalGeneration, BlipProcessor

from assets.train.loop import Recipe, fit
from assets.train.scenes.stream import Stream
from assets.train.scenes.words import IMAGE_SIZE, make_processor

TARGET = Path(__file__).resolve().parents[2] / "models" / "blip-tiny"
RECIPE = Recipe(steps=8500, peak_lr=1.5e-3, warmup=300)
BATCH = 64


@dataclass(frozen=True)
class Shape:
    """The sizes that both towers share, and those they don't."""

    hidden_size: int = 192  # three groups of 64, so that int4-g64 divides every row
    intermediate_size: int = 512
    num_attention_heads: int = 6


def make_config(processor: BlipProcessor) -> BlipConfig:
    """A BLIP of 2.6 million parameters for this processor's vocabulary and picture size."""
    tokenizer = processor.tokenizer
    vision = {
        "num_hidden_layers": 4,
        "image_size": IMAGE_SIZE,
        "patch_size": 12,
        "initializer_range": 0.02,  # the default, 1e-10, is for loading weights, not for training
    }
    text = {
        "num_hidden_layers": 2,
        "vocab_size": len(tokenizer),
        "max_position_embeddings": 32,
        "bos_token_id": tokenizer.bos_token_id,
        "sep_token_id": tokenizer.sep_token_id,
        "eos_token_id": tokenizer.sep_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    shape = asdict(Shape())
    return BlipConfig(vision_config=shape | vision, text_config=shape | text)


def make_model(processor: BlipProcessor, seed: int) -> BlipForConditionalGeneration:
    """The model before training."""
    torch.manual_seed(seed)
    return BlipForConditionalGeneration(make_config(processor))


def main() -> None:
    """Train, or go on training, and write the model and its processor."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=Path, default=Path("runs/blip-tiny"))
    parser.add_argument("--out", type=Path, default=TARGET)
    parser.add_argument("--steps", type=int, default=RECIPE.steps)
    args = parser.parse_args()
    recipe = Recipe(**asdict(RECIPE) | {"steps": args.steps})
    processor = make_processor()
    model = make_model(processor, recipe.seed)
    seconds = fit(model, Stream(processor, BATCH).batch_at, recipe, args.runs)
    model.save_pretrained(args.out, max_shard_size="9MB")
    make_processor().save_pretrained(args.out)  # the one used above remembers its last padding
    print(f"trained for {seconds / 60:.0f} minutes, written to {args.out}")


if __name__ == "__main__":
    main()
