"""How far the weights of a variant are from the reference's, tensor by tensor and pooled."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import reduce

import torch
from torch import Tensor

from qdemo.measure.difference import Difference, sum_of_squares
from qdemo.measure.forms import Weights
from qdemo.measure.fused import Counted, counted, sums_of_squares
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
        return pool((self, other))


def pool(errors: Iterable[WeightError]) -> WeightError:
    """The error of all of them together: sums are pooled, decibels never averaged."""
    every = [_NOTHING, *errors]
    columns = {
        field.name: [getattr(one, field.name) for one in every] for field in fields(_NOTHING)
    }
    largest = reduce(_larger, columns.pop("max_abs"))
    histogram = LinearHistogram.pooled(columns.pop("histogram"))
    logarithmic = torch.stack(columns.pop("log_histogram")).sum(0)
    sums = {name: sum(column) for name, column in columns.items()}
    return WeightError(max_abs=largest, histogram=histogram, log_histogram=logarithmic, **sums)


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
    return next(weight_errors([Pair(w.detach(), w_hat)]))


def weight_errors(pairs: Sequence[Pair]) -> Iterator[WeightError]:
    """The error of each pair: of all that it takes by one loop over vectors, at once, and of the
    others by many operations of torch, as they are asked for."""
    threads = torch.get_num_threads()
    taken = {
        i: weights
        for i, pair in enumerate(pairs)
        if (weights := Weights.of(pair.w, pair.w_hat)) is not None
    }
    pairs = _with_sums(pairs, taken, threads)
    differ = [i for i in taken if not pairs[i].is_shared]
    units = [pairs[i].unit for i in differ]
    found = dict(zip(differ, counted([taken[i] for i in differ], units, threads), strict=True))
    for i, pair in enumerate(pairs):
        known = found.get(i)
        yield pair.by_torch() if known is None else pair.by_loop(known)


def _with_sums(pairs: Sequence[Pair], taken: Mapping[int, Weights], threads: int) -> Sequence[Pair]:
    """The same, with Σw² of what the loop takes."""
    wanted = [i for i in taken if pairs[i].sum_sq is None]
    sums = zip(wanted, sums_of_squares([taken[i] for i in wanted], threads), strict=True)
    known = {i: replace(pairs[i], sum_sq=found) for i, found in sums}
    return [known.get(i, pair) for i, pair in enumerate(pairs)]


@dataclass(frozen=True, eq=False)
class Pair:
    """Weights, what they became, and Σw² where it is known already."""

    w: Tensor
    w_hat: Tensor | QTensor
    sum_sq: float | None = None

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

    def by_loop(self, found: Counted) -> WeightError:
        """The error, of which a loop found that; Σw² is known."""
        numel = self.w.numel()
        # Only integers have even steps.
        is_even = isinstance(self.w_hat, QTensor) and self.w_hat.scheme.storage.kind == "integer"
        return WeightError(
            numel=numel,
            sum_sq_error=found.sum_sq_error,
            sum_sq_weight=self.sum_sq or 0.0,
            max_abs=found.max_abs,
            zeroed=found.zeroed,
            overflowed=0,
            saturated=found.saturated if is_even else 0,
            exact=found.exact,
            stepped=numel if is_even else 0,
            sum_sq_steps=found.sum_sq_steps if is_even else 0.0,
            histogram=found.histogram,
            log_histogram=found.log_histogram,
        )

    def by_torch(self) -> WeightError:
        """The error by many operations of torch, which take all."""
        known = self if self.sum_sq is not None else replace(self, sum_sq=_sum_of_squares(self.w))
        if self.is_shared:
            return known._without_error()
        pieces = _pieces(self.w, self.w_hat)
        found = pool(_of_piece(*_where_fp64_is(*piece), known.unit) for piece in pieces)
        return replace(found, sum_sq_weight=known.sum_sq or 0.0)

    @property
    def is_shared(self) -> bool:
        """Whether they became nothing else."""
        return isinstance(self.w_hat, Tensor) and _is_shared(self.w, self.w_hat)

    @property
    def unit(self) -> float:
        """rms(w), where it is known and not 0."""
        return math.sqrt((self.sum_sq or 0.0) / max(1, self.w.numel())) or 1.0

    def _without_error(self) -> WeightError:
        numel, sum_sq = self.w.numel(), self.sum_sq or 0.0
        return replace(_NOTHING, numel=numel, sum_sq_weight=sum_sq, exact=numel)


_NOTHING = WeightError(
    0, 0.0, 0.0, 0.0, 0, 0, 0, 0, 0, 0.0,
    LinearHistogram(0, torch.zeros(BINS, dtype=torch.int64)),
    torch.zeros(LOG_BINS, dtype=torch.int64),
)  # fmt: skip


def _sum_of_squares(w: Tensor) -> float:
    flat = w.reshape(1, -1)
    return sum(sum_of_squares(with_fp64(flat[tile])) for tile in tiles(flat))


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
    # A transformed weight's steps are those of other weights.
    is_even = scheme.storage.kind == "integer" and w_hat.transform is None
    steps = _steps(scale).reshape(-1, 1) if is_even else None
    return pool(
        _of_blocks(ours[t], theirs[t], w_hat.dtype, None if steps is None else steps[t[0]], unit)
        for t in tiles(ours)
    )


def _steps(scale: Tensor) -> Tensor:
    """What a step is worth, fp64; where a block has a single value its errors are none in steps."""
    size = scale.double().abs()
    return torch.where(size == 0, torch.inf, size)


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
