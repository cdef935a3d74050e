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
    marks = [(chosen, "chosen", "solid"), (best, "least error", "dot")]
    if abs(chosen - best) < 0.005:
        marks = [(chosen, "chosen, and least error", "solid")]
    for at, text, dash in marks:
        figure.add_vline(
            x=at, line={"dash": dash, "width": 2, "color": COLOURS[4]}, annotation_text=text,
            annotation_position="top left" if at > 0.5 else "top right",
        )  # fmt: skip
    figure.update_xaxes(tickformat=".0%")
    title = "Finer steps against clipped weights"
    return styled(figure, title, "range kept", "squared error, summed", 380)


def error_sizes(found: Lines) -> go.Figure:
    """Histograms of log10(|error| / rms(w)), one way beside the other."""
    figure = _lines(found, "%{y:.1%} of the weights")
    figure.update_traces(line_shape="hv")
    ticks = range(-9, 3)
    figure.update_xaxes(tickvals=list(ticks), ticktext=[f"10<sup>{n}</sup>" for n in ticks])
    figure.update_yaxes(tickformat=".0%")
    x, y = "|error| / RMS of the weights", "weights per tenth of a decade"
    return styled(figure, "Size of the errors", x, y, 400)


def training(losses: Mapping[str, Sequence[float]]) -> go.Figure:
    """The loss of a model that is trained, step by step, in each way."""
    lines = {name: (range(len(found)), found) for name, found in losses.items()}
    figure = _lines(lines, "step %{x}: loss %{y:.4f}")
    figure.update_yaxes(type="log", exponentformat="none")
    return styled(figure, "Loss while training", "step", "cross entropy, nats", 400)


def flips(counts: Sequence[int]) -> go.Figure:
    """How many integers became another one at each step."""
    figure = go.Figure()
    figure.add_bar(
        name="integers that changed", x=list(range(1, len(counts) + 1)), y=list(counts),
        marker={"color": COLOURS[3]}, hovertemplate="step %{x}: %{y}<extra></extra>",
    )  # fmt: skip
    return styled(figure, "Integers that flip", "step", "integers", 400)
