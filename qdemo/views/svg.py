"""Our own figures of plotly as SVG: still, without a script, and in the colours of the page around.

It draws what the figures of `qdemo.views.plots` are made of, and refuses what it does not know: so
a figure that grows is drawn whole or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any
from zlib import crc32

import plotly.graph_objects as go

from qdemo.spec.messages import say
from qdemo.views.axes import Axis, nice
from qdemo.views.strokes import (
    DASHES,
    STROKES,
    TEXT,
    TITLE,
    hatched,
    path,
    px,
    stroke,
    width_of,
    words,
)

Plain = Mapping[str, Any]

NARROW = 640
"""The width in px up to which a page is a phone's."""

_ANCHORS = {"left": "start", "center": "middle", "right": "end"}
_AXIS = {"title", "type", "range", "tickvals", "ticktext", "tickformat", "dtick", "rangemode"}
_LINE = {"color", "dash", "width", "shape"}
_UNSEEN = {"hovertemplate", "customdata"}
_LOOK = {"template", "paper_bgcolor", "plot_bgcolor", "font", "margin", "hovermode", "legend"}
_KNOWN = {
    "scatter": {"type", "name", "mode", "x", "x0", "dx", "y", "line"} | _UNSEEN,
    "bar": {"type", "name", "x", "y", "orientation", "marker"} | _UNSEEN,
    "layout": {"title", "height", "barmode", "bargap", "xaxis", "yaxis", "showlegend"}
    | {"annotations"} | _LOOK,
    "axis": _AXIS | {"automargin", "gridcolor", "zeroline", "ticklabelstandoff"},
    "annotation": {"x", "y", "text", "xanchor", "xshift", "showarrow"},
    "line": _LINE,
    "marker": {"color", "pattern", "line"},
}  # fmt: skip
"""What may stand in each part of a figure; what only matters to a mouse is passed over."""

_VALUES = {
    "mode": ("lines", "lines+markers"),
    "shape": ("linear", "hv"),
    "orientation": ("h",),
    "barmode": ("stack",),
    "type": ("scatter", "bar", "log"),
    "dash": tuple(DASHES),
    "tickformat": ("d",),
}


def drawn(figure: go.Figure, width: int) -> str:
    """The figure as an `<svg>` of that width in px, to be scaled down no further than it is read.

    Raises:
        ValueError: the figure uses what can't be drawn here, which is named.
    """
    plain = figure.to_plotly_json()
    traces, layout = list(plain["data"]), plain["layout"]
    _check(traces, layout)
    return _Chart(traces, layout, width).svg()


def _check(traces: Sequence[Plain], layout: Plain) -> None:
    parts = [("layout", layout), ("axis", layout["xaxis"]), ("axis", layout["yaxis"])]
    parts += [("annotation", note) for note in layout.get("annotations", ())]
    for trace in traces:
        kind = trace.get("type", "scatter")
        if kind not in ("scatter", "bar"):
            raise _unknown("type", kind)
        parts += [(kind, trace)]
        parts += [(part, trace[part]) for part in ("line", "marker") if part in trace]
    for part, found in parts:
        if more := sorted(set(found) - _KNOWN[part]):
            raise _unknown(part, ", ".join(more))
        for key, values in _VALUES.items():
            if key in found and found[key] not in values:
                raise _unknown(key, found[key])


def _unknown(what: str, found: object) -> ValueError:
    return ValueError(say("can't draw {what} {found!r} as SVG", what=what, found=found))


class _Chart:
    """One figure and where its parts go: title, axes, what is drawn, and the legend below."""

    def __init__(self, traces: Sequence[Plain], layout: Plain, width: int) -> None:
        self.traces, self.layout, self.width = traces, layout, width
        self.kind = "wide" if width > NARROW else "narrow"
        self.name = f"p{crc32(str(layout['title']['text']).encode()):x}-{width}"  # in its page
        self.rows = [t for t in traces if t.get("type") == "bar"]
        self.names = [str(name) for name in self.rows[0]["y"]] if self.rows else []
        self.legend = self._legend() if layout.get("showlegend") else []
        lines = 1 + max((row for row, *_ in self.legend), default=-1)
        below = 58 + 22 * lines
        self.height = max(int(layout["height"]), 150 + below)
        bottom = self.height - below
        y_title = bool(layout["yaxis"]["title"]["text"])
        top = 66 if y_title else 42  # the title of the axis lies over it, and not on its side
        self.y = self._axis("y", bottom, top)
        texts = [text for _, text in self._ticks("y")]
        left = 12 + max((width_of(text) for text in texts), default=0)
        notes = (width_of(note["text"]) for note in layout.get("annotations", ()))
        right = width - 16 - max(notes, default=0)
        self.x = self._axis("x", left, right)
        self.box = (left, top, right, bottom)

    def svg(self) -> str:
        """All of it."""
        title = str(self.layout["title"]["text"])
        inner = [self._frame(), *self._bars(), *self._lines(), *self._notes(), *self._keys()]
        return (
            f'<svg class="drawn {self.kind}" role="img" viewBox="0 0 {self.width} {self.height}" '
            f'width="{self.width}" height="{self.height}" fill="currentColor" '
            f'font-size="{TEXT}"><title>{escape(title)}</title>'
            f"{words(0, 18, title, size=TITLE)}{''.join(inner)}</svg>"
        )

    def _axis(self, which: str, start: float, end: float) -> Axis:
        told = self.layout[f"{which}axis"]
        is_log = told.get("type") == "log"
        if which == "y" and self.names:
            return Axis(-0.5, len(self.names) - 0.5, start, end)
        if "range" in told:
            low, high = told["range"]
            return Axis(low, high, start, end, is_log)
        found = [v for t in self.traces for v in _values(t, which) if v is not None]
        if is_log:
            found = [math.log10(v) for v in found if v > 0]
        if self.rows:
            found = [0.0, *map(sum, zip(*(t["x"] for t in self.rows), strict=True))]
        if told.get("rangemode") == "tozero":
            found = [0.0, *found]
        low, high = min(found, default=0.0), max(found, default=1.0)
        return Axis(low, high if high > low else low + 1, start, end, is_log)

    def _ticks(self, which: str) -> list[tuple[float, str]]:
        """Values and texts of the ticks that lie on the axis."""
        told, axis = self.layout[f"{which}axis"], self.y if which == "y" else self.x
        if which == "y" and self.names:
            return [(float(i), name) for i, name in enumerate(self.names)]
        if "tickvals" in told:
            texts = map(str, told.get("ticktext", told["tickvals"]))
            every = zip(told["tickvals"], texts, strict=True)
            return _apart([tick for tick in every if axis.holds(tick[0])], axis)
        if axis.is_log:
            raise _unknown("type", "log")  # without ticks of its own
        if step := told.get("dtick"):
            first, last = math.ceil(axis.low / step), math.floor(axis.high / step)
            return [(k * step, f"{k * step:,g}") for k in range(first, last + 1)]
        most = 5 if which == "y" else max(2, self.width // 110)
        return [(value, f"{value:,g}") for value in nice(axis.low, axis.high, most)]

    def _frame(self) -> str:
        """The grid with its numbers, and the titles of the axes."""
        left, top, right, bottom = self.box
        grid, told = [], []
        for value, text in self._ticks("x"):
            grid.append(f"M{px(self.x.at(value))} {px(top)}V{px(bottom)}")
            told.append(words(self.x.at(value), bottom + 19, text, "middle"))
        for value, text in self._ticks("y"):
            if not self.names:
                grid.append(f"M{px(left)} {px(self.y.at(value))}H{px(right)}")
            told.append(words(left - 6, self.y.at(value) + 5, text, "end"))
        titles = [self.layout[f"{which}axis"]["title"]["text"] for which in "xy"]
        told += [words((left + right) / 2, bottom + 42, titles[0], "middle")]
        told += [words(0, top - 12, titles[1])]
        return f'<path class="grid" d="{"".join(grid)}"/>{"".join(told)}'

    def _bars(self) -> Iterable[str]:
        """Bars that lie, each kind after the one before it."""
        if not self.rows:
            return
        so_far = [0.0] * len(self.names)
        thick = abs(self.y.at(1) - self.y.at(0)) * (1 - float(self.layout.get("bargap", 0.2)))
        for number, trace in enumerate(self.rows):
            shape, colour = _pattern(trace), trace["marker"]["color"]
            boxes = []
            for i, size in enumerate(trace["x"]):
                x, end = self.x.at(so_far[i]), self.x.at(so_far[i] + size)
                so_far[i] += size
                boxes.append((x, self.y.at(i) - thick / 2, end - x, thick))
            yield hatched(f"{self.name}-{number}", shape, colour, boxes)

    def _lines(self) -> Iterable[str]:
        for trace in self.traces:
            if trace.get("type") == "bar":
                continue
            line, points = trace["line"], _points(trace, self.x, self.y)
            yield f'<path {stroke(line)} d="{path(points, line.get("shape") == "hv")}"/>'
            if "markers" in trace["mode"]:
                dots = "".join(f"M{px(x)} {px(y)}h0" for x, y in points if y is not None)
                yield f'<path class="dots" stroke="{line["color"]}" d="{dots}"/>'

    def _notes(self) -> Iterable[str]:
        for note in self.layout.get("annotations", ()):
            y = self.names.index(note["y"]) if note["y"] in self.names else note["y"]
            x = self.x.at(note["x"]) + note.get("xshift", 0)
            anchor = _ANCHORS[note.get("xanchor", "center")]
            yield words(x, self.y.at(y) + 5, note["text"], anchor)

    def _legend(self) -> list[tuple[int, float, Plain]]:
        """Each name's row and place in it."""
        found, row, x = [], 0, 0.0
        for trace in self.traces:
            wide = 46 + width_of(str(trace["name"]))
            if x and x + wide > self.width:
                row, x = row + 1, 0.0
            found.append((row, x, trace))
            x += wide
        return found

    def _keys(self) -> Iterable[str]:
        """The legend, in the order of what it names."""
        lowest = max((row for row, *_ in self.legend), default=0)
        for number, (row, x, trace) in enumerate(self.legend):
            y = self.height - 8 - 22 * (lowest - row)
            if trace.get("type") == "bar":
                name = f"{self.name}-key-{number}"
                box = [(x + 1, y - 12, 24.0, 14.0)]
                yield hatched(name, _pattern(trace), trace["marker"]["color"], box)
            else:
                yield f'<path {stroke(trace["line"])} d="M{px(x)} {px(y - 5)}h28"/>'
            yield words(x + 33, y, str(trace["name"]))


def _apart(ticks: list[tuple[float, str]], axis: Axis) -> list[tuple[float, str]]:
    """All of them, or every second, third … one, so that their texts don't touch."""
    room = 10 + max((width_of(text) for _, text in ticks), default=0)
    places = [axis.at(value) for value, _ in ticks[:2]]
    apart = abs(places[1] - places[0]) if len(places) > 1 else room
    lies = axis.end > axis.start  # x runs to the right, y up
    return ticks[:: max(1, -(-int(room) // max(1, int(apart)))) if lies else 1]


def _values(trace: Plain, which: str) -> list[Any]:
    if which == "y" or "x" in trace:
        return list(trace.get(which) or ())
    start, step = trace.get("x0", 0), trace.get("dx", 1)
    return [start + i * step for i in range(len(trace["y"]))]


def _points(trace: Plain, x: Axis, y: Axis) -> list[tuple[float, float | None]]:
    """Where the values are drawn; None for the height of one that is not there."""
    found: list[tuple[float, float | None]] = []
    for at, value in zip(_values(trace, "x"), _values(trace, "y"), strict=True):
        is_there = value is not None and (value > 0 or not y.is_log)
        found.append((x.at(at), y.at(value) if is_there else None))
    return found


def _pattern(trace: Plain) -> str:
    pattern = trace["marker"].get("pattern", {})
    shape = pattern.get("shape", "")
    if shape not in STROKES:
        raise _unknown("pattern", shape)
    return str(shape)
