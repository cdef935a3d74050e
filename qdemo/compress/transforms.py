"""Which transform a weight is given before it is rounded, and which factors a column.

- SmoothQuant: s = max|x|^α / max|w|^(1 − α), so that inputs lend the weights what they have too
  much of (Xiao et al., 2023, arXiv 2211.10438, equation 4).
- AWQ: s = (mean |x|)^α over √(max · min) of it, for the α in 0, 0.05 … 0.95 that leaves the least
  output error; columns whose inputs are large are rounded more finely (Lin et al., 2023, arXiv
  2306.00978).
- A rotation knows nothing of the inputs; its seed is 0.

What is held of s is its inverse, which both the input and Ŵ are multiplied by
(`qdemo.numerics.transforms`).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from qdemo.compress.stats import Stats
from qdemo.numerics.transforms import Transform, transform_of

SEED = 0
"""Of a rotation's signs."""

_LEAST = 2.0**-23
"""What the largest sizes of a column are at least, as torchao's SmoothQuant has it."""

_LEAST_AWQ = 1e-4
RATIOS = tuple(i / 20 for i in range(20))
"""The α that AWQ tries."""

Dequantized = Callable[[Tensor], Tensor]
"""What weights (rows, columns) become: Ŵ, in memory of its own."""


def chosen(name: str, w: Tensor, stats: Stats | None, rounded: Dequantized) -> dict[str, Tensor]:
    """What is held of the transform of that name, as a recipe has it, for a weight; by role."""
    if name == "rot":
        return {"rotation": torch.tensor(SEED, device=w.device)}
    assert stats is not None
    if not (stats.count and w.numel()):  # nothing is known, or there is nothing
        scale = torch.ones_like(stats.absmax)
    elif name == "awq":
        scale = activation_aware(w, stats, rounded)
    else:
        scale = smoothing(w, stats.absmax, float(name.removeprefix("sq")))
    return {"column_scale": scale.reciprocal().to(w.device, torch.float32)}


def smoothing(w: Tensor, absmax: Tensor, alpha: float) -> Tensor:
    """s (columns,) of SmoothQuant, for weights (rows, columns) and max|x| of their inputs."""
    own = w.abs().amax(0).float() if len(w) else torch.zeros_like(absmax)
    inputs, weights = absmax.clamp(min=_LEAST), own.clamp(min=_LEAST)
    return inputs.pow(alpha) / weights.pow(1 - alpha)


def activation_aware(w: Tensor, stats: Stats, rounded: Dequantized) -> Tensor:
    """s (columns,) of AWQ: of those for twenty α the one whose Ŵ = Q(W s) / s leaves the least
    ‖X(Ŵ − W)ᵀ‖, the first of equals."""
    assert stats.hessian is not None
    candidates = [of_ratio(stats.mean_abs, ratio) for ratio in RATIOS]
    errors = [output_error(rounded(w * s).div_(s).sub_(w), stats.hessian) for s in candidates]
    return candidates[errors.index(min(errors))]


def of_ratio(mean_abs: Tensor, ratio: float) -> Tensor:
    """s (columns,) of AWQ for one α, of the mean |x| of the columns."""
    scale = mean_abs.pow(ratio).clamp(min=_LEAST_AWQ)
    return scale / (scale.max() * scale.min()).sqrt()


def output_error(error: Tensor, hessian: Tensor) -> float:
    """tr(E H Eᵀ): twice the mean square of what E (rows, columns) makes of an input, over rows."""
    of_rows = (error @ hessian.to(error.dtype)).mul_(error).sum(1)
    return of_rows.sum(dtype=torch.float64).item()


def hessian_of(held: dict[str, Tensor], hessian: Tensor) -> Tensor:
    """2XᵀX / n of inputs that were transformed, of that before."""
    transform: Transform | None = transform_of(held)
    if transform is None:
        return hessian
    return transform.of_inputs(transform.of_inputs(hessian).t())
