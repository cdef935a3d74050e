"""The lab's pages as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qdemo.views.tables import Table
from qdemo.views.templates import fill


def bitstrip_html(rows: Sequence[Any]) -> str:
    """Rows of bits as cells that can be flipped (`qdemo.lab.bitstrip.Row`)."""
    return fill("bitstrip", rows=[{**vars(row), "parts": _parts(row.parts)} for row in rows])


def _parts(parts: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Each part with its cells; bits are numbered from the last, which is 0."""
    left = sum(len(text) for _, text in parts)
    first, found = left - 1, []
    for name, text in parts:
        cells = [
            {"bit": left - 1 - i, "text": bit, "first": left - 1 - i == first}
            for i, bit in enumerate(text)
        ]
        left -= len(text)
        found.append({"name": name, "cells": cells})
    return found


def course_html(figures: Sequence[Any]) -> str:
    """The course's figures beside ours (`qdemo.lab.course.Figure`)."""
    return fill("course", figures=figures)


def formats_table(formats: Sequence[Any]) -> Table:
    """What each format can hold (`qdemo.numerics.formats.Format`)."""
    head = ("format", "bits", "exponent", "fraction", "lowest", "highest", "eps",
            "smallest normal", "smallest subnormal")  # fmt: skip
    return Table("Every format of qdemo", head, tuple(_format_row(format) for format in formats))


def _format_row(format: Any) -> tuple[str, ...]:
    if not format.is_float:
        return (format.name, str(format.bits), "–", "–", f"{format.min}", f"{format.max}",
                "1", "1", "–")  # fmt: skip
    numbers = (format.min, format.max, format.eps, format.smallest_normal,
               format.smallest_subnormal)  # fmt: skip
    bits = (format.bits, format.exponent_bits, format.fraction_bits)
    return (format.name, *map(str, bits), *(f"{number:.6g}" for number in numbers))
