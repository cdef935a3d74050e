"""The lab's pages as HTML."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

from qdemo.spec.messages import say
from qdemo.views.colours import of_line
from qdemo.views.tables import Table
from qdemo.views.templates import fill
from qdemo.views.terms import heads


def bitstrip_html(rows: Sequence[Any], later: Container[str] = ()) -> str:
    """Rows of bits as cells that can be flipped (`qdemo.lab.bitstrip.Row`); `later` names the
    formats that are shown on demand."""
    found = [
        {**vars(row), "parts": _parts(row.parts), "colour": of_line(row.format)} for row in rows
    ]
    return fill(
        "bitstrip",
        rows=[row for row in found if row["format"] not in later],
        later=[row for row in found if row["format"] in later],
    )


def _parts(parts: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    """Each part with its cells; bits are numbered from the last, which is 0."""
    bits, column, found = sum(len(text) for _, text in parts), 0, []
    for name, text in parts:
        places = range(column, column + len(text))
        cells = [
            {"bit": bits - 1 - place, "column": place, "text": bit, "first": place == 0}
            for place, bit in zip(places, text, strict=True)
        ]
        column += len(text)
        found.append({"name": name, "shown": _shown(name), "cells": cells})
    return found


def _shown(part: str) -> str:
    """A part of a number, by its name, in words."""
    match part:
        case "sign":
            return say("sign")
        case "exponent":
            return say("exponent")
        case "fraction":
            return say("fraction")
        case "integer":
            return say("integer")
    return part


def course_html(figures: Sequence[Any]) -> str:
    """The course's figures beside ours (`qdemo.lab.course.Figure`)."""
    return fill("course", figures=figures)


def stacked_html(table: Table) -> str:
    """A table of many columns, whose rows are lists where a page is narrow."""
    return fill("stacked", table=table, heads=heads(table))


def formats_table(formats: Sequence[Any]) -> Table:
    """What each format can hold (`qdemo.spec.formats.Format`)."""
    head = (
        say("format"), say("bits"), say("exponent"), say("fraction"), say("lowest"), say("highest"),
        say("eps"), say("smallest normal"), say("smallest subnormal"),
    )  # fmt: skip
    rows = tuple(_format_row(format) for format in formats)
    return Table(say("Every format of qdemo"), head, rows)


def _format_row(format: Any) -> tuple[str, ...]:
    if not format.is_float:
        return (format.name, str(format.bits), "–", "–", f"{format.min}", f"{format.max}",
                "1", "1", "–")  # fmt: skip
    numbers = (format.min, format.max, format.eps, format.smallest_normal,
               format.smallest_subnormal)  # fmt: skip
    bits = (format.bits, format.exponent_bits, format.fraction_bits)
    return (format.name, *map(str, bits), *(f"{number:.6g}" for number in numbers))


_MANY = 8
"""Columns; of more the numbers are shown with fewer digits, as they are where a page is narrow."""


def grids_html(found: Any, chosen: tuple[int, int]) -> str:
    """Weights, integers, weights again and error, as cells that can be chosen (`ByHand`)."""
    grids = [
        (say("Weights w"), say("Weights"), found.w, "{:.4f}", "{:.2f}"),
        (say("Integers q"), say("Integers"), found.q, "{}", "{}"),
        (
            say("Dequantized ŵ = scale · (q − zero_point)"),
            say("Dequantized"),
            found.w_hat,
            "{:.4f}",
            "{:.2f}",
        ),
        (say("Error ŵ − w"), say("Error"), found.error, "{:+.4f}", "{:+.2f}"),
    ]
    return fill(
        "grids",
        grids=[
            {"title": title, "rows": _cells(name, values.tolist(), shown, short, found, chosen)}
            for title, name, values, shown, short in grids
        ],
        many=found.w.shape[1] > _MANY,
    )


def _cells(
    matrix: str,
    rows: list[list[float]],
    shown: str,
    short: str,
    found: Any,
    chosen: tuple[int, int],
) -> list[list[dict[str, Any]]]:
    largest = max((abs(value) for row in rows for value in row), default=0.0) or 1.0
    clipped = found.clipped.tolist()
    return [
        [
            {
                "text": shown.format(value),
                "short": short.format(value),
                "tint": round(3 * value / largest),
                "clipped": clipped[r][c],
                "chosen": (r, c) == chosen,
                "title": say(
                    "{matrix}, row {row}, column {column}: {number}",
                    matrix=matrix,
                    row=r + 1,
                    column=c + 1,
                    number=shown.format(value),
                ),
            }
            for c, value in enumerate(row)
        ]
        for r, row in enumerate(rows)
    ]


def steps_html(choice: Sequence[str], formula: Sequence[str], chosen: tuple[int, int]) -> str:
    """Where the scale comes from, and the formula with one weight's numbers filled in."""
    row, column = chosen
    return fill(
        "steps",
        left_title=say("Where the scale comes from"),
        left=choice,
        right_title=say("The weight in row {row}, column {column}", row=row + 1, column=column + 1),
        right=formula,
    )


def integers_html(rows: Sequence[Sequence[int]], flipped: Sequence[Sequence[bool]]) -> str:
    """Integers as cells, those that flipped marked."""
    largest = max((abs(value) for row in rows for value in row), default=0) or 1
    cells = [
        [
            {"text": value, "tint": round(3 * value / largest), "flipped": changed}
            for value, changed in zip(*pair, strict=True)
        ]
        for pair in zip(rows, flipped, strict=True)
    ]
    return fill("integers", rows=cells)
