"""Figures of the page on methods: levels, ranges, columns; plain numbers in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import plotly.graph_objects as go

from qdemo.spec.messages import say
from qdemo.views.colours import INK, MARKS, of_line
from qdemo.views.numbers import percent, short
from qdemo.views.plots import DASHES, NO_NAME, styled

Numbers = Sequence[float]
Line = tuple[Numbers, Numbers]

_SHORT = {"l": 60, "r": 20, "t": 44, "b": 56}
"""Margins of a figure without a row of names."""


def levels_over(grid: str, levels: Numbers, middles: Numbers, shares: Numbers) -> go.Figure:
    """The levels of a grid over the histogram of the weights that they are for."""
    bars = {
        "type": "bar", "name": say("weights"), "x": list(middles), "y": list(map(short, shares)),
        "marker": {"color": INK}, "showlegend": False,
        "hovertemplate": say("{share} of the weights", share="%{y:.1%}") + NO_NAME,
    }  # fmt: skip
    return styled(
        [bars],
        (
            say("The {count} levels of {grid} over the weights", count=len(levels), grid=grid),
            say("w / absmax of its block"),
            say("share of the weights"),
        ),
        height=340,
        bargap=0,
        margin=_SHORT,
        xaxis={"range": [-1.06, 1.06], "dtick": 0.5},
        yaxis={"tickformat": ".0%"},
        shapes=[_upright(level, of_line(grid)) for level in levels],
    )


def _upright(at: float, colour: str, dash: str = "solid") -> dict[str, Any]:
    """A line over the whole height."""
    line = {"dash": dash, "width": 2, "color": colour}
    return {"x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "y domain", "line": line}


def _level(at: float, colour: str, dash: str = "dash") -> dict[str, Any]:
    """A line over the whole width."""
    line = {"dash": dash, "width": 2, "color": colour}
    return {"x0": 0, "x1": 1, "xref": "x domain", "y0": at, "y1": at, "line": line}


def _marked(at: float, text: str, row: int = 0) -> dict[str, Any]:
    """Words at the top of an upright line, on the side that has more room."""
    return {
        "x": at, "xanchor": "left", "xshift": 5, "y": 1, "yref": "y domain", "yanchor": "top",
        "yshift": -20 * row, "text": text, "showarrow": False,
    }  # fmt: skip


def snapping(grid: str, levels: Numbers, units: Numbers, snapped: Numbers) -> go.Figure:
    """Each weight above, and the level below that it becomes."""
    pairs = list(zip(units, snapped, strict=True))
    ways = {
        "name": say("becomes"), "mode": "lines", "hoverinfo": "skip", "showlegend": False,
        "x": [short(x) for unit, level in pairs for x in (unit, level, None)],
        "y": [y for _ in pairs for y in (1, 0, None)],
        "line": {"color": INK, "width": 1},
    }  # fmt: skip
    these = {
        "name": say("weights"), "mode": "markers", "x": list(map(short, units)),
        "y": [1] * len(pairs), "customdata": list(map(short, snapped)), "showlegend": False,
        "marker": {"color": MARKS[0], "size": 9, "symbol": "circle"},
        "hovertemplate": say("{w} becomes {level}", w="%{x}", level="%{customdata}") + NO_NAME,
    }  # fmt: skip
    there = {
        "name": say("levels"), "mode": "markers", "x": list(map(short, levels)),
        "y": [0] * len(levels), "showlegend": False, "hovertemplate": "%{x}" + NO_NAME,
        "marker": {"color": of_line(grid), "size": 18, "symbol": "line-ns",
                   "line": {"width": 3, "color": of_line(grid)}},
    }  # fmt: skip
    return styled(
        [ways, these, there],
        (say("The first block snaps to levels"), say("w / absmax of its block"), ""),
        height=340,
        margin=_SHORT,
        xaxis={"range": [-1.06, 1.06], "dtick": 0.5},
        yaxis={
            "range": [-0.25, 1.25], "tickvals": [0, 1], "ticktext": [say("levels"), say("weights")],
        },
    )  # fmt: skip


def held_scales(found: Mapping[str, Numbers]) -> go.Figure:
    """How large the scale of each block is that is held, beside the one that is wanted."""
    symbols = ("square", "circle", "diamond")
    dots = [
        {
            "name": name, "mode": "markers", "x": list(range(1, len(ratios) + 1)),
            "y": list(map(short, ratios)),
            "marker": {"color": of_line(name), "size": 12, "symbol": symbols[i]},
            "hovertemplate": say("block {number}: {ratio}", number="%{x}", ratio="%{y:.3f}"),
        }
        for i, (name, ratios) in enumerate(found.items())
    ]  # fmt: skip
    return styled(
        dots,
        (
            say("Held scales beside wanted ones"),
            say("block"),
            say("held / wanted"),
        ),
        height=340,
        xaxis={"dtick": max(1, max(map(len, found.values())) // 12)},
        yaxis={"range": [0.68, 1.58]},
        shapes=[_level(1, INK)],
        annotations=[_said(1.5, say("coarser steps")), _said(0.75, say("clipped"))],
    )


def _said(at: float, text: str) -> dict[str, Any]:
    """Words at the right end of a height."""
    return {
        "x": 1, "xref": "x domain", "xanchor": "right", "y": at, "text": text, "showarrow": False,
    }  # fmt: skip


def search(shares: Numbers, powers: Numbers, squares: Numbers, chosen: float) -> go.Figure:
    """The error of each range that was tried, beside that of the whole range."""
    lines = [
        _line(name, shares, _beside(errors), i)
        for i, (name, errors) in enumerate(((say("Σ|e|^2.4"), powers), (say("Σe²"), squares)))
    ]
    hover = say("{share} of the range: {error}", share="%{x:.0%}", error="%{y:.0%}")
    return styled(
        [line | {"hovertemplate": hover} for line in lines],
        (
            say("Forty ranges, and the one with the least error"),
            say("part of the range kept"),
            say("error, 100%: the whole range"),
        ),
        height=360,
        xaxis={"tickformat": ".0%", "range": [0.2, 1.02]},
        yaxis={"tickformat": ".0%", "range": [0, 2]},
        shapes=[_upright(chosen, MARKS[2])],
        annotations=[
            _marked(chosen, say("chosen: {share}", share=percent(round(chosen, 2))))
            | ({"xanchor": "right", "xshift": -5} if chosen > 0.5 else {})
        ],
    )


def _beside(errors: Numbers) -> list[float | None]:
    """In units of the first; without any error there is nothing to see."""
    return [short(error / errors[0]) if errors[0] else None for error in errors]


def _line(name: str, x: Numbers, y: Sequence[float | None], i: int) -> dict[str, Any]:
    return {
        "name": name, "x": list(map(short, x)), "y": list(map(short, y)), "mode": "lines",
        "line": {"color": MARKS[i], "dash": DASHES[i], "width": 2.5},
    }  # fmt: skip


def zero_points(moves: Sequence[Numbers]) -> go.Figure:
    """How far each row's zero point has moved, a step after the other: `moves` by row."""
    lines = [
        {
            "name": say("row {row}", row=row), "x": list(range(len(moved))),
            "y": list(map(short, moved)), "mode": "lines+markers", "showlegend": False,
            "line": {"color": MARKS[0], "width": 2, "dash": DASHES[(row - 1) % len(DASHES)]},
            "hovertemplate": say("step {step}: {moved}", step="%{x}", moved="%{y:+.3f}"),
        }
        for row, moved in enumerate(moves, 1)
    ]  # fmt: skip
    ends = [
        _end(len(moved) - 1, moved[-1], say("row {row}", row=row)) for row, moved in _apart(moves)
    ]
    return styled(
        lines,
        (say("The zero point of each row moves"), say("step"), say("moved, in steps of the scale")),
        height=340,
        margin=_SHORT,
        xaxis={"dtick": 1, "range": [-0.1, max(1.6, 1.17 * (len(moves[0]) - 1) + 0.1)]},
        annotations=ends,
    )


def _apart(moves: Sequence[Numbers]) -> list[tuple[int, Numbers]]:
    """Rows, from 1 on, whose ends are so far apart that a number fits beside each."""
    ends = [moved[-1] for moved in moves]
    room = (max(ends) - min(ends)) / 14
    found: list[tuple[int, Numbers]] = []
    for row, moved in sorted(enumerate(moves, 1), key=lambda one: one[1][-1]):
        if not found or moved[-1] - found[-1][1][-1] >= room:
            found.append((row, moved))
    return found


def _end(x: float, y: float, text: str) -> dict[str, Any]:
    return {
        "x": x, "y": y, "text": text, "xanchor": "left", "xshift": 8, "showarrow": False,
    }  # fmt: skip


def falling(means: Numbers, rms: Numbers) -> go.Figure:
    """The error of the whole matrix after each step, beside that before the first."""
    steps = range(len(means))
    lines = [
        _line(name, steps, _beside(errors), i)
        | {"mode": "lines+markers", "hovertemplate": say("step {step}: {error}", step="%{x}",
                                                         error="%{y:.1%}")}
        for i, (name, errors) in enumerate(((say("mean |e|"), means), (say("RMS of e"), rms)))
    ]  # fmt: skip
    return styled(
        lines,
        (say("And the error falls"), say("step"), say("error, 100%: before")),
        height=340,
        xaxis={"dtick": 1},
        yaxis={"tickformat": ".0%"},
    )


def walk(found: Numbers, nearest: Numbers, at: int) -> go.Figure:
    """The output error after each column, of GPTQ and of rounding to nearest."""
    steps = range(len(found))
    lines = [
        _line(name, steps, errors, i)
        | {"mode": "lines+markers", "hovertemplate": say("{count} columns: {error}", count="%{x}",
                                                         error="%{y:.1%}")}
        for i, (name, errors) in enumerate((("GPTQ", found), (say("to nearest"), nearest)))
    ]  # fmt: skip
    return styled(
        lines,
        (say("The error of the outputs"), say("columns rounded"), say("‖X(Ŵ − W)ᵀ‖ / ‖XWᵀ‖")),
        height=340,
        xaxis={"dtick": 1},
        yaxis={"tickformat": ".0%", "rangemode": "tozero"},
        shapes=[_upright(at, MARKS[2], "dot")],
    )


def super_block(
    format: str, w: Sequence[Numbers], values: Sequence[Numbers], levels: Sequence[Numbers]
) -> go.Figure:
    """The weights of each block, and the levels that its scale and its minimum give it."""
    blocks = range(1, len(w) + 1)
    rungs = [(block, level) for block, own in zip(blocks, levels, strict=True) for level in own]
    ladder = {
        "name": say("levels"), "mode": "lines", "hoverinfo": "skip",
        "x": [x for block, _ in rungs for x in (block - 0.35, block + 0.35, None)],
        "y": [y for _, level in rungs for y in (short(level), short(level), None)],
        "line": {"color": of_line(format), "width": 2},
    }  # fmt: skip
    dots = {
        "name": say("weights"), "mode": "markers",
        "x": [block for block, own in zip(blocks, w, strict=True) for _ in own],
        "y": [short(one) for own in w for one in own],
        "customdata": [short(one) for own in values for one in own],
        "marker": {"color": MARKS[0], "size": 6, "symbol": "circle"},
        "hovertemplate": say("{w} becomes {level}", w="%{y}", level="%{customdata}"),
    }  # fmt: skip
    return styled(
        [ladder, dots],
        (say("Each block has levels of its own"), say("block"), say("weight")),
        height=420,
        xaxis={"dtick": 1, "range": [0.5, len(w) + 0.5]},
    )
