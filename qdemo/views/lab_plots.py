"""Figures of the lab's pages; plain numbers in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from qdemo.views.plots import COLOURS, DASHES, styled

Lines = Mapping[str, tuple[Sequence[float], Sequence[float]]]


def spacing(lines: Lines) -> go.Figure:
    """How far each number is from the next, relative to it, over the range that a format has."""
    figure = _lines(lines, "at %{x:.2g}: a step of %{y:.2g} of it")
    figure.update_xaxes(type="log", exponentformat="power", dtick=8)
    figure.update_yaxes(type="log", exponentformat="power", autorange="reversed")
    return styled(
        figure, "Range and precision", "size of the number", "step to the next, relative", 420
    )


def dot_errors(lengths: Sequence[int], errors: Mapping[str, Sequence[float]]) -> go.Figure:
    """The relative error of a dot product as the vectors grow."""
    lines = {way: (lengths, [max(e, 1e-9) for e in found]) for way, found in errors.items()}
    figure = _lines(lines, "%{x:,} numbers: %{y:.2g}")
    figure.update_xaxes(type="log", exponentformat="power")
    figure.update_yaxes(type="log", exponentformat="power")
    return styled(
        figure, "Error of x · x as the vector grows", "numbers in the vector", "relative error", 380
    )


def _lines(lines: Lines, hover: str) -> go.Figure:
    figure = go.Figure()
    for i, (name, (x, y)) in enumerate(lines.items()):
        figure.add_scatter(
            name=name,
            x=list(x),
            y=list(y),
            mode="lines",
            line={"color": COLOURS[i], "dash": DASHES[i % len(DASHES)], "width": 2.5},
            hovertemplate=hover,
        )
    return figure
