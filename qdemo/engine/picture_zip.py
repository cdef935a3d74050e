"""Pictures in a zip, and the captions beside them: read where they lie, and never written to disk.

A zip may lie about what is in it, so all of it is counted while it is unpacked.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import PurePosixPath

from qdemo.engine.item_files import decoded, lines_of, refused
from qdemo.models.pictures import Picture, check_readable, read_picture
from qdemo.spec.evidence import Item
from qdemo.spec.messages import say
from qdemo.spec.model_card import MADE_HERE
from qdemo.spec.request import InputError

MOST_MEMBERS = 1000
MOST_UNPACKED = 200_000_000
CAPTIONS = ("captions.jsonl", "captions.csv")
"""Either of them may stand beside the pictures, and name them as `input`."""

_ENTRY = b"PK\x01\x02"  # what an entry of a zip's directory begins with
_OF_SYSTEMS = ("__MACOSX", "Thumbs.db", "desktop.ini")
_READ = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # others may unpack far more than is asked for


@dataclass(frozen=True, eq=False)
class PictureZip:
    """The bytes of a zip, of which the `items` are the pictures by their names in it, and the
    SHA-256 of each one's file, hex."""

    content: bytes
    items: tuple[Item, ...]
    digests: tuple[str, ...]

    def picture(self, name: str) -> Picture:
        """The picture of that name.

        Raises:
            ValueError: it is broken.
        """
        with _opened(self.content) as archive:
            data = _unpacked(archive, archive.getinfo(name), MOST_UNPACKED)
        return read_picture(BytesIO(data), PurePosixPath(name).name)


def read_zip(content: bytes) -> PictureZip:
    """A zip of pictures, looked through once.

    Raises:
        InputError: it is none, holds something else, two files of a name, or too much.
    """
    digests: dict[str, str] = {}
    captions: dict[str, bytes] = {}
    for name, data in _members(content):
        if PurePosixPath(name).name in CAPTIONS:
            captions[name] = data
        else:
            _check(name, data)
            digests[name] = hashlib.sha256(data).hexdigest()
    if not digests or len(captions) > 1:
        raise refused(
            say(
                "the zip has {pictures} pictures and {captions} files of captions; expected one "
                "picture or more, and one file of captions at most",
                pictures=len(digests),
                captions=len(captions),
            )
        )
    items = {name: Item(name) for name in digests}
    for name, data in captions.items():
        items |= _captioned(items, name, data)
    return PictureZip(content, tuple(items.values()), tuple(digests.values()))


def _captioned(items: Mapping[str, Item], name: str, data: bytes) -> dict[str, Item]:
    """The items that a file of captions says something of; it names them from its own folder."""
    path = PurePosixPath(name)
    found: dict[str, Item] = {}
    try:
        for line, told in lines_of(decoded(data), path.suffix):
            picture = str(path.parent / told.input)
            if picture not in items or picture in found:
                raise refused(
                    say(
                        "line {line}: {picture:.80} is no picture in the zip, or named twice",
                        line=line,
                        picture=repr(told.input),
                    )
                )
            found[picture] = replace(told, input=picture)
    except InputError as error:
        raise refused(say("{name}: {error}", name=path.name, error=str(error))) from None
    return found


def _members(content: bytes) -> Iterator[tuple[str, bytes]]:
    """The name and the bytes of each file that a person put there."""
    if content.count(_ENTRY) > MOST_MEMBERS:  # before each becomes an object
        raise refused(say("the zip has more than {most:,} files", most=MOST_MEMBERS))
    left = MOST_UNPACKED
    seen: set[str] = set()
    with _opened(content) as archive:
        for info in archive.infolist():
            if info.is_dir() or _is_of_systems(info.filename):
                continue
            if info.filename in seen:
                raise refused(say("the zip has two files named {name!r:.80}", name=info.filename))
            seen.add(info.filename)
            data = _unpacked(archive, info, left)
            left -= len(data)
            yield info.filename, data


def _is_of_systems(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any((part.startswith(".") and part != "..") or part in _OF_SYSTEMS for part in parts)


@contextmanager
def _opened(content: bytes) -> Iterator[zipfile.ZipFile]:
    """The archive, whose errors are sentences."""
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            yield archive
    except InputError:
        raise
    except Exception:  # zipfile's, of many kinds, on files that are cut, locked, or lie
        raise refused(say("the file is no zip that can be read: broken, or locked")) from None


def _unpacked(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int) -> bytes:
    """Its bytes, of which no more than `most` are ever made."""
    if info.compress_type not in _READ:
        raise refused(
            say("{name!r:.80} is packed in a rare way; make an ordinary zip", name=info.filename)
        )
    with archive.open(info) as member:
        data = member.read(most + 1)
    if len(data) > most:
        raise refused(
            say("the zip unpacks to more than {most:,} MB", most=MOST_UNPACKED // 1_000_000)
        )
    return data


def _check(name: str, data: bytes) -> None:
    """Whether it is a picture, by a name that is not one of ours and that can be shown."""
    if name.startswith(MADE_HERE) or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise refused(say("{name!r:.80} can't be a file's name here", name=name))
    try:
        check_readable(data, PurePosixPath(name).name)
    except ValueError as error:
        raise refused(say("in the zip, {error}", error=str(error))) from None


_LONGEST_NAME = 200
