"""Figures of a document. Backgrounds are clear and text has no colour of its own: CSS sets both."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape  # plotly takes text for markup
from itertools import cycle, islice
from typing import Any

import plotly.graph_objects as go
from plotly.io import to_html
from plotly.io.json import to_json_plotly
from plotly.offline import get_plotlyjs

from qdemo.document import Document, matrices, variants
from qdemo.views.wording import megabytes, significant

COLOURS = ("#64748b", "#2563eb", "#9333ea", "#d97706", "#059669", "#dc2626", "#0891b2", "#db2777",
           "#65a30d")  # fmt: skip
"""A colour a format, in the order of the document; grey is fp32."""

DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_KINDS = {
    "integer weights": "#d97706",
    "scales and zero points": "#dc2626",
    "float weights": "#2563eb",
    "buffers": "#64748b",
}
_PATTERN = {"fillmode": "overlay", "fgcolor": "#ffffff", "fgopacity": 0.45, "size": 7}
_SHAPES = {
    "integer weights": "",
    "scales and zero points": "x",
    "float weights": "/",
    "buffers": ".",
}
_DECADES = range(-9, 3)
_SMALLEST_KL = 1e-12
"""What is less is drawn here: a log axis has no zero, and fp64 knows no less of a KL."""


def colours(document: Document) -> dict[str, str]:
    """The colour of each format that was asked for."""
    return dict(zip(document["formats"], cycle(COLOURS), strict=False))


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


def memory(document: Document) -> go.Figure:
    """Bytes held, by kind, one stacked bar a format."""
    results = document["results"][::-1]  # plotly draws from below
    figure = go.Figure()
    for kind, colour in _KINDS.items():
        sizes = [result["footprint"]["by_kind"][kind] for result in results]
        if any(sizes):
            figure.add_bar(
                name=kind,
                y=[result["format"] for result in results],
                x=[size / 1e6 for size in sizes],
                orientation="h",
                marker={"color": colour, "pattern": _PATTERN | {"shape": _SHAPES[kind]}},
                customdata=[megabytes(size) for size in sizes],
                hovertemplate=f"%{{y}}: %{{customdata}} of {kind}<extra></extra>",
            )
    figure.update_layout(barmode="stack", bargap=0.35)
    return styled(figure, "Memory held", "MB (1,000,000 bytes)", "", height=110 + 42 * len(results))


def logits(document: Document) -> go.Figure:
    """KL divergence at each position of fp32's answer."""
    figure = go.Figure()
    pieces = document["results"][0]["pieces"] if document["results"] else []
    for result, style in zip(variants(document), _styles(document), strict=True):
        values = result["kl_by_position"]
        figure.add_scatter(
            name=result["format"],
            x=list(range(1, len(values) + 1)),
            y=[value if value is None else max(value, _SMALLEST_KL) for value in values],
            mode="lines+markers",
            customdata=[
                [escape(piece), significant(value)]
                for piece, value in zip(pieces, values, strict=True)
            ],
            hovertemplate="token %{x} %{customdata[0]}: %{customdata[1]} nats",
            **style,
        )
    figure.update_yaxes(type="log", exponentformat="power")
    figure.update_xaxes(tickformat="d", dtick=_tick(len(pieces)), range=[0.5, len(pieces) + 0.5])
    return styled(
        figure, "Difference from fp32 at each token", "token of fp32's answer", "KL, nats"
    )


def weight_sizes(document: Document, parameter: str) -> go.Figure:
    """How large the errors are beside the weights: a histogram of log10(|error| / rms(weights))."""
    figure = go.Figure()
    for result, style in zip(variants(document), _styles(document), strict=True):
        _add_steps(figure, result, parameter, "log_histogram", style)
    figure.update_xaxes(tickvals=list(_DECADES), ticktext=[f"10<sup>{n}</sup>" for n in _DECADES])
    return styled(
        figure,
        "Size of the errors",
        "|error| / RMS of the weights",
        "weights per tenth of a decade",
    )


def weight_errors(document: Document, parameter: str) -> go.Figure:
    """The errors themselves, around zero, counted per bin of each format's own width."""
    figure = go.Figure()
    for result, style in zip(variants(document), _styles(document), strict=True):
        _add_steps(figure, result, parameter, "histogram", style, per_width=True)
    figure.update_yaxes(type="log", exponentformat="power")
    figure.update_xaxes(exponentformat="power")
    return styled(figure, "Errors around zero", "error, unit of the weights", "weights per 0.001")


def sqnr_map(document: Document) -> go.Figure:
    """The SQNR of each matrix in each format: what is dark was kept well."""
    results = variants(document)[::-1]
    names = matrices(document)
    values = [[_sqnr(result, name) for name in names] for result in results]
    figure = go.Figure(
        go.Heatmap(
            x=names,
            y=[result["format"] for result in results],
            z=values,
            colorscale="Viridis",
            colorbar={"title": {"text": "dB", "side": "top"}, "thickness": 14, "outlinewidth": 0},
            hovertemplate="%{x}<br>%{y}: %{z:.1f} dB<extra></extra>",
            hoverongaps=False,
            xgap=1,
            ygap=2,
        )
    )
    figure.update_xaxes(showticklabels=False, showgrid=False, ticks="")
    figure.update_yaxes(showgrid=False, ticks="")
    title = "Signal to quantization noise, matrix by matrix"
    height = 130 + 34 * len(results)
    return styled(figure, title, f"{len(names)} matrices, from input to output", "", height)


def _sqnr(result: dict[str, Any], name: str) -> float | None:
    error = result["weights"].get(name)
    return None if error is None else error["sqnr_db"]


def _styles(document: Document) -> list[dict[str, Any]]:
    """A colour and a dash for each variant: not told apart by colour alone."""
    shown = colours(document)
    dashes = islice(cycle(DASHES), len(variants(document)))
    return [
        {"line": {"color": shown[result["format"]], "dash": dash, "width": 2.5}}
        for result, dash in zip(variants(document), dashes, strict=True)
    ]


def _add_steps(
    figure: go.Figure,
    result: dict[str, Any],
    parameter: str,
    key: str,
    style: dict[str, Any],
    per_width: bool = False,
) -> None:
    """One histogram as a stair; `per_width` makes bins of unlike widths comparable."""
    if parameter not in result["weights"]:
        return
    histogram = result["weights"][parameter][key]
    start, width, counts = (histogram[name] for name in ("start", "bin_width", "counts"))
    unit = 1000 * width if per_width else 1
    x = [start + width * i for i in range(len(counts) + 1)]
    y: Sequence[float | None] = [(count or None) and count / unit for count in counts]
    figure.add_scatter(
        name=result["format"],
        x=x,
        y=[*y, y[-1]] if y else [],
        line_shape="hv",
        mode="lines",
        hovertemplate="%{y:.3s} weights",
        **style,
    )


def _tick(count: int) -> int:
    return max(1, round(count / 12))


def styled(figure: go.Figure, title: str, x: str, y: str, height: int = 330) -> go.Figure:
    """The look that all figures share."""
    clear = "rgba(0,0,0,0)"
    grid = "rgba(128,128,128,0.25)"
    figure.update_layout(
        template="none",
        title={"text": title, "x": 0, "xanchor": "left", "font": {"size": 17}},
        height=height,
        margin={"l": 10, "r": 10, "t": 44, "b": 10},
        paper_bgcolor=clear,
        plot_bgcolor=clear,
        font={"family": "Source Sans Pro, sans-serif", "size": 14},
        legend={"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0},
        showlegend=True,
        hovermode="closest",
    )
    figure.update_xaxes(
        title={"text": x, "standoff": 8}, automargin=True, gridcolor=grid, zeroline=False
    )
    figure.update_yaxes(
        title={"text": y, "standoff": 8}, automargin=True, gridcolor=grid, zeroline=False
    )
    return figure
