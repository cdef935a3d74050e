"""From what comes in to a request that can be run: the model's family says what it has to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from PIL import Image

from qdemo.engine.looking import find
from qdemo.models.availability import UnavailableError, offered
from qdemo.models.catalogue import Entry
from qdemo.models.families import FAMILIES
from qdemo.models.pictures import Picture, named_picture, read_picture
from qdemo.spec.decoding import Decoding
from qdemo.spec.given import Field
from qdemo.spec.messages import say
from qdemo.spec.model_card import MADE_HERE
from qdemo.spec.request import (
    DEFAULT_TOKENS,
    InputError,
    Request,
    as_text,
    parse_decoding,
    parse_formats,
    parse_max_tokens,
    parse_text,
)

SMALLER = "smaller"
"""How the name of a picture begins that a browser has made smaller to keep it."""


def ask(
    model: object,
    formats: object,
    given: Mapping[str, object],
    max_tokens: object = DEFAULT_TOKENS,
    fresh: object = False,
    decoding: Mapping[str, object] = MappingProxyType({}),
) -> Request:
    """Check what came from outside; `given` is by the names of fields, of which the model's family
    takes its own: text, or a picture as a file's path, a picture's name or a Picture. `decoding` is
    what `Decoding.read` reads.

    Raises:
        InputError: says in a sentence what is wrong.
    """
    entry = parse_model(model)
    variants = parse_formats(formats)
    field = field_of(entry)
    value = read(field, given.get(field.name))
    how = parse_decoding(decoding)
    check_reads(entry, how)
    return Request(
        entry.name, variants, value, field.name, parse_max_tokens(max_tokens), fresh is True, how
    )


def check_reads(entry: Entry, decoding: Decoding) -> None:
    """Whether models of that family read a prompt so.

    Raises:
        InputError: they do not.
    """
    reads = entry.family.reads
    if decoding.read_as not in reads:
        raise InputError(
            "read_as",
            say(
                "{model} reads no prompt as {found}; expected {names}",
                model=entry.name,
                found=decoding.read_as,
                names=" or ".join(reads),
            ),
        )


def parse_model(model: object) -> Entry:
    """The entry that is offered under that name; or, where the host allows any, what is found for
    what a person typed: that asks the Hub.

    Raises:
        InputError: there is none of that name, it is too large to be offered, or it can't be had.
    """
    name = as_text(model, "model")
    try:
        return find(name, {entry.name: entry for entry in offered()})
    except (ValueError, UnavailableError) as error:
        raise InputError("model", str(error)) from None


def field_of(entry: Entry) -> Field:
    """What the model's family asks for."""
    return FAMILIES[entry.task].fields[0]


def read(field: Field, value: object) -> object:
    """What was given for a field, checked.

    Raises:
        InputError: it is nothing that it can be.
    """
    return _READ[field.kind](value, field.name)


def typed(model: str, text: str) -> object:
    """What the model's family asks for, as it is typed: the text itself, or the name of a picture
    or of its file.

    Raises:
        ValueError: there is no such model, or no such picture.
    """
    if field_of(find(model)).kind == "text":
        return text
    if text.startswith(MADE_HERE):
        return named_picture(text)
    return read_picture(text, Path(text).name or text)


def name_of(given: object) -> str | None:
    """What it can be asked for by again, from anywhere; None for a file that one has."""
    if not isinstance(given, Picture):
        return str(given)
    return given.name if given.name.startswith(MADE_HERE) else None


def picture_of(given: object) -> object:
    """A picture of another program's as one of ours; whatever else stays what it is."""
    if isinstance(given, Image.Image):
        return Picture(given.convert("RGB"), say("a picture"))
    return given


def _picture(picture: object, field: str) -> Picture:
    if picture is None or picture == "":
        raise InputError(field, say("there is no picture; upload one, or take a scene"))
    if isinstance(picture, Picture):
        return picture
    try:
        if isinstance(picture, Path):
            return read_picture(picture, _called(picture))
        return named_picture(as_text(picture, field)[:100])
    except InputError:
        raise
    except ValueError as error:
        raise InputError(field, str(error)) from None


def _called(picture: Path) -> str:
    if picture.name.startswith(SMALLER):
        return say("a smaller copy of the uploaded file")
    return say("the uploaded file")


_READ: dict[str, Callable[[object, str], object]] = {"text": parse_text, "picture": _picture}
