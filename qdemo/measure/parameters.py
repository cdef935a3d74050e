"""The errors of a variant's weights as figures and histograms, by parameter and pooled."""

from __future__ import annotations

from torch import Tensor

from qdemo.measure.histogram import BINS, LOG_BINS, LOG_RANGE
from qdemo.measure.measure import Found, Measure, Ran, finite
from qdemo.measure.models import model_weight_errors
from qdemo.measure.weights import WeightError, pool
from qdemo.spec.figure import Figure
from qdemo.spec.report import WHOLE_MODEL, Histogram, Parameter


def _of(ran: Ran) -> Found:
    beside = ran.beside
    errors = dict(model_weight_errors(beside.model, ran.model, beside.sums_of_squares))
    pooled = pool(errors.values())
    shapes = {name: tuple(w.shape) for name, w in beside.model.named_parameters()}
    told = {name: _told(error, shapes.get(name)) for name, error in errors.items()}
    figures = {f"weight_{key}": value for key, value in _figures(pooled).items()}
    return Found(figures, parameters={WHOLE_MODEL: _told(pooled, None), **told})


def _told(error: WeightError, shape: tuple[int, ...] | None) -> Parameter:
    low, high = LOG_RANGE
    width = 2.0**error.histogram.power * 2 / BINS
    return Parameter(
        shape=shape,
        numel=error.numel,
        exact=error.exact,
        figures=_figures(error),
        log_histogram=_stretch(error.log_histogram, low, (high - low) / LOG_BINS),
        histogram=_stretch(error.histogram.counts, -width * BINS / 2, width),
    )


def _stretch(counts: Tensor, start: float, width: float) -> Histogram:
    """The stretch of equal bins that holds anything; `start` is where its first bin begins."""
    (filled,) = counts.numpy().nonzero()
    first, last = (int(filled[0]), int(filled[-1])) if len(filled) else (0, -1)
    return Histogram(start + first * width, width, tuple(counts[first : last + 1].tolist()))


def _figures(error: WeightError) -> dict[str, int | float | None]:
    names = ("sqnr_db", "rms", "max_abs", "relative", "rms_steps", "zeroed", "saturated",
             "overflowed")  # fmt: skip
    return {name: finite(getattr(error, name)) for name in names}


MEASURE = Measure(
    figures=(
        Figure(
            "weight_sqnr_db", "weights' SQNR",
            "Signal to quantization noise, 10 · log10(Σw² / Σ(ŵ − w)²); over a whole model the "
            "sums are pooled, never the decibels averaged.",
            unit="dB", better="high", zero="weight_rms",
            heads=(("card", "weights' SQNR"), ("summary", "SQNR"), ("weights", "SQNR")),
        ),
        Figure("weight_rms", "RMS error", "Root mean square of ŵ − w, in the unit of the weights.",
               better="low", heads=(("weights", "RMS error"),)),
        Figure("weight_max_abs", "max error", "The largest |ŵ − w|.",
               better="low", heads=(("weights", "max error"),)),
        Figure("weight_relative", "relative error", "‖ŵ − w‖ / ‖w‖.",
               better="low", heads=(("weights", "relative"),)),
        Figure(
            "weight_rms_steps", "RMS error in steps",
            "Root mean square of error / scale; evenly spread rounding has 1/√12 = 0.289.",
            heads=(("weights", "RMS, steps"),),
        ),
        Figure("weight_zeroed", "became 0", "Weights that are 0 now, and were not.",
               form="count", better="low", heads=(("weights", "became 0"),)),
        Figure("weight_saturated", "clipped",
               "Weights at an end of the integers' range, and off by more than half a step.",
               form="count", better="low", heads=(("weights", "clipped"),)),
        Figure("weight_overflowed", "overflowed",
               "Weights that are infinite or NaN now, and were not.",
               form="count", better="low", heads=(("weights", "overflowed"),)),
    ),
    of=_of, per_model=True,
)  # fmt: skip
