"""Figures of a report. Backgrounds are clear and text has no colour of its own: CSS sets both.

A figure is made of plain dictionaries at once: piece by piece, plotly takes ten times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape  # plotly takes text for markup
from itertools import cycle, islice
from typing import Any

import plotly.graph_objects as go
from plotly.io import to_html
from plotly.io.json import to_json_plotly
from plotly.offline import get_plotlyjs

from qdemo.spec.messages import say, say_counted
from qdemo.spec.report import Histogram, Report, Trial
from qdemo.views.colours import colours
from qdemo.views.numbers import megabytes, short, significant

DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_KINDS = {  # a colour and a pattern
    "quantized weights": ("#d97706", ""),
    "scales and zero points": ("#dc2626", "x"),
    "float weights": ("#2563eb", "/"),
    "buffers": ("#64748b", "."),
}
_PATTERN = {"fillmode": "overlay", "fgcolor": "#ffffff", "fgopacity": 0.45, "size": 7}
Plain = dict[str, Any]
"""A part of a figure as plotly's own JSON, which plotly checks when the figure is made."""

NO_NAME = "<extra></extra>"
"""Ends what is shown over a point where the name of its line says nothing more."""

LOG: Plain = {"type": "log", "exponentformat": "power"}
DECADES: Plain = {
    "tickvals": list(range(-9, 3)),
    "ticktext": [f"10<sup>{n}</sup>" for n in range(-9, 3)],
}
"""An axis on which there are logarithms already."""

_MARGIN = {"l": 66, "r": 26, "t": 44, "b": 84}
"""Room for numbers, titles and a row of names. A figure that needs more grows it by itself, but
then a browser draws it twice: by far the longest part of a click on another layer."""

_SMALLEST_KL = 1e-12
"""What is less is drawn here: a log axis has no zero, and fp64 knows no less of a KL."""


def for_browser(figure: go.Figure) -> str:
    """The figure as JSON, without the bar of buttons, which is ten stops for the tab key."""
    plain = figure.to_plotly_json()
    return str(to_json_plotly(plain | {"config": {"displayModeBar": False, "responsive": True}}))


def for_page(figure: go.Figure) -> str:
    """The figure as HTML, for a page that has `script`."""
    config = {"displayModeBar": False, "responsive": True}
    return str(to_html(figure, config=config, full_html=False, include_plotlyjs=False))


def script() -> str:
    """plotly.js, whole, so that the page needs no network."""
    return str(get_plotlyjs())


def memory(report: Report) -> go.Figure:
    """Bytes held, by kind, one stacked bar a format."""
    trials = report.results[::-1]  # plotly draws from below
    bars = []
    for kind, (colour, shape) in _KINDS.items():
        sizes = [trial.footprint.by_kind[kind] for trial in trials]
        shown = {"format": "%{y}", "size": "%{customdata}", "kind": say(kind)}
        if any(sizes):
            bars.append(
                {
                    "type": "bar",
                    "name": shown["kind"],
                    "y": [trial.format for trial in trials],
                    "x": [size / 1e6 for size in sizes],
                    "orientation": "h",
                    "marker": {"color": colour, "pattern": _PATTERN | {"shape": shape}},
                    "customdata": [megabytes(size) for size in sizes],
                    "hovertemplate": say("{format}: {size} of {kind}", **shown) + NO_NAME,
                }
            )
    return styled(
        bars,
        (say("Memory held"), say("MB (1,000,000 bytes)"), ""),
        height=110 + 42 * len(trials),
        barmode="stack",
        bargap=0.35,
    )


def logits(report: Report) -> go.Figure:
    """KL divergence at each position of fp32's answer."""
    pieces = report.results[0].pieces if report.results else ()
    lines = [
        {
            "name": trial.format,
            "x0": 1,
            "y": [None if kl is None else short(max(kl, _SMALLEST_KL)) for kl in differences],
            "mode": "lines+markers",
            "customdata": [
                [escape(piece), significant(kl)]
                for piece, kl in zip(pieces, differences, strict=True)
            ],
            "hovertemplate": say(
                "token {position} {token}: {kl} nats",
                position="%{x}",
                token="%{customdata[0]}",
                kl="%{customdata[1]}",
            ),
            **style,
        }
        for trial, style in zip(report.variants, _styles(report), strict=True)
        for differences in [trial.by_position["kl_by_position"]]
    ]
    return styled(
        lines,
        (say("Difference from fp32 at each token"), say("token of fp32's answer"), say("KL, nats")),
        xaxis={
            "tickformat": "d",
            "dtick": _tick(len(pieces)),
            "range": [0.5, len(pieces) + 0.5],
        },
        yaxis=LOG,
    )


def weights(report: Report, parameter: str) -> go.Figure:
    """What happened to the weights, in one figure: a browser takes as long for two small ones.

    Above, how large the errors are beside the weights, binned as log10(|error| / rms(weights)).
    Below, the errors themselves, around zero, counted per bin of each format's own width. The names
    of the formats belong to both.
    """
    sizes = _stairs(report, parameter, "log_histogram")
    errors = _stairs(report, parameter, "histogram", per_width=True)
    below = {"xaxis": "x2", "yaxis": "y2", "showlegend": False}
    return styled(
        [*sizes, *(trace | below for trace in errors)],
        error_sizes(),
        height=620,
        xaxis=DECADES,
        yaxis={"domain": [0.6, 1]},
        xaxis2=_axis(say("error, unit of the weights"))
        | {"exponentformat": "power", "anchor": "y2"},
        yaxis2=_axis(say("weights per 0.001")) | LOG | {"domain": [0, 0.4]},
        annotations=[_BELOW | {"text": say("Errors around zero")}],
    )


def error_sizes() -> tuple[str, str, str]:
    """The titles of a histogram of errors, on a log axis."""
    return (
        say("Size of the errors"),
        say("|error| / RMS of the weights"),
        say("weights per tenth of a decade"),
    )


_BELOW: Plain = {
    "xref": "paper", "x": 0, "xanchor": "left", "xshift": -67,
    "yref": "paper", "y": 0.4, "yanchor": "bottom", "yshift": 14,
    "showarrow": False, "font": {"size": 17},
}  # fmt: skip


def sqnr_map(report: Report) -> go.Figure:
    """The SQNR of each matrix in each format: what is dark was kept well."""
    trials = report.variants[::-1]
    names = report.matrices
    cells = {
        "type": "heatmap",
        "x": names,
        "y": [trial.format for trial in trials],
        "z": [[_sqnr(trial, name) for name in names] for trial in trials],
        "colorscale": "Viridis",
        "colorbar": {
            "title": {"text": say("dB"), "side": "top"},
            "thickness": 14,
            "outlinewidth": 0,
        },
        "hovertemplate": "%{x}<br>"
        + say("{format}: {decibels} dB", format="%{y}", decibels="%{z:.1f}")
        + NO_NAME,
        "hoverongaps": False,
        "xgap": 1,
        "ygap": 2,
    }
    title = say("Signal to quantization noise, matrix by matrix")
    matrices = say_counted(
        "{count} matrix, from input to output",
        "{count} matrices, from input to output",
        len(names),
        count=len(names),
    )
    return styled(
        [cells],
        (title, matrices, ""),
        height=130 + 34 * len(trials),
        xaxis={"showticklabels": False, "showgrid": False, "ticks": ""},
        yaxis={"showgrid": False, "ticks": ""},
        margin=_MARGIN | {"b": 36},  # it has no numbers and no names below
    )


def _sqnr(trial: Trial, name: str) -> float | None:
    found = trial.weights[name].figures["sqnr_db"] if name in trial.weights else None
    return None if found is None else round(found, 1)  # as it is shown


def _styles(report: Report) -> list[Plain]:
    """A colour and a dash for each variant: not told apart by colour alone."""
    shown = colours(report.formats)
    dashes = islice(cycle(DASHES), len(report.variants))
    return [
        {"line": {"color": shown[trial.format], "dash": dash, "width": 2.5}}
        for trial, dash in zip(report.variants, dashes, strict=True)
    ]


def _stairs(report: Report, parameter: str, key: str, per_width: bool = False) -> list[Plain]:
    """A histogram of each variant; `per_width` makes bins of unlike widths comparable."""
    return [
        {
            "name": trial.format,
            "legendgroup": trial.format,
            **_stair(getattr(trial.weights[parameter], key), per_width),
            "mode": "lines",
            "hovertemplate": say("{count} weights", count="%{y:.3s}"),
            "line": style["line"] | {"shape": "hv"},
        }
        for trial, style in zip(report.variants, _styles(report), strict=True)
        if parameter in trial.weights
    ]


def _stair(histogram: Histogram, per_width: bool) -> Plain:
    """Where the bins begin and how much each holds, its last value twice: so it has a width too."""
    unit = 1000 * histogram.bin_width
    y = [
        (count or None) and (short(count / unit) if per_width else count)
        for count in histogram.counts
    ]
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
        "font": {"family": "Source Sans Pro, sans-serif", "size": 14},
        "legend": {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        "showlegend": True,
        "hovermode": "closest",
        "xaxis": _axis(x) | (xaxis or {}),
        "yaxis": _axis(y) | (yaxis or {}),
    }
    return go.Figure({"data": list(traces), "layout": look | layout})


def _axis(title: str) -> Plain:
    """What all axes share."""
    return {
        "automargin": True,
        "gridcolor": "rgba(128,128,128,0.25)",
        "zeroline": False,
        "title": {"text": title, "standoff": 8},
    }
