"""Figures of the lab's pages; plain numbers in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape  # plotly takes text for markup
from typing import Any

import plotly.graph_objects as go

from qdemo.spec.messages import say
from qdemo.views.axes import ticks, written
from qdemo.views.colours import ALARM, INK, MARKS, of_line
from qdemo.views.numbers import short, significant
from qdemo.views.plots import DASHES, LEGEND, NO_NAME, styled
from qdemo.views.plots import error_sizes as error_titles

_SHORT = {"l": 60, "r": 20, "t": 44, "b": 56}
"""Margins of a figure without a row of names."""

_BELOW = LEGEND | {"orientation": "v"}
"""Names below the figure, below each other."""

Lines = Mapping[str, tuple[Sequence[float], Sequence[float]]]


def spacing(lines: Lines) -> go.Figure:
    """How far each number is from the next, relative to it, over the range that a format has."""
    hover = say("at {size}: a step of {step} of it", size="%{x:.2g}", step="%{y:.2g}")
    return styled(
        _lines(lines, hover),
        (
            say("Range and precision"),
            say("size of the number"),
            say("step to the next, relative"),
        ),
        height=420,
        xaxis=written(range(-48, 49, 16)),
        yaxis=written(range(-20, 3, 2)) | {"autorange": "reversed"},
    )


def dot_errors(lengths: Sequence[int], errors: Mapping[str, Sequence[float]]) -> go.Figure:
    """The relative error of a dot product as the vectors grow."""
    lines = {way: (lengths, [max(e, 1e-9) for e in found]) for way, found in errors.items()}
    hover = say("{count} numbers: {error}", count="%{x:,}", error="%{y:.2g}")
    return styled(
        _lines(lines, hover),
        (
            say("Error of x · x as the vector grows"),
            say("numbers in the vector"),
            say("relative error"),
        ),
        height=380,
        xaxis=written(range(9)),
        yaxis=written(range(-10, 3, 2)),
        legend=LEGEND | {"traceorder": "reversed"},  # from above, as the lines end
    )


def _lines(lines: Lines, hover: str, shape: str = "linear") -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "x": list(x),
            "y": list(y),
            "mode": "lines",
            "line": {
                "color": of_line(name),
                "dash": DASHES[i % len(DASHES)],
                "width": 2.5,
                "shape": shape,
            },
            "hovertemplate": hover,
        }
        for i, (name, (x, y)) in enumerate(lines.items())
    ]


def staircase(
    weights: Sequence[float], w_hat: Sequence[float], levels: Sequence[float]
) -> go.Figure:
    """The weights that share a scale, each beside the level that it snaps to."""
    x, y = _stairs(levels)
    every = {
        "name": say("every number"), "x": x, "y": y, "mode": "lines", "hoverinfo": "skip",
        "line": {"color": INK, "width": 1.5},
    }  # fmt: skip
    these = {
        "name": say("these weights"), "x": list(weights), "y": list(w_hat), "mode": "markers",
        "marker": {"color": MARKS[0], "size": 10, "symbol": "circle"},
        "hovertemplate": say("w = {w} becomes {level}", w="%{x:.4g}", level="%{y:.4g}") + NO_NAME,
    }  # fmt: skip
    return styled([every, these], (say("What each weight snaps to"), "w", "ŵ"), height=380)


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
    areas = [
        {
            "name": name, "x": [clip for clip, _, _ in errors], "y": [tried[i] for tried in errors],
            "mode": "lines", "stackgroup": "error", "line": {"color": colour},
            "hovertemplate": "%{x:.0%}: %{y:.4g}",
        }
        for i, name, colour in ((1, say("rounding"), MARKS[0]), (2, say("clipping"), MARKS[1]))
    ]  # fmt: skip
    marks = [(chosen, say("chosen"), "solid"), (best, say("least error"), "dot")]
    if abs(chosen - best) < 0.005:
        marks = [(chosen, say("chosen, and least error"), "solid")]
    return styled(
        areas,
        (
            say("Finer steps against clipped weights"),
            say("range kept"),
            say("squared error, summed"),
        ),
        height=380,
        xaxis={"tickformat": ".0%"},
        shapes=[_upright(at, dash) for at, _, dash in marks],
        annotations=[
            _beside(at, text) | {"yshift": -20 * row} for row, (at, text, _) in enumerate(marks)
        ],
    )


def _upright(at: float, dash: str) -> dict[str, Any]:
    """A line over the whole height."""
    line = {"dash": dash, "width": 2, "color": MARKS[2]}
    return {"x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "y domain", "line": line}


def _beside(at: float, text: str) -> dict[str, Any]:
    """Words at the top of such a line, on the side that has more room."""
    side = "right" if at > 0.5 else "left"
    return {
        "x": at, "xanchor": side, "y": 1, "yref": "y domain", "yanchor": "top", "text": text,
        "showarrow": False,
    }  # fmt: skip


def error_sizes(found: Lines) -> go.Figure:
    """Histograms of log10(|error| / rms(w)), one way beside the other, named from the left."""
    order = sorted(found.items(), key=lambda line: _middle(*line[1]))
    return styled(
        _lines(dict(order), say("{share} of the weights", share="%{y:.1%}"), shape="hv"),
        error_titles(),
        height=400,
        xaxis=ticks(range(-8, 3, 2)),
        yaxis={"tickformat": ".0%"},
    )


def _middle(x: Sequence[float], y: Sequence[float]) -> float:
    """Where a histogram has its weight."""
    return sum(at * height for at, height in zip(x, y, strict=True)) / (sum(y) or 1)


def headroom(model: str, peaks: Sequence[tuple[str, float]], limit: float) -> go.Figure:
    """The largest |activation| of each layer as a bar that grows towards the end of fp16."""
    names, sizes = [name for name, _ in peaks], [size for _, size in peaks]
    rows = list(range(len(peaks), 0, -1))  # plotly counts from below
    bars = {
        "type": "bar", "orientation": "h", "x": sizes, "y": rows, "width": 0.42,
        "name": say("largest |activation|"), "customdata": names, "showlegend": False,
        "marker": {"color": [ALARM if size > limit else MARKS[0] for size in sizes]},
        "text": [f"{significant(size)} ({size / limit:.2%})" for size in sizes],
        "textposition": "outside", "cliponaxis": False, "textfont": {"size": 14},
        "constraintext": "none",
        "hovertemplate": "%{customdata}<br>%{text}" + NO_NAME,
    }  # fmt: skip
    low, end = math.floor(math.log10(min([1.0, *filter(None, sizes)]))), math.log10(limit)
    high = max(5.6, math.log10(max([1.0, *sizes])) + 1)
    return styled(
        [bars],
        (
            say("Headroom: the ten largest layers of {model}", model=model),
            say("largest |activation|, and its share of {limit}", limit=f"{limit:,.0f}"),
            "",
        ),
        height=120 + 46 * len(peaks),
        xaxis=written(range(low, math.ceil(high) + 1)) | {"range": [low, high]},
        yaxis={"visible": False, "range": [0.4, len(peaks) + 1.4]},
        margin={"l": 12, "r": 12, "t": 44, "b": 60},
        shapes=[
            _upright(limit, "solid") | {"line": {"width": 2, "color": ALARM}},
            _upright(limit, "solid")
            | {"type": "rect", "x1": 10**high, "line": {"width": 0}, "fillcolor": ALARM,
               "opacity": 0.12, "layer": "below"},
        ],
        annotations=[
            *(_over(name, row, low) for name, row in zip(names, rows, strict=True)),
            _beside(end, say("fp16 ends")) | {"xanchor": "right", "font": {"color": ALARM}},
        ],
    )  # fmt: skip


def _over(name: str, row: int, left: float) -> dict[str, Any]:
    """The name of a layer over its bar: there is room for it on a phone too."""
    return {
        "x": left, "xanchor": "left", "y": row + 0.2, "yanchor": "bottom", "text": escape(name),
        "showarrow": False,
    }  # fmt: skip


def training(losses: Mapping[str, tuple[int, Sequence[float]]]) -> go.Figure:
    """The loss of a model that is trained in each way: the step it begins at, and its losses."""
    lines = {
        name: (range(begin, begin + len(found)), [short(loss) or 0.0 for loss in found])
        for name, (begin, found) in losses.items()
    }
    drawn = _lines(lines, say("step {step}: loss {loss}", step="%{x}", loss="%{y:.4f}"))
    last = {"legendrank": 2000}  # what is trained first ends lowest
    return styled(
        [line | (last if i == 0 else {}) for i, line in enumerate(drawn)] or [_nothing()],
        (say("Loss while training"), say("step"), say("cross entropy, nats")),
        height=400,
        xaxis={"range": [0, 800]},
        yaxis=written(range(-3, 2)) | {"range": [-3, 1]},
        margin=_SHORT | {"b": 130},
        legend=_BELOW,
    )


def flips(counts: Sequence[int]) -> go.Figure:
    """How many integers became another one at each step."""
    bars = {
        "type": "bar", "name": say("integers that changed"), "x": list(range(1, len(counts) + 1)),
        "y": list(counts), "marker": {"color": MARKS[0]}, "showlegend": False,
        "hovertemplate": say("step {step}: {count}", step="%{x}", count="%{y}") + NO_NAME,
    }  # fmt: skip
    titles = (say("Integers that flip"), say("step through the rounding"), say("integers"))
    return styled(
        [bars if counts else _nothing()],
        titles,
        height=260,
        xaxis={"range": [0, 200]},
        margin=_SHORT,
    )


def _nothing() -> dict[str, Any]:
    """A line without a point: a figure without any line is not drawn."""
    return {
        "x": [0], "y": [None], "name": say("nothing yet"), "showlegend": False, "hoverinfo": "skip",
    }  # fmt: skip
