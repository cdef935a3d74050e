"""One training loop for both embedded models: seeded, checkpointed, resumable."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

Batch = dict[str, Tensor]


@dataclass(frozen=True)
class Recipe:
    """What `fit` is told: how long, how fast, from which seed."""

    steps: int
    peak_lr: float
    warmup: int
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    seed: int = 0
    checkpoint_every: int = 200

    def learning_rate(self, step: int) -> float:
        """Linear warm-up to `peak_lr`, then linear decay that reaches zero after the last step."""
        if step < self.warmup:
            return self.peak_lr * (step + 1) / self.warmup
        return self.peak_lr * (self.steps - step) / (self.steps - self.warmup)


def fit(
    model: nn.Module,
    batch_at: Callable[[int], Batch],
    recipe: Recipe,
    folder: Path,
    report: Callable[[str], None] = print,
) -> float:
    """Train `model` in place on `batch_at(0)`, `batch_at(1)`, …; return the seconds spent.

    A batch must depend on its step alone: then a run that was cut off goes on from the last
    checkpoint in `folder` just as it would have. The model is called as transformers' models
    are, `model(**batch).loss`, under bf16 autocast.
    """
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=recipe.peak_lr, weight_decay=recipe.weight_decay, fused=True
    )
    first, seconds = _resume(folder, model, optimizer)
    started = time.monotonic() - seconds
    model.train()
    for step in range(first, recipe.steps):
        torch.manual_seed(recipe.seed + step)  # dropout, too, depends on the step alone
        loss = _step(model, optimizer, batch_at(step), recipe, step)
        if (step + 1) % recipe.checkpoint_every == 0 or step + 1 == recipe.steps:
            seconds = time.monotonic() - started
            _save(folder, model, optimizer, step + 1, seconds)
            report(f"step {step + 1}/{recipe.steps}  loss {loss:.4f}  {seconds:.0f} s")
    model.eval()
    return seconds


def _step(
    model: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch, recipe: Recipe, step: int
) -> float:
    for group in optimizer.param_groups:
        group["lr"] = recipe.learning_rate(step)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss: Tensor = model(**batch).loss
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


def _save(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, step: int, seconds: float
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / "checkpoint.part"
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    torch.save(state | {"step": step, "seconds": seconds}, part)
    part.replace(folder / "checkpoint.pt")  # a cut-off save leaves the last checkpoint whole


def _resume(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[int, float]:
    path = folder / "checkpoint.pt"
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return state["step"], state["seconds"]
