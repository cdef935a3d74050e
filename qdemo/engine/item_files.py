"""Files of items: of a text each line is one; JSON lines and CSV have for each its `input` and,
where there are some, what is `expected` and its `task`.

Nothing of it is guessed, and whatever is wrong is told by its line.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from io import StringIO

from qdemo.spec.evidence import Item
from qdemo.spec.messages import say
from qdemo.spec.request import InputError, parse_text

FIELD = "data"
"""What errors here are about."""

Line = tuple[int, Item]
"""An item, and the line on which it begins, from 1."""


def refused(message: str) -> InputError:
    """The error that says so."""
    return InputError(FIELD, message)


def decoded(content: bytes) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Raises:
        InputError: it is empty, binary, or in another encoding.
    """
    if b"\0" in content:
        raise refused(say("the file is binary; expected text in UTF-8"))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refused(
            say(
                "line {line}: byte {byte:#04x} is not UTF-8; save the file as UTF-8",
                line=content.count(b"\n", 0, error.start) + 1,
                byte=content[error.start],
            )
        ) from None
    if not text.strip():
        raise refused(say("the file is empty; expected one item or more"))
    return text


def filled_lines(text: str) -> Iterator[str]:
    """Lines as an editor counts them, those with nothing but blanks empty; other marks that Python
    ends a line at are text."""
    for line in StringIO(text, newline=None):
        yield line.removesuffix("\n") if line.strip() else ""


def lines_of(text: str, ending: str) -> Iterator[Line]:
    """The items of a file by its ending, one of `ENDINGS`; blank lines are none.

    >>> list(lines_of("input;expected\\n2 + 2;4", ".csv"))
    [(2, Item(input='2 + 2', expected='4', task=''))]

    Raises:
        InputError: a line is not what it has to be.
    """
    return _READ[ending](text)


def item(line: int, found: Mapping[str, object]) -> Item:
    """The item that a line names; what is empty beside its input is not there.

    Raises:
        InputError: there is no `input`, or something is no text, or too long.
    """
    if "input" not in found:
        names = ", ".join(map(repr, found))
        raise refused(
            say(
                "line {line} has no `input`, which each item needs; found {names:.100}",
                line=line,
                names=names or say("none"),
            )
        )
    expected, task = _known(line, found, "expected"), _known(line, found, "task")
    return Item(_text(line, "input", found["input"]), expected, task or "")


def _known(line: int, found: Mapping[str, object], name: str) -> str | None:
    value = found.get(name)
    return None if value in (None, "") else _text(line, name, value)


def _text(line: int, name: str, value: object) -> str:
    """A text that could be asked on the page as well."""
    if not isinstance(value, str) or not value.strip():
        raise refused(
            say(
                "line {line}: {name} is {found:.40}, expected text with something in it",
                line=line,
                name=name,
                found=repr(value),
            )
        )
    try:
        return parse_text(value, say("{name} of line {line}", name=name, line=line))
    except InputError as error:
        raise refused(str(error)) from None


def _of_text(text: str) -> Iterator[Line]:
    return (
        (number, item(number, {"input": line}))
        for number, line in enumerate(filled_lines(text), 1)
        if line
    )


def _of_json(text: str) -> Iterator[Line]:
    for number, line in enumerate(filled_lines(text), 1):
        if not line:
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise refused(
                say(
                    'line {line} is {found:.40}; expected JSON such as {{"input": "…"}}',
                    line=number,
                    found=repr(line),
                )
            )
        yield number, item(number, found)


def _of_csv(text: str) -> Iterator[Line]:
    """Separated by whatever has the header in columns."""
    first = next(line for line in filled_lines(text) if line)[:10_000]
    headers = {mark: _names(next(csv.reader([first], delimiter=mark), [])) for mark in ",;\t"}
    mark = next((mark for mark, names in headers.items() if "input" in names), ",")
    rows = _rows(text, mark)
    start, header = next(rows, (1, list[str]()))
    names = _names(header)
    item(start, dict.fromkeys(filter(None, names), "a name"))  # which says what is missing
    _check_once(start, names)
    for number, row in rows:
        if len(row) != len(names):
            raise refused(
                say(
                    "line {line} has {found} cells, expected {expected}: {names:.100}; a cell with "
                    "{mark!r} in it stands in double quotes",
                    line=number,
                    found=len(row),
                    expected=len(names),
                    names=", ".join(map(repr, names)),
                    mark=mark,
                )
            )
        yield number, item(number, dict(zip(names, row, strict=True)))


def _check_once(line: int, names: list[str]) -> None:
    """Of two columns of one name nobody knows which is meant; those that aren't read may be."""
    for name in ("input", "expected", "task"):
        if names.count(name) > 1:
            raise refused(
                say(
                    "line {line} names {count} columns {name!r}, expected one",
                    line=line,
                    count=names.count(name),
                    name=name,
                )
            )


def _names(header: list[str]) -> list[str]:
    return [name.strip().casefold() for name in header]


def _rows(text: str, mark: str) -> Iterator[tuple[int, list[str]]]:
    """Rows with something in them, each with the line on which it begins."""
    reader, line = csv.reader(StringIO(text, newline=""), delimiter=mark, strict=True), 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise refused(say("line {line} is not CSV: {error}", line=line, error=str(error))) from None


_READ: dict[str, Callable[[str], Iterator[Line]]] = {
    ".txt": _of_text,
    ".jsonl": _of_json,
    ".csv": _of_csv,
}
ENDINGS = tuple(_READ)
