"""Train t5-tiny from nothing: `python -m assets.train.text.train`."""

from __future__ import annotations

import argparse
from pathlib import Path

from assets.train.loop import Recipe, fit
from assets.train.text.batches import Batches, Trimmed
from assets.train.text.model import new_model, save_model
from assets.train.text.tokenizer import load_tokenizer, train_tokenizer

MODEL = Path(__file__).parents[2] / "models" / "t5-tiny"


def main() -> None:
    """Learn the vocabulary, train, write the model; a second call goes on where one was cut."""
    options = _options()
    if not (options.out / "spiece.model").exists():
        train_tokenizer(options.out)
    tokenizer = load_tokenizer(options.out)
    model = new_model(len(tokenizer))
    recipe = Recipe(steps=options.steps, peak_lr=1e-3, warmup=150)
    batches = Batches(tokenizer, options.batch, recipe.seed)
    seconds = fit(Trimmed(model), batches, recipe, options.runs)
    save_model(model, options.out)
    print(f"trained for {seconds / 60:.1f} minutes, written to {options.out}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=9600)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--runs", type=Path, default=Path("runs/t5-tiny"), help="checkpoints")
    parser.add_argument("--out", type=Path, default=MODEL, help="the finished model")
    return parser.parse_args()


if __name__ == "__main__":
    main()
