"""A rotation that spreads what is large in one column over all of its block."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from qdemo.compress.quantizing import quantize_weight
from qdemo.compress.transforms import SEED
from qdemo.lab.inputs import inputs, known, relative_error
from qdemo.lab.matrices import outlier_at
from qdemo.numerics.transforms import Rotation
from qdemo.spec.step import Step


@dataclass(frozen=True, eq=False)
class Side:
    """A row as it is rounded, (columns,): rotated or not; of the whole matrix, the RMS of ŵ − w and
    the output error of inputs that are not alike."""

    row: Tensor
    w_hat: Tensor
    rms: float
    output_error: float

    @property
    def absmax(self) -> float:
        """The largest size in the row, which its scale has to reach."""
        return self.row.abs().max().item()


@dataclass(frozen=True, eq=False)
class Rotated:
    """The row `row` (counted from 0) with the largest weight, before and after a rotation, which
    turns blocks of `size` columns."""

    row: int
    size: int
    before: Side
    after: Side


def rotated(w: Tensor, bits: int, times: float) -> Rotated:
    """Weights (rows, columns), the largest of them made so many times larger, a scale a row."""
    own, at = w.clone(), outlier_at(w)
    own[at] *= times
    columns = own.shape[1]
    turned = Rotation(SEED).of_weights(own)
    sides = (
        _side(own, own, Step.parse(f"int{bits}"), at[0]),
        _side(own, turned, Step.parse(f"int{bits}-rot"), at[0]),
    )
    return Rotated(at[0], columns & -columns, *sides)


def _side(w: Tensor, shown: Tensor, step: Step, row: int) -> Side:
    q = quantize_weight(w, step)
    error = q.dequantize() - w
    hessian = known(inputs(w.shape[1])).hessian
    assert hessian is not None
    return Side(
        shown[row],
        q.plain.dequantize()[row],
        error.double().square().mean().sqrt().item(),
        relative_error(error, w, hessian),
    )
