"""Columns of inputs that are larger than the others: what AWQ, SmoothQuant and LLM.int8() do about
them, for every α and every threshold."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from qdemo.compress import outliers, transforms
from qdemo.lab.inputs import inputs, known, relative_distance
from qdemo.numerics.linear import quantize_tensor
from qdemo.spec.scheme import Scheme

ALIKE = 0.3
"""How much inputs are alike here."""

INT8 = Scheme("int8")


@dataclass(frozen=True, eq=False)
class Smoothed:
    """One α: the factors s (columns,); max |x| / s of the inputs' columns, and max |w| · s of the
    weights'; and the output error ‖Y − XWᵀ‖ / ‖XWᵀ‖."""

    alpha: float
    s: Tensor
    inputs: Tensor
    weights: Tensor
    error: float


@dataclass(frozen=True, eq=False)
class Smoothing:
    """Every α; the largest sizes of the columns before, and the output error without the method."""

    every: tuple[Smoothed, ...]
    inputs: Tensor
    weights: Tensor
    plain: float

    @property
    def best(self) -> Smoothed:
        """The one with the least output error, the first of equals."""
        return min(self.every, key=lambda one: one.error)

    def at(self, alpha: float) -> Smoothed:
        """The one of that α."""
        return min(self.every, key=lambda one: abs(one.alpha - alpha))


def smoothing(w: Tensor, method: str, bits: int, loud: float) -> Smoothing:
    """AWQ ("awq": only the weights are rounded, to so many bits) or SmoothQuant ("sq": weights and
    inputs are, to 8 bits) of weights (rows, columns), for inputs of which a column is so loud."""
    x = inputs(w.shape[1], ALIKE, loud)
    scheme = INT8 if method == "sq" else Scheme(f"int{bits}")
    stats, wanted = known(x), x @ w.t()
    every = []
    for alpha in transforms.RATIOS:
        if method == "sq":
            s = transforms.smoothing(w, stats.absmax, alpha)
        else:
            s = transforms.of_ratio(stats.mean_abs, alpha)
        error = relative_distance(_outputs(x / s, w * s, scheme, method), wanted)
        own, sizes = stats.absmax / s, (w * s).abs().amax(0)
        every.append(Smoothed(alpha, s, own, sizes, error))
    plain = relative_distance(_outputs(x, w, scheme, method), wanted)
    return Smoothing(tuple(every), stats.absmax, w.abs().amax(0), plain)


def _outputs(x: Tensor, w: Tensor, scheme: Scheme, method: str) -> Tensor:
    """X Ŵᵀ, of inputs that were rounded to 8 bits a token where the method does so."""
    own = quantize_tensor(x, INT8).dequantize() if method == "sq" else x
    return own @ quantize_tensor(w, scheme).dequantize().t()


THRESHOLDS = tuple(i / 2 for i in range(1, 41))
"""0.5, 1.0 … 20."""


@dataclass(frozen=True, eq=False)
class Split:
    """LLM.int8() with one threshold: which columns of the inputs stay floats; the output error."""

    threshold: float
    outliers: Tensor
    error: float


@dataclass(frozen=True, eq=False)
class Splits:
    """Every threshold, the largest sizes of the inputs' columns, and the error where none is set
    aside (`plain`), and where no input is rounded at all (`floats`)."""

    every: tuple[Split, ...]
    inputs: Tensor
    plain: float
    floats: float

    def at(self, threshold: float) -> Split:
        """The one of that threshold."""
        return min(self.every, key=lambda one: abs(one.threshold - threshold))


def splits(w: Tensor, loud: float) -> Splits:
    """Weights (rows, columns) in int8, and inputs in int8 but for the columns with something as
    large as the threshold."""
    x = inputs(w.shape[1], ALIKE, loud)
    w_hat, wanted = quantize_tensor(w, INT8).dequantize(), x @ w.t()

    def error(threshold: float) -> float:
        return relative_distance(outliers.rounded(x, threshold) @ w_hat.t(), wanted)

    every = tuple(Split(one, outliers.mixed(x, one).outliers, error(one)) for one in THRESHOLDS)
    floats = relative_distance(x @ w_hat.t(), wanted)
    return Splits(every, x.abs().amax(0), error(torch.inf), floats)
