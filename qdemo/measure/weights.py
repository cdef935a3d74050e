"""How far the weights of a variant are from the reference's, tensor by tensor and pooled."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from torch import Tensor, nn

from qdemo.measure.histogram import BINS, LOG_BINS, LinearHistogram, log_counts
from qdemo.numerics.blocks import TILE, tiles, to_blocks
from qdemo.numerics.linear import QTensor

IDEAL_STEPS = 1 / math.sqrt(12)
"""RMS of a rounding error that is evenly spread over one step (Bennett, 1948)."""


@dataclass(frozen=True, eq=False)
class WeightError:
    """The error e = ŵ − w of `numel` weights. Errors add: `a + b` pools the sums of both.

    `zeroed`: not zero before, zero after. `overflowed`: finite before, infinite or NaN after.
    `saturated`: clipped at an end of the integer range, so off by more than half a step.
    `exact`: errors of zero, which the histograms leave out. `histogram` counts e,
    `log_histogram` log10(|e| / rms(w)) with the rms of each tensor. `sum_sq_steps` is Σ(e/scale)²
    over the `stepped` weights that are integers.
    """

    numel: int
    sum_sq_error: float
    sum_sq_weight: float
    max_abs: float
    zeroed: int
    overflowed: int
    saturated: int
    exact: int
    stepped: int
    sum_sq_steps: float
    histogram: LinearHistogram
    log_histogram: Tensor

    @property
    def rms(self) -> float:
        """Root mean square of e, in the unit of the weights."""
        return math.sqrt(self.sum_sq_error / self.numel) if self.numel else 0.0

    @property
    def relative(self) -> float:
        """‖ŵ − w‖ / ‖w‖."""
        if not self.sum_sq_error:
            return 0.0
        return math.sqrt(self.sum_sq_error / self.sum_sq_weight) if self.sum_sq_weight else math.inf

    @property
    def sqnr_db(self) -> float:
        """Signal to quantization noise, 10 · log10(Σw² / Σe²), in dB; infinite without error."""
        return -20 * math.log10(self.relative) if self.relative else math.inf

    @property
    def rms_steps(self) -> float | None:
        """Root mean square of e / scale, to be read beside `IDEAL_STEPS`; None for floats."""
        return math.sqrt(self.sum_sq_steps / self.stepped) if self.stepped else None

    def __add__(self, other: WeightError) -> WeightError:
        """The error of both together."""
        pairs = {name: (mine, getattr(other, name)) for name, mine in vars(self).items()}
        added = {name: add(*pair) for name, pair in pairs.items() if name != "max_abs"}
        return WeightError(max_abs=_larger(*pairs["max_abs"]), **added)


def pool(errors: Iterable[WeightError]) -> WeightError:
    """The error of all of them together: sums are pooled, decibels never averaged."""
    return reduce(add, errors, _NOTHING)


def weight_error(w: Tensor, w_hat: Tensor | QTensor) -> WeightError:
    """The error of `w_hat`, a tensor of the shape of `w` or a quantized one.

    >>> from qdemo.numerics.linear import quantize_tensor
    >>> from qdemo.numerics.scheme import Scheme
    >>> w = torch.randn(64, 256, generator=torch.Generator().manual_seed(0))
    >>> error = weight_error(w, quantize_tensor(w, Scheme("int8")))
    >>> round(error.sqnr_db, 1), round(error.rms_steps, 3), round(IDEAL_STEPS, 3)
    (43.0, 0.288, 0.289)

    Raises:
        ValueError: the shapes differ.
    """
    if tuple(w.shape) != tuple(w_hat.shape):
        raise ValueError(f"shapes differ: {tuple(w.shape)} and {tuple(w_hat.shape)}")
    unit = _rms(w)
    return pool(_piece(*piece, unit) for piece in _pieces(w.detach(), w_hat))


def model_weight_errors(
    reference: nn.Module, variant: nn.Module
) -> Iterator[tuple[str, WeightError]]:
    """The error of each parameter of `reference` in `variant`, by name, one tensor at a time.

    A weight that still trains in quantized form is measured as it would be rounded now. A tied
    weight is measured once, and once more where the variant holds it in another form.

    Raises:
        AttributeError: the variant has no such parameter.
    """
    seen: set[tuple[int, int]] = set()
    for name, w in reference.named_parameters(remove_duplicate=False):
        held = _held(variant, name)
        memory = held.packed if isinstance(held, QTensor) else held
        pair = id(w), memory.untyped_storage()._cdata
        if pair not in seen:
            seen.add(pair)
            yield name, weight_error(w, held)


def _held(model: nn.Module, name: str) -> Tensor | QTensor:
    owner, _, key = name.rpartition(".")
    module = model.get_submodule(owner)
    quantized = key == "weight" and hasattr(type(module), "qweight")
    held: Tensor | QTensor = getattr(module, "qweight" if quantized else key)
    return held


_NOTHING = WeightError(
    0, 0.0, 0.0, 0.0, 0, 0, 0, 0, 0, 0.0,
    LinearHistogram(0, torch.zeros(BINS, dtype=torch.int64)),
    torch.zeros(LOG_BINS, dtype=torch.int64),
)  # fmt: skip


def _rms(w: Tensor) -> float:
    blocks = w.detach().reshape(1, -1)
    return math.sqrt(sum(_sum_sq(blocks[tile]) for tile in tiles(blocks)) / max(1, w.numel()))


def _sum_sq(x: Tensor) -> float:
    wide = x.reshape(-1).double()
    return torch.dot(wide, wide).item()


def _larger(a: float, b: float) -> float:
    """The larger one, and NaN where either is: Python's max would lose it."""
    return a if a > b or math.isnan(a) else b


def _pieces(w: Tensor, w_hat: Tensor | QTensor) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Cut both into pieces of matching values, with their errors in steps where there are steps.

    A quantized matrix is dequantized some rows at a time, which stay in the cache.
    """
    if not isinstance(w_hat, QTensor):
        ours, theirs = (x.detach().reshape(1, -1) for x in (w, w_hat))
        yield from _matched(ours, theirs, w_hat.dtype, None)
    elif w.ndim == 2 and w_hat.rows_are_apart:
        height = max(1, TILE // max(1, w.shape[1]))
        for start in range(0, w.shape[0], height):
            rows = slice(start, start + height)
            yield from _quantized(w[rows], w_hat.take(rows))
    else:
        yield from _quantized(w, w_hat)


def _quantized(w: Tensor, w_hat: QTensor) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    scheme, exact = w_hat.scheme, w_hat.dequantize(w_hat.scale.dtype)
    scale = None if scheme.storage.is_float else w_hat.scale.reshape(-1, 1).double()
    ours, theirs = (to_blocks(x, scheme.axis, scheme.group_size) for x in (w, exact))
    yield from _matched(ours, theirs, w_hat.dtype, scale)


def _matched(
    ours: Tensor, theirs: Tensor, dtype: torch.dtype, scale: Tensor | None
) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Steps are counted before the weights are rounded to the dtype that is computed in."""
    for tile in tiles(ours):
        wanted, got = ours[tile].double(), theirs[tile]
        steps = None if scale is None else (got.double() - wanted) / scale[tile[0]]
        yield wanted, got.to(dtype).double(), steps


def _piece(w: Tensor, w_hat: Tensor, steps: Tensor | None, unit: float) -> WeightError:
    error = w_hat - w
    shown = error if torch.isfinite(error.sum()) else error[torch.isfinite(error)]
    beyond = 0.5 + 2**-10  # a step's half, and the rounding of a product, which is no clipping
    return WeightError(
        numel=w.numel(),
        sum_sq_error=_sum_sq(error),
        sum_sq_weight=_sum_sq(w),
        max_abs=error.abs().max().item(),
        zeroed=int(torch.count_nonzero((w_hat == 0) & (w != 0))),
        overflowed=int(torch.count_nonzero(torch.isfinite(w) & ~torch.isfinite(w_hat))),
        saturated=0 if steps is None else int(torch.count_nonzero(steps.abs() > beyond)),
        exact=w.numel() - int(torch.count_nonzero(error)),
        stepped=0 if steps is None else w.numel(),
        sum_sq_steps=0.0 if steps is None else _sum_sq(steps),
        histogram=LinearHistogram.of(shown),
        log_histogram=log_counts(shown, unit or 1.0),
    )
