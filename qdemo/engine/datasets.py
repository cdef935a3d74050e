"""Data sets: the items that a model is judged by, its own held-out ones or those of a person's
file, in the file's order or in one that is drawn."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

from qdemo.engine.asking import field_of
from qdemo.engine.item_files import ENDINGS, Line, decoded, filled_lines, lines_of, refused
from qdemo.engine.picture_zip import PictureZip, read_zip
from qdemo.models.catalogue import Entry
from qdemo.models.pictures import known_name, named_picture
from qdemo.spec.evidence import HELD_OUT, Data, Item
from qdemo.spec.messages import say
from qdemo.spec.request import MAX_CHARACTERS, InputError

MOST_BYTES = 20_000_000
"""Of a person's file."""

HELD_OUT_FILE = "heldout.jsonl"


@dataclass(frozen=True, eq=False)
class DataSet:
    """The items of `data`. `looks`: whether they are pictures, which lie in `pictures` where they
    came in a zip, and else are made here."""

    data: Data
    items: tuple[Item, ...]
    looks: bool = False
    pictures: PictureZip | None = None

    def given(self, item: Item) -> object:
        """What the model's family takes: the text, or the Picture, which is read or drawn now.

        Raises:
            ValueError: the picture is broken.
        """
        if not self.looks:
            return item.input
        return self.pictures.picture(item.input) if self.pictures else named_picture(item.input)


def held_out(entry: Entry) -> DataSet:
    """The items that the model was never trained on, which lie beside its weights: JSON, a line
    each.

    Raises:
        InputError: it has none.
    """
    path = entry.folder / HELD_OUT_FILE if entry.folder else None
    if path is None or not path.is_file():
        raise refused(
            say("{model} has no held-out items; bring a file of your own", model=entry.name)
        )
    return _of_lines(entry, HELD_OUT, decoded(path.read_bytes()), path.suffix, None)


def from_file(
    entry: Entry, path: Path, name: str, as_text: bool = False, most: int | None = None
) -> DataSet:
    """A person's own file, called `name`, whose ending says what it holds: `.txt`, `.jsonl` or
    `.csv`, as `qdemo.engine.item_files` reads them, and `.zip` of pictures; or, whatever it ends
    in, one text that is scored. `most` is how many items it may have.

    Raises:
        InputError: it is not what that model can be given; by line, and what was expected.
    """
    content, ending = _read(path, name), Path(name).suffix.casefold()
    if as_text:
        return _of_text(entry, name, decoded(content), most)
    looks = field_of(entry).kind == "picture"
    if ending == ".zip" and looks:
        return _of_zip(name, read_zip(content), most)
    if ending not in ENDINGS:
        expected = ", ".join((*ENDINGS, ".zip") if looks else ENDINGS)
        raise refused(
            say(
                "{name!r:.80} is no file of items for {model}; expected one in {expected}",
                name=name,
                model=entry.name,
                expected=expected,
            )
        )
    return _of_lines(entry, name, decoded(content), ending, most)


def from_items(entry: Entry, items: object, most: int | None = None) -> DataSet:
    """Items as another program sends them: a list of objects as JSON lines have them.

    Raises:
        InputError: they are not what that model can be given.
    """
    if not isinstance(items, list) or not items:
        raise refused(say("expected a list of items, each with its input, or none at all"))
    lines = "\n".join(json.dumps(item) for item in items)
    return _of_lines(entry, say("items sent"), lines, ".jsonl", most)


def chosen(found: DataSet, limit: int | None, seed: int) -> DataSet:
    """So many of the items, in an order drawn by `seed`, whose beginning a larger limit shares; all
    of them without a limit, so that those which come first are a fair sample.

    Raises:
        InputError: the limit is below 1.
    """
    if limit is not None and limit < 1:
        raise InputError("limit", say("limit is {found}, expected 1 or more", found=limit))
    order = list(found.items)
    random.Random(seed).shuffle(order)
    return replace(found, items=tuple(order[:limit]))


def _read(path: Path, name: str) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise refused(
            say("{name!r:.80} can't be read: {error}", name=name, error=error.strerror or error)
        ) from None
    if len(content) > MOST_BYTES:
        most = MOST_BYTES // 1_000_000
        raise refused(say("{name!r:.80} has more than {most} MB", name=name, most=most))
    return content


def _of_text(entry: Entry, name: str, text: str, most: int | None) -> DataSet:
    """One that is as long as so many items may be together: it is read in one go."""
    if "score" not in entry.family.reads:
        raise refused(say("{model} is no language model, and scores no text", model=entry.name))
    if most is not None and len(text) > most * MAX_CHARACTERS:
        raise refused(
            say(
                "{name!r:.80} has {count:,} characters; at most {most:,} are scored here",
                name=name,
                count=len(text),
                most=most * MAX_CHARACTERS,
            )
        )
    items, called = (Item(text),), f"./{name}" if name == HELD_OUT else name
    return DataSet(Data(called, "text", 1, _digest(items)), items)


def _of_zip(name: str, found: PictureZip, most: int | None) -> DataSet:
    if most is not None and len(found.items) > most:
        raise refused(
            say(
                "{count:,} pictures; at most {most:,} are evaluated here",
                count=len(found.items),
                most=most,
            )
        )
    digest = _digest(found.items, found.digests)
    return DataSet(Data(name, "items", len(found.items), digest), found.items, True, found)


def _of_lines(entry: Entry, name: str, text: str, ending: str, most: int | None) -> DataSet:
    looks = field_of(entry).kind == "picture"
    lines = lines_of(text, ending)
    each = _pictures(lines) if looks else (item for _, item in lines)
    items = tuple(islice(each, None if most is None else most + 1))
    if most is not None and len(items) > most:
        raise refused(
            say(
                "{count:,} lines of items; at most {most:,} are evaluated here",
                count=sum(map(bool, filled_lines(text))),  # of which not all are looked at
                most=most,
            )
        )
    if not items:
        raise refused(say("{name!r:.80} has no items; expected one or more", name=name))
    return DataSet(Data(name, "items", len(items), _digest(items)), items, looks)


def _pictures(lines: Iterable[Line]) -> Iterator[Item]:
    """Items that name pictures which are made here."""
    for line, item in lines:
        try:
            yield replace(item, input=known_name(item.input[:100]))
        except ValueError as error:
            raise refused(say("line {line}: {error}", line=line, error=str(error))) from None


def _digest(items: Iterable[Item], pictures: Iterable[str] = ()) -> str:
    """Of what items are, however the file writes it; the same for the same in the same order."""
    rows = [[item.input, item.expected, item.task] for item in items]
    return hashlib.sha256(json.dumps([rows, list(pictures)]).encode()).hexdigest()
