"""Figures of columns for the page on methods: sizes as bars, and errors over what is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from qdemo.spec.messages import say
from qdemo.views.colours import INK, MARKS
from qdemo.views.numbers import short
from qdemo.views.plots import DASHES, NO_NAME, axis, styled

Numbers = Sequence[float]

_SHORT = {"l": 60, "r": 20, "t": 44, "b": 56}


Pair = tuple[Numbers, Numbers]
"""Before and after."""


def sizes(inputs: Pair, weights: Pair) -> go.Figure:
    """The largest size in each column: of the inputs above, of the weights below. One figure, as
    two take a browser twice as long."""
    below = [bars | {"yaxis": "y2", "showlegend": False} for bars in _pairs(*weights)]
    return styled(
        [*_pairs(*inputs), *below],
        (say("The largest size in each column"), say("column"), "max |x|"),
        height=420,
        xaxis={"dtick": 1, "anchor": "y2"},
        yaxis={"domain": [0.56, 1], "nticks": 5},
        yaxis2=axis("max |w|") | {"domain": [0, 0.44], "nticks": 5},
        bargap=0.3,
        barmode="group",
    )


def _pairs(before: Numbers, after: Numbers) -> list[dict[str, Any]]:
    names = (say("before"), say("after"))
    return [
        {
            "type": "bar", "name": name, "x": list(range(1, len(numbers) + 1)),
            "y": list(map(short, numbers)), "marker": {"color": colour},
            "hovertemplate": say("column {column}: {value}", column="%{x}", value="%{y:.3g}")
            + NO_NAME,
        }
        for name, colour, numbers in zip(names, (INK, MARKS[0]), (before, after), strict=True)
    ]  # fmt: skip


def row(before: Numbers, after: Numbers) -> go.Figure:
    """One row of weights before and after a rotation."""
    return styled(
        _pairs(before, after),
        (say("The row with the largest weight"), say("column"), say("weight")),
        height=360,
        xaxis={"dtick": 1},
        bargap=0.3,
        barmode="group",
    )


def over(
    title: str, x: tuple[str, Numbers], errors: Numbers, plain: tuple[str, float], chosen: float
) -> go.Figure:
    """The output error over what can be chosen, `x` with its name; beside it that of `plain`, with
    its name, which does without the method."""
    name, places = x
    lines = [
        _errors(say("with it"), places, errors, 0),
        _errors(plain[0], [places[0], places[-1]], [plain[1]] * 2, 1),
    ]
    return styled(
        lines,
        (title, name, say("error of the outputs")),
        height=320,
        yaxis={"tickformat": ".2~%", "rangemode": "tozero"},
        shapes=[
            {"x0": chosen, "x1": chosen, "y0": 0, "y1": 1, "yref": "y domain",
             "line": {"dash": "dot", "width": 2, "color": MARKS[2]}}
        ],
    )  # fmt: skip


def _errors(name: str, x: Numbers, y: Numbers, i: int) -> dict[str, Any]:
    return {
        "name": name, "x": list(x), "y": list(map(short, y)), "mode": "lines",
        "line": {"color": MARKS[i], "dash": DASHES[i], "width": 2.5},
        "hovertemplate": "%{x}: %{y:.2%}",
    }  # fmt: skip


def outliers(largest: Numbers, are_floats: Sequence[bool], threshold: float) -> go.Figure:
    """The largest size in each column of the inputs: which of them reach the threshold."""
    columns = range(1, len(largest) + 1)
    kinds = ((say("in int8"), False, MARKS[0]), (say("stays float"), True, MARKS[1]))
    bars = [
        {
            "type": "bar", "name": name, "marker": {"color": colour},
            "x": [c for c, kept in zip(columns, are_floats, strict=True) if kept == is_float],
            "y": [short(size) for size, kept in zip(largest, are_floats, strict=True)
                  if kept == is_float],
            "hovertemplate": say("column {column}: {value}", column="%{x}", value="%{y:.3g}"),
        }
        for name, is_float, colour in kinds
    ]  # fmt: skip
    line = {"dash": "dash", "width": 2, "color": MARKS[2]}
    return styled(
        bars,
        (say("The largest input of each column"), say("column"), say("max |x|")),
        height=320,
        xaxis={"dtick": 1, "range": [0.4, len(largest) + 0.6]},
        bargap=0.3,
        barmode="overlay",
        shapes=[{"x0": 0, "x1": 1, "xref": "x domain", "y0": threshold, "y1": threshold,
                 "line": line}],
        annotations=[{"x": 1, "xref": "x domain", "xanchor": "right", "y": threshold,
                      "yanchor": "bottom", "text": say("threshold"), "showarrow": False}],
    )  # fmt: skip
