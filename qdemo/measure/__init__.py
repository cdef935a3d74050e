"""How far two things are apart: each measure is a file, and a line here."""

from qdemo.measure import cost, layers, logits, outputs, overflow, parameters

MEASURES = (
    cost.SIZE,
    cost.TIME,
    logits.MEASURE,
    outputs.MEASURE,
    parameters.MEASURE,
    layers.MEASURE,
    overflow.MEASURE,
)
"""In the order of their columns."""

FIGURES = tuple(figure for measure in MEASURES for figure in measure.figures)
