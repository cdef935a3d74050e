"""How far the weights of a variant are from the reference's, tensor by tensor and pooled."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from operator import add

import torch
from torch import Tensor

from qdemo.measure.difference import Difference, sum_of_squares
from qdemo.measure.fused import Counted, Weights
from qdemo.measure.histogram import BINS, LOG_BINS, LinearHistogram, log_counts, nonzero
from qdemo.numerics.blocks import has_fp64, scratch, tile_size, tiles, with_fp64
from qdemo.numerics.qtensor import QTensor, blocks_of
from qdemo.spec.messages import say

IDEAL_STEPS = 1 / math.sqrt(12)
"""RMS of a rounding error that is evenly spread over one step (Bennett, 1948)."""


@dataclass(frozen=True, eq=False)
class WeightError:
    """The error e = ŵ − w of `numel` weights. Errors add: `a + b` pools the sums of both.

    `zeroed`: not zero before, zero after. `overflowed`: finite before, infinite or NaN after.
    `saturated`: clipped at an end of the integer range, so off by more than half a step.
    `exact`: errors of zero, which the histograms leave out. `histogram` counts e,
    `log_histogram` log10(|e| / rms(w)) with the rms of each tensor. `sum_sq_steps` is Σ(e/scale)²
    over the `stepped` weights that are integers: no other grid has even steps.
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
    >>> from qdemo.spec.scheme import Scheme
    >>> w = torch.randn(64, 256, generator=torch.Generator().manual_seed(0))
    >>> error = weight_error(w, quantize_tensor(w, Scheme("int8")))
    >>> round(error.sqnr_db, 1), round(error.rms_steps, 3), round(IDEAL_STEPS, 3)
    (43.0, 0.288, 0.289)

    Raises:
        ValueError: the shapes differ.
    """
    pair = Pair("", w.detach(), w_hat, None)
    return pair.in_loop(torch.get_num_threads()) or pair.by_torch()


@dataclass(frozen=True, eq=False)
class Pair:
    """Weights of that name, what they became, and Σw² where it is known already."""

    name: str
    w: Tensor
    w_hat: Tensor | QTensor
    sum_sq: float | None

    def __post_init__(self) -> None:
        """Refuse what can't be compared.

        Raises:
            ValueError: the shapes differ.
        """
        if tuple(self.w.shape) != tuple(self.w_hat.shape):
            raise ValueError(
                say(
                    "shapes differ: {reference} and {other}",
                    reference=tuple(self.w.shape),
                    other=tuple(self.w_hat.shape),
                )
            )

    def in_loop(self, threads: int) -> WeightError | None:
        """The error by one loop over vectors; None where that can't take them."""
        weights = Weights.of(self.w, self.w_hat, threads)
        if weights is None:
            return None
        sum_sq = weights.sum_of_squares() if self.sum_sq is None else self.sum_sq
        if self._is_shared:
            return self._without_error(sum_sq)
        counted = weights.counted(self._unit(sum_sq))
        return None if counted is None else _of_counted(counted, self.w.numel(), sum_sq, self.w_hat)

    def by_torch(self) -> WeightError:
        """The same by many operations of torch, which take all."""
        sum_sq = _sum_of_squares(self.w) if self.sum_sq is None else self.sum_sq
        if self._is_shared:
            return self._without_error(sum_sq)
        unit, pieces = self._unit(sum_sq), _pieces(self.w, self.w_hat)
        found = pool(_of_piece(*_where_fp64_is(*piece), unit) for piece in pieces)
        return replace(found, sum_sq_weight=sum_sq)

    @property
    def _is_shared(self) -> bool:
        return isinstance(self.w_hat, Tensor) and _is_shared(self.w, self.w_hat)

    def _without_error(self, sum_sq: float) -> WeightError:
        numel = self.w.numel()
        return replace(_NOTHING, numel=numel, sum_sq_weight=sum_sq, exact=numel)

    def _unit(self, sum_sq: float) -> float:
        return math.sqrt(sum_sq / max(1, self.w.numel())) or 1.0


_NOTHING = WeightError(
    0, 0.0, 0.0, 0.0, 0, 0, 0, 0, 0, 0.0,
    LinearHistogram(0, torch.zeros(BINS, dtype=torch.int64)),
    torch.zeros(LOG_BINS, dtype=torch.int64),
)  # fmt: skip


def _sum_of_squares(w: Tensor) -> float:
    flat = w.reshape(1, -1)
    return sum(sum_of_squares(with_fp64(flat[tile])) for tile in tiles(flat))


def _of_counted(
    counted: Counted, numel: int, sum_sq: float, w_hat: Tensor | QTensor
) -> WeightError:
    """What a loop found; only integers have even steps."""
    is_even = isinstance(w_hat, QTensor) and w_hat.scheme.storage.kind == "integer"
    return WeightError(
        numel=numel,
        sum_sq_error=counted.sum_sq_error,
        sum_sq_weight=sum_sq,
        max_abs=counted.max_abs,
        zeroed=counted.zeroed,
        overflowed=0,
        saturated=counted.saturated if is_even else 0,
        exact=counted.exact,
        stepped=numel if is_even else 0,
        sum_sq_steps=counted.sum_sq_steps if is_even else 0.0,
        histogram=counted.histogram,
        log_histogram=counted.log_histogram,
    )


def _is_shared(a: Tensor, b: Tensor) -> bool:
    """Whether both are the same memory seen the same way, as what a variant left alone is."""
    same = a.data_ptr() == b.data_ptr() and a.stride() == b.stride() and a.dtype == b.dtype
    return same and a.numel() > 0


def _larger(a: float, b: float) -> float:
    """The larger one, and NaN where either is: Python's max would lose it."""
    return a if a > b or math.isnan(a) else b


def _pieces(w: Tensor, w_hat: Tensor | QTensor) -> Iterator[tuple[Tensor, Tensor | QTensor]]:
    """Cut both into pieces of matching values, which stay in the cache."""
    if isinstance(w_hat, QTensor):
        height = max(1, tile_size(w.device) // max(1, w_hat.shape[-1] if w_hat.shape else 1))
        for rows, part in w_hat.pieces(height):
            yield w if part is w_hat else w[rows], part
        return
    ours, theirs = (x.detach().reshape(1, -1) for x in (w, w_hat))
    yield from ((ours[tile], theirs[tile]) for tile in tiles(ours))


def _where_fp64_is(w: Tensor, w_hat: Tensor | QTensor) -> tuple[Tensor, Tensor | QTensor]:
    """Both where sums can be added up in fp64."""
    if isinstance(w_hat, Tensor):
        return with_fp64(w), with_fp64(w_hat)
    return with_fp64(w), w_hat if has_fp64(w_hat.device) else w_hat.to("cpu")


def _of_piece(w: Tensor, w_hat: Tensor | QTensor, unit: float) -> WeightError:
    if isinstance(w_hat, Tensor):
        return _of_blocks(w, w_hat, w_hat.dtype, None, unit)
    scheme, scale = w_hat.scheme, w_hat.scale
    exact = w_hat.dequantize(scale.dtype, scratch)
    ours, theirs = (blocks_of(x, scheme) for x in (w, exact))
    is_even = scheme.storage.kind == "integer"
    steps = scale.reshape(-1, 1).double() if is_even else None
    return pool(
        _of_blocks(ours[t], theirs[t], w_hat.dtype, None if steps is None else steps[t[0]], unit)
        for t in tiles(ours)
    )


def _of_blocks(
    w: Tensor, exact: Tensor, dtype: torch.dtype, scale: Tensor | None, unit: float
) -> WeightError:
    """Of blocks (n, length), whose scales are (n, 1). Steps are counted before the weights are
    rounded to the dtype that is computed in."""
    error = Difference.of(exact, w)
    saturated = 0 if scale is None else error.beyond(scale)
    sum_sq_steps = 0.0 if scale is None else error.in_steps(scale)
    w_hat = exact.to(dtype)
    error = error if w_hat is exact else Difference.of(w_hat, w)
    finite = error.are_finite()
    shown = error if finite else error.of_finite()
    zeros = shown.values.numel() - nonzero(shown.sizes)
    return WeightError(
        numel=w.numel(),
        sum_sq_error=error.sum_sq.sum().item(),
        sum_sq_weight=0.0,
        max_abs=error.max_abs,
        zeroed=_zeroed(w, w_hat, finite),
        overflowed=0 if finite else _overflowed(w, w_hat),
        saturated=saturated,
        exact=zeros,
        stepped=0 if scale is None else w.numel(),
        sum_sq_steps=sum_sq_steps,
        histogram=LinearHistogram.of(shown.values, zeros, shown.max_abs),
        log_histogram=log_counts(shown.sizes, unit, zeros),
    )


def _zeroed(w: Tensor, w_hat: Tensor, finite: bool) -> int:
    zeros = w_hat.numel() - nonzero(w_hat)
    if zeros == 0 or (finite and nonzero(w) == w.numel()):
        return zeros
    return int(torch.count_nonzero((w_hat == 0) & (w != 0)))


def _overflowed(w: Tensor, w_hat: Tensor) -> int:
    return int(torch.count_nonzero(torch.isfinite(w) & ~torch.isfinite(w_hat)))
