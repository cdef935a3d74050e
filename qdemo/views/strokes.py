"""Pieces of SVG as text: lines, stairs, hatched boxes and words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

TEXT, TITLE = 14, 17
"""Sizes of text in px, where a figure is as wide as it was drawn for."""

_LETTER = 0.54  # of its size: how wide a letter is in the mean
DASHES = {"solid": "", "dash": "9 5", "dot": "2 4", "dashdot": "9 4 2 4", "longdash": "16 6"}
"""What is drawn and left out of a line, in px, by the names that plotly has for it."""


def path(points: Sequence[tuple[float, float | None]], stairs: bool) -> str:
    """A line that breaks off where there is no value; a stair goes on as far as its bin is wide."""
    found, is_down = [], False
    for x, y in points:
        if is_down and stairs:
            found.append(f"H{px(x)}" + ("" if y is None else f"V{px(y)}"))
        elif y is not None:
            found.append(f"{'L' if is_down else 'M'}{px(x)} {px(y)}")
        is_down = y is not None
    return "".join(found)


def stroke(line: Mapping[str, Any]) -> str:
    """The attributes of a line that plotly's `line` describes."""
    dash = DASHES[line.get("dash", "solid")]
    width = line.get("width", 2)
    return f'class="line" fill="none" stroke="{escape(line["color"])}" stroke-width="{width}"' + (
        f' stroke-dasharray="{dash}"' if dash else ""
    )


STROKES = {
    "": "", "/": "M-2 2 2 -2M-1 9 9 -1M6 10 10 6", "x": "M0 0 8 8M0 8 8 0", ".": "M4 4h0",
    "-": "M0 4h8",
}  # fmt: skip
"""What is drawn in each 8 px of a hatching."""


def hatched(name: str, shape: str, colour: str, boxes: Sequence[tuple[float, ...]]) -> str:
    """Boxes in one hatching, as (x, y, width, height)."""
    fill = f"url(#{name})" if shape else escape(colour)
    boxes_path = "".join(f"M{px(x)} {px(y)}h{px(w)}v{px(h)}h{px(-w)}z" for x, y, w, h in boxes if w)
    drawn = f'<path class="box" fill="{fill}" stroke="{escape(colour)}" d="{boxes_path}"/>'
    if not shape:
        return drawn
    width = 3 if shape == "." else 1.5
    return (
        f'<pattern id="{name}" width="8" height="8" patternUnits="userSpaceOnUse">'
        f'<path fill="none" stroke-linecap="round" stroke="{escape(colour)}" '
        f'stroke-width="{width}" d="{STROKES[shape]}"/></pattern>{drawn}'
    )


def words(x: float, y: float, text: str, anchor: str = "start", size: int = TEXT) -> str:
    """A text, whatever is in it, that begins, ends or has its middle at x, on the line of y."""
    more = f' text-anchor="{anchor}"' if anchor != "start" else ""
    more += f' font-size="{size}"' if size != TEXT else ""
    return f'<text x="{px(x)}" y="{px(y)}"{more}>{escape(text)}</text>'


def width_of(text: str) -> float:
    """About how wide a text is, in px."""
    return _LETTER * TEXT * len(text)


def px(value: float) -> str:
    """To a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")
