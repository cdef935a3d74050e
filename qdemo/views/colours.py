"""One colour a format, on every page and in every chart: by what its numbers are, its family, and
within it by how their scales are shared.

Each stands out from the light and the dark background by 3 to 1 at least (WCAG 2.2, 1.4.11).
"""

from __future__ import annotations

import colorsys
import re
from collections.abc import Iterable
from functools import cache
from zlib import crc32

from qdemo.spec.formats import GRIDS
from qdemo.spec.scheme import NAME_OF
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

_TURNS = ((re.compile(r"-g\d"), 22.0), (re.compile(r"-tensor|-axis"), -22.0),
          (re.compile(r"@"), -44.0), (re.compile(r"\+|-affine"), 44.0))  # fmt: skip
"""What a text form has, the first that it has, and by how many degrees the hue of its family is
turned."""

_NAMES = {"nvfp4": -40.0, "mxfp8": 24.0, "mxfp8_e5m2": 24.0, "q4_0": -40.0, "q4_1": -62.0,
          "q5_0": 30.0, "q5_1": 52.0, "q8_0": 18.0, "q2_k": 60.0, "q3_k": 40.0, "q4_k": 66.0,
          "q5_k": -30.0, "q6_k": -18.0}  # fmt: skip
"""The same of what has a name for all of it."""

_WAYS = (("-affine", 12.0), ("-mse", -14.0), ("-hqq", -30.0), ("-awq", 36.0), ("-sq", 48.0),
         ("-rot", 60.0), ("-gptq", -58.0), ("-dq", 28.0), ("a8", 26.0), ("llm", -30.0))  # fmt: skip
"""By how much more for each way in which numbers are found or held."""


@cache
def colour(format: str) -> str:
    """The colour of a format or variant, by its text form.

    >>> colour("int8"), colour("int8+emb") == colour("int8")
    ('#ea580c', False)
    """
    found = Variant.parse(format)
    alone = next((step.scheme for _, step in found.exceptions if step.scheme), None)
    scheme = found.scheme or alone
    base = FAMILIES.get(scheme.grid if scheme else found.compute, OTHER)
    degrees = _degrees(found, format) + _apart(format)
    return _turned(base, degrees) if degrees else base


def _degrees(found: Variant, format: str) -> float:
    """By how much the hue of the family is turned."""
    name = NAME_OF.get(found.scheme, "") if found.scheme else ""
    own = format.partition("~")[0] if found.scheme else format
    text = own.replace("-g64", "", bool(found.scheme and GRIDS[found.scheme.grid].levels))
    first = next((by for part, by in _TURNS if part.search(text)), 0.0)
    return first + _NAMES.get(name, 0.0) + sum(by for way, by in _WAYS if way in text)


def _apart(format: str) -> float:
    """By how much more for its exceptions: those of one format are another colour each, and a layer
    that alone is in a format is not taken for that format."""
    _, tilde, exceptions = format.partition("~")
    if not tilde:
        return 0.0
    place = crc32(exceptions.encode()) % _PLACES
    return (_NEAREST + place) * (-1.0 if place % 2 else 1.0)


_NEAREST, _PLACES = 22, 41
"""Degrees from the colour of the format itself at least, and how many of them there are: so it
stays near its family."""


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
