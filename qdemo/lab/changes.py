"""What a choice changed in a small matrix that is quantized by hand."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from qdemo.lab.by_hand import ByHand


@dataclass(frozen=True)
class Around:
    """One weight, its scale, and the other weights that share the scale.

    `silent` counts those of the `neighbours` that come back as 0. Of the whole matrix, `zeros`
    counts them, and `rms` is the RMS error.
    """

    weight: float
    scale: float
    neighbours: int
    silent: int
    zeros: int
    rms: float


def around(found: ByHand, row: int, column: int) -> Around:
    """What is to be told of the weight in that place."""
    same = found.block == found.block[row, column]
    same[row, column] = False
    return Around(
        weight=found.w[row, column].item(),
        scale=found.scale[row, column].item(),
        neighbours=int(same.sum()),
        silent=int((found.w_hat[same] == 0).sum()),
        zeros=int((found.w_hat == 0).sum()),
        rms=found.error.double().square().mean().sqrt().item(),
    )


def only_change(before: Tensor, after: Tensor) -> tuple[int, int] | None:
    """Row and column of the one number in which two matrices differ, counted from 0; None where
    they differ in another way, or not at all."""
    if before.shape != after.shape:
        return None
    places = (before != after).nonzero().tolist()
    return (places[0][0], places[0][1]) if len(places) == 1 else None
