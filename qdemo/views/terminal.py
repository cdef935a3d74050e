"""What a terminal shows: a table in columns, in the characters that it has."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

from qdemo.spec.messages import say

if TYPE_CHECKING:
    from qdemo.views.tables import Table


def write_what_can_be_written() -> None:
    """Have no character end a run in a terminal that lacks it: Windows' and C's encodings do."""
    codecs.register_error("qdemo", _plainer)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="qdemo")


def _plainer(error: UnicodeError) -> tuple[str | bytes, int]:
    """Signs of ours in ASCII, all else by its number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    wrong = error.object[error.start : error.end]
    plain = "".join(_ASCII.get(c) or c.encode("ascii", "backslashreplace").decode() for c in wrong)
    return plain, error.end


_ASCII = {"Δ": "d", "–": "-", "×": "x", "…": "...", "▁": "_", "‖": "|", "−": "-"}


def tell(*lines: str) -> None:
    """Print lines in which whatever a file or a model wrote can't steer the terminal."""
    for line in lines:
        print(_harmless(line))


def _harmless(text: str) -> str:
    return "".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


@contextmanager
def file(name: str | None) -> Iterator[Callable[[str], object]]:
    """What writes a file at the end of what may be long; that it can, is found out before.

    Raises:
        ValueError: it can't be written; what it held stays until there is something else to hold.
    """
    if name is None:
        yield lambda _: None
        return
    path = Path(name)
    is_new = not path.exists()
    try:
        path.open("a").close()
    except OSError as error:
        told = say("can't write {file}: {why}", file=name, why=error.strerror)
        raise ValueError(told) from None
    try:
        yield partial(path.write_text, encoding="utf-8")
    except BaseException:
        if is_new:
            path.unlink()
        raise


def write_over(text: str) -> None:
    """One line in the place of the last, where a person is looking on."""
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def columns(table: Table, outputs: Sequence[str] = ()) -> str:
    """A table in columns: words to the left, numbers (and what stands for none) to the right; what
    models say comes last."""
    head = [*table.head, *([say("output")] if outputs else [])]
    rows = [[*row, *outputs[i : i + 1]] for i, row in enumerate(table.rows)]
    columns = list(zip(head, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [all(map(_is_number, column[1:])) for column in columns]
    lines = []
    for row in (head, *rows):
        cells = [
            cell.rjust(width) if is_number else cell.ljust(width)
            for cell, width, is_number in zip(row, widths, right, strict=True)
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _is_number(cell: str) -> bool:
    return cell[:1].isdigit() or cell in ("–", say("exact"), say("never"))
