"""What a person asks for, checked once; the page, its links and the API all come through here."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from qdemo.importing import IMPORTING
from qdemo.models.availability import offered
from qdemo.models.catalogue import Entry
from qdemo.models.pictures import Picture, named_picture, read_picture

if TYPE_CHECKING:
    from qdemo.spec.variant import Variant

MAX_FORMATS = 8
MAX_CHARACTERS = 4000
MAX_TOKENS = 128
DEFAULT_TOKENS = 64
SMALLER = "smaller"
"""How the name of a picture begins that a browser has made smaller to keep it."""

FIELDS = ("model", "formats", "prompt", "picture", "max_tokens")


class InputError(ValueError):
    """Something asked for that can't be had; `field` says which of `FIELDS` it is about."""

    def __init__(self, field: str, message: str) -> None:
        """Keep the field beside the message."""
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Request:
    """A comparison that can be run: `given` is a prompt or a picture, as the model's task wants.

    `fresh`: whether to compute also what was kept of an earlier comparison.
    """

    entry: Entry
    variants: tuple[Variant, ...]
    given: str | Picture
    max_tokens: int = DEFAULT_TOKENS
    fresh: bool = False

    @classmethod
    def parse(
        cls,
        model: Any,
        formats: Any,
        prompt: Any = None,
        picture: Any = None,
        max_tokens: Any = DEFAULT_TOKENS,
        fresh: Any = False,
    ) -> Request:
        """Check what came from outside. `picture` is a file's path, a picture's name or a Picture.

        Raises:
            InputError: says in a sentence what is wrong.
        """
        entry = parse_model(model)
        variants = parse_formats(formats)
        given = parse_picture(picture) if entry.task == "captioning" else parse_prompt(prompt)
        return cls(entry, variants, given, parse_max_tokens(max_tokens), fresh is True)

    @property
    def field(self) -> str:
        """The field that `given` came in by."""
        return "picture" if isinstance(self.given, Picture) else "prompt"

    def query(self) -> str | None:
        """The part of a link that asks for this again; None where it needs a file that one has."""
        given = self.given.name if isinstance(self.given, Picture) else self.given
        if isinstance(self.given, Picture) and not given.startswith(("gallery:", "scene:")):
            return None
        return as_query(self.entry.name, map(str, self.variants), given, self.max_tokens)


def as_query(
    model: str, formats: Iterable[str], given: str, max_tokens: int = DEFAULT_TOKENS
) -> str:
    """The part of a link that asks for a comparison.

    >>> as_query("t5-tiny", ["int8", "int4-g64"], "Hello")
    'model=t5-tiny&formats=int8,int4-g64&input=Hello&run=1'
    """
    asked = {"model": model, "formats": ",".join(formats), "input": given}
    if max_tokens != DEFAULT_TOKENS:
        asked["max_tokens"] = str(max_tokens)
    return urlencode(asked | {"run": "1"}, safe=":,@")


def from_query(query: Mapping[str, str]) -> dict[str, Any]:
    """The arguments of `Request.parse` that a link carries; what it leaves out is left out.

    >>> from_query({"model": "t5-tiny", "formats": "int8,int4-g64", "input": "Hello", "run": "1"})
    {'model': 't5-tiny', 'formats': ['int8', 'int4-g64'], 'prompt': 'Hello', 'picture': 'Hello'}
    """
    asked: dict[str, Any] = {}
    if "model" in query:
        asked["model"] = query["model"]
    if "formats" in query:
        # A + that was written by hand comes as a blank, which no format has.
        formats = [text.strip().replace(" ", "+") for text in query["formats"].split(",")]
        asked["formats"] = [text for text in formats if text]
    if "input" in query:
        asked["prompt"] = asked["picture"] = query["input"]
    if "max_tokens" in query:
        asked["max_tokens"] = query["max_tokens"]
    return asked


def parse_model(model: Any) -> Entry:
    """The catalogue's entry.

    Raises:
        InputError: there is none of that name, or it is too large to be offered.
    """
    name = _text(model, "model")[:100]
    models = {entry.name: entry for entry in offered()}
    if name not in models:
        raise InputError("model", f"unknown model {name!r}; the models are {', '.join(models)}")
    return models[name]


def parse_formats(formats: Any) -> tuple[Variant, ...]:
    """The variants, each once; fp32, which always runs, needs no naming.

    Raises:
        InputError: none, too many, or one that is no variant.
    """
    texts = formats.split(",") if isinstance(formats, str) else formats
    if not isinstance(texts, Iterable):
        raise InputError("formats", f"expected a list of formats, got {texts!r:.40}")
    try:
        variants = tuple(dict.fromkeys(parse_variant(_text(text)[:60]) for text in texts))
    except ValueError as error:
        raise InputError("formats", str(error)) from None
    if not variants:
        raise InputError("formats", "choose at least one format to compare with fp32")
    if len(variants) > MAX_FORMATS:
        raise InputError("formats", f"{len(variants)} formats; at most {MAX_FORMATS} at a time")
    return variants


def parse_variant(text: str) -> Variant:
    """`Variant.parse`; torch, which comes with it, is imported when a variant is first asked for.

    Raises:
        ValueError: says which part is wrong, and what is allowed.
    """
    with IMPORTING:
        from qdemo.spec.variant import Variant
    return Variant.parse(text)


def parse_prompt(prompt: Any) -> str:
    """A prompt with something in it. (How many tokens it may have, its model knows.)

    Raises:
        InputError: no text, nothing in it, or too much.
    """
    text = _text("" if prompt is None else prompt, "prompt")
    if all(map(_is_unseen, text)):
        raise InputError("prompt", "the prompt is empty; type something, or take an example")
    if not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError("prompt", "the prompt has half a character in it, which no text has")
    if len(text) > MAX_CHARACTERS:
        length = f"the prompt has {len(text):,} characters"
        raise InputError("prompt", f"{length}; at most {MAX_CHARACTERS:,} are read")
    return text


def _is_unseen(character: str) -> bool:
    """Whether nothing of it is seen: a blank, a control, or what Unicode has readers ignore."""
    return unicodedata.category(character) in _UNSEEN or character in _IGNORED


_UNSEEN = ("Cc", "Cf", "Zs", "Zl", "Zp")
_IGNORED = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
"""Fillers and variation selectors, which are letters and marks by category."""


def parse_picture(picture: Any) -> Picture:
    """A picture that can be looked at.

    Raises:
        InputError: none, or one that can't be read.
    """
    if picture is None or picture == "":
        raise InputError("picture", "there is no picture; upload one, or take a scene")
    if isinstance(picture, Picture):
        return picture
    try:
        if isinstance(picture, Path):
            smaller = "a smaller copy of " * picture.name.startswith(SMALLER)
            return read_picture(picture, f"{smaller}the uploaded file")
        return named_picture(_text(picture, "picture")[:100])
    except ValueError as error:
        raise InputError("picture", str(error)) from None


def parse_max_tokens(number: Any) -> int:
    """How many tokens an answer may have.

    Raises:
        InputError: no whole number, or one out of range.
    """
    try:
        whole = int(number)
    except (TypeError, ValueError, OverflowError):
        raise InputError("max_tokens", f"max_tokens is {_short(number)}, no number") from None
    if whole != number and str(whole) != str(number):
        raise InputError("max_tokens", f"max_tokens is {_short(number)}, no whole number")
    if not 1 <= whole <= MAX_TOKENS:
        raise InputError(
            "max_tokens", f"max_tokens is {_short(number)}, expected 1 to {MAX_TOKENS}"
        )
    return whole


def _short(number: Any) -> str:
    """As much of it as a message has room for; a number of 5,000 digits can't even be written."""
    try:
        return f"{number!r:.20}"
    except ValueError:
        return "far too large"


def _text(value: Any, field: str = "formats") -> str:
    if not isinstance(value, str):
        raise InputError(field, f"expected text, got {value!r:.40}")
    return value
