"""One colour a format, on every page and in every chart: by what its numbers are, its family, and
within it by how their scales are shared.

Each stands out from the light and the dark background by 3 to 1 at least (WCAG 2.2, 1.4.11).
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterable
from functools import cache

from qdemo.spec.variant import Variant

FAMILIES = {
    "fp64": "#78716c",
    "fp32": "#64748b",
    "fp16": "#3b82f6",
    "bf16": "#a855f7",
    "fp8_e4m3": "#0891b2",
    "fp8_e5m2": "#6366f1",
    "int8": "#ea580c",
    "int7": "#b7791f",
    "int6": "#a3742c",
    "int5": "#7f8a1d",
    "int4": "#65960f",
    "int3": "#0d9488",
    "int2": "#dc2626",
    "nf4": "#db2777",
    "nf3": "#d0517f",
    "nf2": "#c2647f",
    "fp4bnb": "#b45393",
    "e2m1": "#c04fd6",
}
"""By the name of the grid. A later method on one of these needs nothing here."""

OTHER = "#8a6d5c"
"""Of a grid that has no line yet."""

INK = "#7c8798"
"""Of lines and bars that are no format's."""

MARKS = ("#4277bf", "#c2553b", "#3f8f5f")
"""Of what a chart sets apart that is no format's."""

ALARM = "#e02424"
"""Of what went too far."""

_TURNS = ((re.compile(r"-g\d"), 22.0), (re.compile(r"-tensor|-axis1"), -22.0),
          (re.compile(r"@|~"), -44.0), (re.compile(r"\+|-"), 44.0))  # fmt: skip
"""What a text form has, and by how many degrees the hue of its family is turned."""


@cache
def colour(format: str) -> str:
    """The colour of a format or variant, by its text form.

    >>> colour("int8"), colour("int8+emb") == colour("int8")
    ('#ea580c', False)
    """
    found = Variant.parse(format)
    base = FAMILIES.get(found.scheme.grid if found.scheme else found.compute, OTHER)
    return next((_turned(base, by) for part, by in _TURNS if part.search(format)), base)


def of_line(name: str) -> str:
    """The colour of a line by its name: of the format that it begins with, or of none."""
    format = name.partition(",")[0].partition(" ")[0]
    try:
        return FAMILIES.get(format) or colour(format)  # fp64 is no variant
    except ValueError:
        return INK


def _turned(colour: str, degrees: float) -> str:
    """Another hue, as bright: so it stands out as much."""
    red, green, blue = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    hue, _, saturation = colorsys.rgb_to_hls(red, green, blue)
    wanted, hue = luminance(colour), (hue + degrees / 360) % 1
    tried = (_hex(colorsys.hls_to_rgb(hue, step / 200, saturation)) for step in range(201))
    return min(tried, key=lambda one: abs(luminance(one) - wanted))


def _hex(channels: Iterable[float]) -> str:
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in channels)


def luminance(colour: str) -> float:
    """How bright a colour is, 0 to 1 (WCAG 2.2, relative luminance)."""
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    linear = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one: str, other: str) -> float:
    """How far two colours stand apart, 1 to 21 (WCAG 2.2, contrast ratio)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
