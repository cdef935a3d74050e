"""How far two things are apart: each measure is a file, and a line here."""

from qdemo.measure import cost, layers, likelihood, logits, outputs, overflow, parameters
from qdemo.measure.measure import Measure
from qdemo.spec.figure import Figure

MEASURES = (
    cost.SIZE,
    cost.TIME,
    likelihood.MEASURE,
    logits.MEASURE,
    outputs.MEASURE,
    parameters.MEASURE,
    layers.MEASURE,
    overflow.MEASURE,
)
"""In the order of their columns."""

FIGURES = tuple(figure for measure in MEASURES for figure in measure.figures)


def measures(is_scored: bool) -> tuple[Measure, ...]:
    """Those that have something to say of a text that is scored, or else of an answer."""
    when = ("", "scored" if is_scored else "answered")
    return tuple(measure for measure in MEASURES if measure.when in when)


def figures(is_scored: bool) -> tuple[Figure, ...]:
    """What they find, in the order of their columns."""
    return tuple(figure for measure in measures(is_scored) for figure in measure.figures)
