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


def staircase(
    weights: Sequence[float], w_hat: Sequence[float], levels: Sequence[float]
) -> go.Figure:
    """The weights that share a scale, each beside the level that it snaps to."""
    figure = go.Figure()
    x, y = _stairs(levels)
    figure.add_scatter(
        name="every number", x=x, y=y, mode="lines", hoverinfo="skip",
        line={"color": COLOURS[0], "width": 1.5},
    )  # fmt: skip
    figure.add_scatter(
        name="these weights", x=list(weights), y=list(w_hat), mode="markers",
        marker={"color": COLOURS[1], "size": 10, "symbol": "circle"},
        hovertemplate="w = %{x:.4g} becomes %{y:.4g}<extra></extra>",
    )  # fmt: skip
    return styled(figure, "What each weight snaps to", "w", "ŵ", 380)


def _stairs(levels: Sequence[float]) -> tuple[list[float], list[float]]:
    """Each level from half a step below to half a step above; the ends go on a little."""
    if len(levels) < 2:
        return list(levels), list(levels)
    step = levels[1] - levels[0]
    x = [edge for level in levels for edge in (level - step / 2, level + step / 2)]
    y = [level for level in levels for _ in range(2)]
    return [x[0] - 2 * step, *x[1:-1], x[-1] + 2 * step], y


def clipping(errors: Sequence[tuple[float, float, float]], chosen: float, best: float) -> go.Figure:
    """Rounding and clipping error for each share of the range, the chosen and the best marked."""
    figure = go.Figure()
    x = [clip for clip, _, _ in errors]
    for i, name in ((1, "rounding"), (2, "clipping")):
        figure.add_scatter(
            name=name, x=x, y=[tried[i] for tried in errors], mode="lines", stackgroup="error",
            line={"color": COLOURS[(0, 1, 5)[i]]}, hovertemplate="%{x:.0%}: %{y:.4g}",
        )  # fmt: skip
    for at, text, dash in ((chosen, "chosen", "solid"), (best, "least error", "dot")):
        figure.add_vline(
            x=at, line={"dash": dash, "width": 2, "color": COLOURS[4]}, annotation_text=text,
            annotation_position="top left" if at > 0.5 else "top right",
        )  # fmt: skip
    figure.update_xaxes(tickformat=".0%")
    title = "Cut the range: finer steps against clipped weights"
    return styled(figure, title, "range kept", "squared error, summed", 380)
