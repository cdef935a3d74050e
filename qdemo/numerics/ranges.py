"""Scales and zero points that are searched for, block by block, as they round with less error than
those that just hold a block's range. Only the weights are looked at, no inputs.

- `narrowed`: of forty ranges, each narrower than the last, the one with the least Σ|ŵ − w|^2.4 (as
  llm-compressor's "mse" observer has it): what lies outside is clipped, the rest has finer steps.
- `half_quadratic`: a float zero point that makes Σ|ŵ − w|^0.7 small (Badri and Shaji, "Half-
  Quadratic Quantization of Large Machine Learning Models", 2023, mobiusml.github.io/hqq_blog).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from qdemo.numerics.blocks import tiles
from qdemo.numerics.grids import Grid, grid_of
from qdemo.spec.messages import say
from qdemo.spec.scheme import Scheme

SHRINKINGS = tuple(1 - i / 50 for i in range(40))
"""What the range of a block is multiplied by: 1.00, 0.98 … 0.22."""

POWER = 2.4

STEPS = 20
"""Of HQQ, at most."""

_BETA, _P = 10.0, 0.7
_STAYS = (1 / _BETA) ** (1 / (2 - _P))
"""The size up to which an error is shrunk to nothing: a = a^(p − 1) / β."""


@dataclass(frozen=True)
class Rounder:
    """Rounds numbers to a grid, from `qmin` to `qmax` where it is one of integers.

    >>> Rounder.of(Scheme("int2"))(torch.tensor([0.9, -3.0, 0.2]), torch.tensor(1.0))[1]
    tensor([ 1., -1.,  0.])
    """

    grid: Grid
    qmin: float
    qmax: float

    @classmethod
    def of(cls, scheme: Scheme) -> Rounder:
        """That of a scheme's own grid. GGUF's signed integers reach one further than −qmax, but for
        those of 8 bits."""
        grid = grid_of(scheme.storage)
        is_ggml = scheme.scale in ("fp16", "k4", "k6", "k8") and 0 < grid.offset < 128
        return cls(grid, -grid.offset if is_ggml else grid.qmin, grid.qmax)

    def __call__(
        self, x: Tensor, scale: Tensor, zero_point: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The codes of `x`, and what they are worth; scales, none of them 0, and zero points have
        shapes that go with it. A float zero point is added before rounding, an integer after."""
        y = self.grid.scaled(x, scale)
        if self.grid.format.kind != "integer":
            codes = self.grid.encode(y)
            return codes, self.grid.decode(codes, y).mul_(scale)
        if zero_point is None:
            y = y.round_().clamp_(self.qmin, self.qmax)
            return y.to(self.grid.dtype), y.mul_(scale)
        is_float = zero_point.is_floating_point()
        y = y.add_(zero_point).round_() if is_float else y.round_().add_(zero_point)
        y = y.clamp_(self.qmin, self.qmax)
        return y.to(self.grid.dtype), y.sub_(zero_point).mul_(scale)


def narrowed(
    blocks: Tensor, rounder: Rounder, scale: Tensor, zero_point: Tensor | None = None
) -> Tensor:
    """Of `scale` (n_blocks, 1) times each of `SHRINKINGS`, the one that leaves the least error in a
    block of `blocks` (n_blocks, length), and the widest of those that do. A zero point (n_blocks,
    1) stays where it is: both ends of the range move as its scale does."""
    errors = scale.new_zeros(len(blocks), len(SHRINKINGS))
    tiny = torch.finfo(scale.dtype).tiny
    factors = scale.new_tensor(SHRINKINGS)
    for rows, columns in tiles(blocks):
        x, unit = blocks[rows, columns].to(scale.dtype), scale[rows]
        zeros = None if zero_point is None else zero_point[rows]
        for i, factor in enumerate(factors):
            _, values = rounder(x, (unit * factor).clamp_(min=tiny), zeros)
            # In steps of the whole range, so that no power of it leaves the range of floats.
            error = values.sub_(x).div_(unit).abs_().pow_(POWER)
            errors[rows, i] += error.sum(1)
    return (scale * factors[errors.argmin(1)][:, None]).clamp(min=tiny)


def half_quadratic(blocks: Tensor, qmax: float, steps: int = STEPS) -> tuple[Tensor, Tensor]:
    """The scale and the float zero point z of ŵ = scale · (q − z), q in 0 … qmax: (n_blocks, 1)
    each, for `blocks` (n_blocks, length). The range is not widened to hold 0.

    It ends after `steps`, or once the mean error of all blocks together grows: what becomes of one
    depends on the others. (Where steps are below 1/20000, hqq keeps to that as fp16 would overflow;
    here they are fp32 and as small as they need to be.)

    Raises:
        ValueError: a range is wider than the dtype can hold, or a value is NaN.
    """
    own = blocks.to(torch.promote_types(blocks.dtype, torch.float32))
    inverse, zero_point = _whole_range(own, qmax)
    best = torch.inf
    for _ in range(steps):
        error, zero_point = _refined(own, inverse, zero_point, qmax)
        if not error < best:
            break
        best = error
    return inverse.reciprocal(), zero_point


def _whole_range(blocks: Tensor, qmax: float) -> tuple[Tensor, Tensor]:
    """1 / scale, and the zero point, that just hold the range of each block."""
    if not blocks.numel():
        one = blocks.new_ones(len(blocks), 1)
        return one, torch.zeros_like(one)
    low, high = blocks.amin(1, keepdim=True), blocks.amax(1, keepdim=True)
    span = high - low
    if not torch.isfinite(span).all():
        raise ValueError(
            say(
                "the range {item:.3g} is wider than {dtype} can hold",
                item=span.max().item(),
                dtype=blocks.dtype,
            )
        )
    most = 1 / torch.finfo(blocks.dtype).tiny
    inverse = torch.where(span == 0, 1.0, (qmax / span).clamp(max=most))
    return inverse, -low * inverse


def _refined(
    blocks: Tensor, inverse: Tensor, zero_point: Tensor, qmax: float
) -> tuple[float, Tensor]:
    """The mean error |ŵ − w| of all with these zero points, and better ones."""
    sums, total = torch.zeros_like(zero_point), 0.0
    for rows, columns in tiles(blocks):
        x, unit, zeros = blocks[rows, columns], inverse[rows], zero_point[rows]
        q = (x * unit + zeros).round_().clamp_(0, qmax)
        error = x - (q - zeros) / unit
        total += error.abs().sum(dtype=torch.float64).item()
        sums[rows] += q.sub_((x - _shrunk(error)).mul_(unit)).sum(1, keepdim=True)
    return total / max(1, blocks.numel()), sums / max(1, blocks.shape[1])


def _shrunk(error: Tensor) -> Tensor:
    """sign(e) · max(|e| − |e|^(p − 1) / β, 0): what of an error is left to outliers."""
    size = error.abs()
    if not size.numel() or size.max() <= _STAYS:
        return torch.zeros_like(error)
    return error.sign() * (size - size.pow(_P - 1) / _BETA).clamp_(min=0)
