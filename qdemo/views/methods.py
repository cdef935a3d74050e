"""The page on methods as HTML: small matrices, tables, and sentences that read them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qdemo.spec.messages import say
from qdemo.views.numbers import significant
from qdemo.views.tables import Table
from qdemo.views.templates import fill
from qdemo.views.terms import with_terms

Rows = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Cell:
    """A number as it is shown; `tint`, −3 … 3, says how large it is beside the others, and `mark`
    whether something is true of it."""

    text: str
    tint: int
    mark: str = ""


@dataclass(frozen=True)
class Shown:
    """A small matrix with its title; each row has a name, empty where it needs none."""

    title: str
    rows: tuple[tuple[str, tuple[Cell, ...]], ...]


def matrix(
    title: str,
    rows: Rows,
    names: Sequence[str] = (),
    marks: Sequence[str] = (),
    digits: int = 2,
    skip: int = 0,
) -> Shown:
    """Numbers to so many digits after the point, tinted by size; a mark for each column. What is in
    the first columns, `skip` of them, is left out."""
    largest = max((abs(value) for row in rows for value in row), default=0.0) or 1.0
    own = list(names) or [""] * len(rows)
    shown = [
        tuple(
            Cell("" if c < skip else signed(value, digits), round(3 * value / largest), mark)
            for c, (value, mark) in enumerate(zip(row, marks or [""] * len(row), strict=True))
        )
        for row in rows
    ]
    return Shown(title, tuple(zip(own, shown, strict=True)))


def signed(value: float, digits: int) -> str:
    """With its sign, to so many digits after the point, or as a power of ten where these are below
    0; nothing is nothing.

    >>> signed(0.125, 2), signed(-0.0, 2), signed(-3.0, 1), signed(-2e9, -1)
    ('+0.12', '0', '−3.0', '−2e+09')
    """
    if not value:
        return "0"
    shown = f"{value:+.{digits}f}" if digits >= 0 else f"{value:+.0e}"
    return shown.replace("-", "−", 1) if value < 0 else shown


def digits_of(rows: Rows) -> int:
    """After the point, so that the largest of these numbers has three; −1 where that would be too
    long to be read.

    >>> digits_of([[1.5, -20.0]]), digits_of([[0.03]]), digits_of([[1e9]]), digits_of([[0.0]])
    (2, 4, -1, 2)
    """
    largest = max((abs(value) for row in rows for value in row), default=0.0)
    if largest >= 10_000 or 0 < largest < 1e-4:
        return -1
    return next((digits for digits in range(2, 7) if largest * 10**digits >= 100), 2)


def numbers_html(*matrices: Shown) -> str:
    """Small matrices beside each other."""
    return fill("numbers", matrices=matrices)


def said_html(*sentences: str) -> str:
    """Sentences in which terms can be pressed."""
    return fill("prose", lines=[with_terms(sentence) for sentence in sentences])


def bytes_html(title: str, parts: Sequence[tuple[int, str]], total: str) -> str:
    """What a block is made of, byte by byte, each part as wide as it is large."""
    shown = [{"size": size, "name": name} for size, name in parts]
    return fill("bytes", title=title, parts=shown, total=total)


def grids_table(found: Sequence[tuple[str, int, float, float, float | None]]) -> Table:
    """Of each grid its levels, bits a weight, RMS error and SQNR."""
    head = (say("grid"), say("levels"), say("bits a weight"), say("RMS error"), say("SQNR, dB"))
    rows = tuple(
        (grid, str(levels), f"{bits:.4g}", significant(rms), significant(sqnr))
        for grid, levels, bits, rms, sqnr in found
    )
    return Table(say("The same weights on each grid"), head, rows)


def walk_table(
    count: int, found: tuple[float, float | None], nearest: tuple[float, float | None]
) -> Table:
    """The output error and the SQNR of both ways, after so many columns."""
    head = (say("way"), say("output error"), say("SQNR, dB"))
    rows = (
        ("GPTQ", f"{found[0]:.1%}", significant(found[1])),
        (say("to nearest"), f"{nearest[0]:.1%}", significant(nearest[1])),
    )
    return Table(say("After {count} columns", count=count), head, rows)


def sides_table(
    caption: str, before: tuple[float, float, float], after: tuple[float, float, float]
) -> Table:
    """Of a matrix before and after a rotation: absmax of its row, RMS error, output error."""
    head = (say("basis"), say("absmax of the row"), say("RMS error"), say("output error"))
    rows = tuple(
        (name, significant(absmax), significant(rms), f"{error:.1%}")
        for name, (absmax, rms, error) in ((say("before"), before), (say("after"), after))
    )
    return Table(caption, head, rows)


def scales_table(rows: Sequence[Sequence[str]]) -> Table:
    """Of each block the scale that is wanted, and what MX and NVFP4 hold."""
    head = (
        say("block"), say("absmax"), say("scale wanted"), say("MX holds"), say("that is"),
        say("RMS error"), say("NVFP4 holds"), say("that is"), say("RMS error"),
    )  # fmt: skip
    return Table(say("Scales of the blocks of the matrix above"), head, tuple(map(tuple, rows)))


def super_table(rows: Sequence[Sequence[str]]) -> Table:
    """Of each block of a super-block its scale and minimum: asked for, as integers, and held."""
    head = (
        say("block"), say("scale wanted"), say("s"), say("d · s"), say("minimum wanted"), say("m"),
        say("dmin · m"), say("RMS error"),
    )  # fmt: skip
    return Table(say("The eight blocks of the super-block"), head, tuple(map(tuple, rows)))
