"""How far the weights of a variant are from the reference's, tensor by tensor and pooled."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from torch import Tensor, nn

from qdemo.measure.histogram import LOG_BINS, LinearHistogram, log_counts
from qdemo.numerics.blocks import to_blocks
from qdemo.numerics.linear import QTensor

IDEAL_STEPS = 1 / math.sqrt(12)
"""RMS of a rounding error that is evenly spread over one step (Bennett, 1948)."""

_PIECE = 1 << 18  # values at a time, whose fp64 copies stay in the cache


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
        return WeightError(**{n: max(p) if n == "max_abs" else add(*p) for n, p in pairs.items()})


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
    pieces = (_piece(*piece, unit) for piece in _pieces(w.detach(), w_hat))
    return reduce(add, pieces, _NOTHING)


def model_weight_errors(
    reference: nn.Module, variant: nn.Module
) -> Iterator[tuple[str, WeightError]]:
    """The error of each parameter of `reference` in `variant`, by name, one tensor at a time.

    A tied weight is measured once, and once more where the variant holds it in another form.

    Raises:
        AttributeError: the variant has no such parameter.
    """
    seen: set[tuple[int, int]] = set()
    for name, w in reference.named_parameters(remove_duplicate=False):
        owner, _, key = name.rpartition(".")
        held: Tensor | QTensor = getattr(variant.get_submodule(owner), key)
        memory = held.packed if isinstance(held, QTensor) else held
        pair = id(w), memory.untyped_storage()._cdata
        if pair not in seen:
            seen.add(pair)
            yield name, weight_error(w, held)


_NOTHING = WeightError(
    0, 0.0, 0.0, 0.0, 0, 0, 0, 0, 0, 0.0,
    LinearHistogram.of(torch.empty(0), 1.0), torch.zeros(LOG_BINS, dtype=torch.int64),
)  # fmt: skip


def _rms(w: Tensor) -> float:
    flat = w.detach().reshape(-1)
    squares = (piece.double().square().sum().item() for piece in flat.split(_PIECE))
    return math.sqrt(sum(squares) / max(1, w.numel()))


def _pieces(w: Tensor, w_hat: Tensor | QTensor) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Cut both into pieces of matching values, with the scales where there are steps."""
    scale: Tensor | None = None
    if isinstance(w_hat, QTensor):
        scheme = w_hat.scheme
        if not scheme.storage.is_float:
            scale = w_hat.scale.reshape(-1, 1)
        blocks = [to_blocks(x, scheme.axis, scheme.group_size) for x in (w, w_hat.dequantize())]
    else:
        blocks = [x.detach().reshape(1, -1) for x in (w, w_hat)]
    n_blocks, length = blocks[0].shape
    height = max(1, _PIECE // max(1, length))
    for row in range(0, n_blocks, height):
        rows = slice(row, row + height)
        for column in range(0, length, _PIECE):
            ours, theirs = (x[rows, column : column + _PIECE].double() for x in blocks)
            yield ours, theirs, None if scale is None else scale[rows].double()


def _piece(w: Tensor, w_hat: Tensor, scale: Tensor | None, unit: float) -> WeightError:
    error = w_hat - w
    size = error.abs()
    wrong = size > 0  # and so not NaN
    finite = torch.isfinite(error)
    steps = torch.zeros(0, dtype=torch.float64) if scale is None else size / scale
    largest = size.max().item()
    shown = error[wrong & finite]
    return WeightError(
        numel=w.numel(),
        sum_sq_error=error.square().sum().item(),
        sum_sq_weight=w.square().sum().item(),
        max_abs=largest,
        zeroed=int(((w != 0) & (w_hat == 0)).sum()),
        overflowed=int((torch.isfinite(w) & ~torch.isfinite(w_hat)).sum()),
        saturated=int((steps > 0.501).sum()),  # half a step, and the rounding of the product
        exact=int((error == 0).sum()),
        stepped=steps.numel(),
        sum_sq_steps=steps.square().sum().item(),
        histogram=LinearHistogram.of(shown, shown.abs().max().item() if len(shown) else 1.0),
        log_histogram=log_counts(shown.abs(), unit or 1.0),
    )
