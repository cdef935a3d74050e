"""The design system to be looked at: sizes, spaces and colours, as the style sheets have them."""

from __future__ import annotations

from collections.abc import Iterable

from qdemo.spec.messages import say
from qdemo.views.colours import FAMILIES, of_line
from qdemo.views.panels import kl_legend
from qdemo.views.templates import fill

_SHARED = ("int8+emb", "int8@bf16", "int4-g64", "int3-g64", "int8-tensor")
"""Of a family, with the hue turned by how scales are shared and what is quantized."""


def design_html() -> str:
    """The whole system, for who adds to it."""
    return fill(
        "design",
        sizes=_sizes(),
        named=_named(),
        families=[
            (say("Formats, by family"), _coloured(FAMILIES)),
            (say("Within a family"), _coloured(_SHARED)),
        ],
        kinds=_kinds(),
        legend=kl_legend(),
    )


def _coloured(formats: Iterable[str]) -> list[tuple[str, str]]:
    return [(name, of_line(name)) for name in formats]


def _sizes() -> list[tuple[str, str]]:
    return [
        ("small", say("15 px beside something")),
        ("text", say("17 px for sentences")),
        ("large", say("21 px for names")),
        ("larger", say("24 px for answers")),
        ("huge", say("32 px for titles")),
    ]


def _named() -> list[tuple[str, str]]:
    return [
        ("surface", say("surface")),
        ("surface-2", say("what stands out of it")),
        ("ink", say("ink")),
        ("subdued", say("said beside something")),
        ("line", say("line")),
        ("accent", say("chosen")),
        ("good", say("good")),
        ("bad", say("wrong")),
        ("warn-line", say("be careful")),
    ]


def _kinds() -> list[tuple[str, str]]:
    return [
        ("plain", say("quantized weights")),
        ("crossed", say("scales and zero points")),
        ("striped", say("float weights")),
        ("dotted", say("buffers")),
    ]
