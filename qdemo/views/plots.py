"""Figures of a report. Backgrounds are clear and text has no colour of its own: CSS sets both.

A figure is made of plain dictionaries at once: piece by piece, plotly takes ten times as long.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape  # plotly takes text for markup
from itertools import cycle, islice
from typing import Any

import plotly.graph_objects as go
from plotly.io.json import to_json_plotly

from qdemo.spec.messages import say
from qdemo.spec.report import Histogram, Report, Trial
from qdemo.spec.request import MAX_TOKENS
from qdemo.views.axes import powers, ticks
from qdemo.views.colours import INK, colour
from qdemo.views.exceptions import labels
from qdemo.views.memory import CACHE, held_by, title
from qdemo.views.numbers import megabytes, short, significant

DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_KINDS = {
    "quantized weights": "",
    "scales and zero points": "x",
    "float weights": "/",
    "buffers": ".",
    CACHE: "-",
}
"""How kinds of bytes are hatched, in ink: colours are the formats'."""

_PATTERN = {"bgcolor": "rgba(0,0,0,0)", "fgcolor": INK, "fgopacity": 1, "size": 8, "solidity": 0.3}
Plain = dict[str, Any]
"""A part of a figure as plotly's own JSON, which plotly checks when the figure is made."""

NO_NAME = "<extra></extra>"
"""Ends what is shown over a point where the name of its line says nothing more."""

DECADES: Plain = ticks(range(-10, 3, 2))
"""An axis on which there are logarithms already."""

_MARGIN = {"l": 66, "r": 26, "t": 44, "b": 84}
"""Room for numbers, titles and a row of names. A figure that needs more grows it by itself, but
then a browser draws it twice: by far the longest part of a click on another layer."""

LEGEND: Plain = {
    "orientation": "h", "traceorder": "normal", "yref": "container", "y": 0, "yanchor": "bottom",
    "x": 0,
}  # fmt: skip
"""Names below a figure, beside each other."""

_SMALLEST_KL = 1e-12
"""What is less is drawn here: a log axis has no zero, and fp64 knows no less of a KL."""


def for_browser(figure: go.Figure) -> str:
    """The figure as JSON, without the bar of buttons, which is ten stops for the tab key."""
    plain = figure.to_plotly_json()
    return str(to_json_plotly(plain | {"config": {"displayModeBar": False, "responsive": True}}))


def memory(report: Report) -> go.Figure:
    """Bytes held, by kind, one stacked bar a format."""
    trials = report.results[::-1]  # plotly draws from below
    names = labels([trial.format for trial in trials])
    bars = []
    for kind, shape in _KINDS.items():
        sizes = [held_by(report, trial)[kind] for trial in trials]
        shown = {"format": "%{y}", "size": "%{customdata}", "kind": say(kind)}
        if any(sizes):
            bars.append(
                {
                    "type": "bar",
                    "name": shown["kind"],
                    "y": names,
                    "x": [size / 1e6 for size in sizes],
                    "orientation": "h",
                    "marker": {
                        "color": INK,
                        "pattern": _PATTERN | {"shape": shape},
                        "line": {"color": INK, "width": 1},
                    },
                    "customdata": [megabytes(size) for size in sizes],
                    "hovertemplate": say("{format}: {size} of {kind}", **shown) + NO_NAME,
                }
            )
    return styled(
        bars,
        (title(report), say("MB (1,000,000 bytes)"), ""),
        # Where it is narrow each kind has a line of the legend, and three have room anyway.
        height=110 + 42 * len(trials) + 40 * max(0, len(bars) - 3),
        barmode="stack",
        bargap=0.35,
        yaxis={"ticklabelstandoff": 6, "dtick": 1},
        annotations=[
            _total(name, sum(held_by(report, one).values()))
            for name, one in zip(names, trials, strict=True)
        ],
    )


def _total(format: str, size: int) -> Plain:
    """All bytes of a format, at the end of its bar."""
    return {
        "x": size / 1e6, "y": format, "text": megabytes(size), "showarrow": False,
        "xanchor": "left", "xshift": 4,
    }  # fmt: skip


def logits(report: Report) -> go.Figure:
    """KL divergence at each position of fp32's answer, or of the text that is scored."""
    pieces = report.results[0].pieces if report.results else ()
    lines = [
        {
            "name": name,
            "x0": 1,
            "y": [None if kl is None else short(max(kl, _SMALLEST_KL)) for kl in differences],
            "mode": "lines+markers",
            **_told_over(pieces, differences),
            **style,
        }
        for trial, style, name in _named(report)
        for differences in [trial.by_position["kl_by_position"]]
    ]
    by = say("token of the text") if report.is_scored else say("token of fp32's answer")
    return styled(
        lines,
        (say("Difference from fp32 at each token"), by, say("KL, nats")),
        xaxis={
            "tickformat": "d",
            "dtick": _tick(len(pieces)),
            "range": [0.5, len(pieces) + 0.5],
        },
        yaxis=powers(kl for line in lines for kl in line["y"]),
    )


def _told_over(pieces: Sequence[str], differences: Sequence[float | None]) -> Plain:
    """What is read over a point: of a long text the number of the token alone, as the tokens of
    each line would be sent."""
    if len(pieces) > MAX_TOKENS:
        told = say("token {position}: {kl} nats", position="%{x}", kl="%{y:.2~e}")
        return {"hovertemplate": told}
    told = say(
        "token {position} {token}: {kl} nats",
        position="%{x}",
        token="%{customdata[0]}",
        kl="%{customdata[1]}",
    )
    both = zip(pieces, differences, strict=True)
    return {
        "customdata": [[escape(piece), significant(kl)] for piece, kl in both],
        "hovertemplate": told,
    }


def weights(report: Report, parameter: str) -> go.Figure:
    """How large the errors are beside the weights, binned as log10(|error| / rms(weights))."""
    return styled(
        _stairs(report, parameter),
        error_sizes(),
        height=400,
        xaxis=DECADES,
        yaxis={"rangemode": "tozero"},
    )


def error_sizes() -> tuple[str, str, str]:
    """The titles of a histogram of errors, on a log axis."""
    return (
        say("Size of the errors"),
        say("|error| / RMS of the weights"),
        say("weights per tenth of a decade"),
    )


def styles(report: Report) -> list[Plain]:
    """A colour and a dash for each variant: not told apart by colour alone."""
    dashes = islice(cycle(DASHES), len(report.variants))
    return [
        {"line": {"color": colour(trial.format), "dash": dash, "width": 2.5}}
        for trial, dash in zip(report.variants, dashes, strict=True)
    ]


def _named(report: Report) -> Iterable[tuple[Trial, Plain, str]]:
    """Each variant with its line, and what it is called."""
    names = labels([trial.format for trial in report.variants])
    return zip(report.variants, styles(report), names, strict=True)


def _stairs(report: Report, parameter: str) -> list[Plain]:
    """A histogram of each variant."""
    return [
        {
            "name": name,
            **_stair(trial.weights[parameter].log_histogram),
            "mode": "lines",
            "hovertemplate": say("{count} weights", count="%{y:.3s}"),
            "line": style["line"] | {"shape": "hv"},
        }
        for trial, style, name in _named(report)
        if parameter in trial.weights
    ]


def _stair(histogram: Histogram) -> Plain:
    """Where the bins begin and how much each holds, its last value twice: so it has a width too."""
    y = [count or None for count in histogram.counts]
    return {"x0": histogram.start, "dx": histogram.bin_width, "y": [*y, *y[-1:]]}


def _tick(count: int) -> int:
    return max(1, round(count / 12))


def styled(
    traces: Sequence[Plain],
    titles: tuple[str, str, str],
    height: int = 330,
    xaxis: Plain | None = None,
    yaxis: Plain | None = None,
    **layout: Any,
) -> go.Figure:
    """The traces with the look that all figures share; `titles` are the figure's and its axes'."""
    title, x, y = titles
    clear = "rgba(0,0,0,0)"
    look = {
        "template": "none",
        "title": {"text": title, "x": 0, "xanchor": "left", "font": {"size": 17}},
        "height": height,
        "margin": _MARGIN,
        "paper_bgcolor": clear,
        "plot_bgcolor": clear,
        "font": {"family": "Source Sans Pro, sans-serif", "size": 15},
        "legend": LEGEND,
        "showlegend": True,
        "hovermode": "closest",
        "xaxis": axis(x) | (xaxis or {}),
        "yaxis": axis(y) | (yaxis or {}),
    }
    return go.Figure({"data": list(traces), "layout": look | layout})


def axis(title: str) -> Plain:
    """An axis with that title, and what all axes share."""
    return {
        "automargin": True,
        "gridcolor": "rgba(128,128,128,0.25)",
        "zeroline": False,
        "title": {"text": title, "standoff": 8},
    }
