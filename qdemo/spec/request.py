"""What a person asks for, checked once, be it by the page, a link, the API or the terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from qdemo.spec.decoding import GREEDY, Decoding, DecodingError, short
from qdemo.spec.messages import say
from qdemo.spec.variant import Variant

MAX_FORMATS = 12
MAX_CHARACTERS = 4000
MAX_TOKENS = 128
DEFAULT_TOKENS = 64
FEWEST_TIMED = 4
"""Tokens of an answer whose time can be told in parts."""

DEVICES = ("auto", "cpu", "cuda", "mps")
"""What can compute; `auto` is CUDA where there is one, and the CPU elsewhere."""


class InputError(ValueError):
    """Something asked for that can't be had; `field` names the control that it is about: `model`,
    `formats`, `max_tokens`, what `Decoding` has, or what the model's family asks for."""

    def __init__(self, field: str, message: str) -> None:
        """Keep the field beside the message."""
        super().__init__(message)
        self.field = field


@dataclass(frozen=True)
class Request:
    """A comparison that can be run.

    `given` is what the model's family asks for, as text or as a picture, by which it is known again
    (`str`), and `field` the control that it came by. `fresh`: whether to compute also what was kept
    of an earlier comparison.
    """

    model: str
    variants: tuple[Variant, ...]
    given: object
    field: str
    max_tokens: int = DEFAULT_TOKENS
    fresh: bool = False
    decoding: Decoding = GREEDY

    @property
    def formats(self) -> tuple[str, ...]:
        """The variants as text, fp32 first, which always runs."""
        return tuple(dict.fromkeys(map(str, (Variant(), *self.variants))))

    def query(self, name: str | None) -> str | None:
        """What a link carries that asks this again; `name` is what `given` is asked for by, None
        where it needs a file that one has."""
        if name is None:
            return None
        return as_query(self.model, map(str, self.variants), name, self.max_tokens, self.decoding)


def as_query(
    model: str,
    formats: Iterable[str],
    given: str,
    max_tokens: int = DEFAULT_TOKENS,
    decoding: Decoding = GREEDY,
) -> str:
    """The part of a link that asks for a comparison.

    >>> as_query("t5-tiny", ["int8", "int4-g64"], "Hello")
    'model=t5-tiny&formats=int8,int4-g64&input=Hello&run=1'
    """
    asked = {"model": model, "formats": ",".join(formats), "input": given}
    if max_tokens != DEFAULT_TOKENS:
        asked["max_tokens"] = str(max_tokens)
    return urlencode(asked | decoding.asked | {"run": "1"}, safe=":,@~=")


@dataclass(frozen=True)
class Query:
    """What a link asks for; None of what it leaves out."""

    model: str | None = None
    formats: tuple[str, ...] | None = None
    input: str | None = None
    max_tokens: str | None = None
    read_as: str | None = None
    temperature: str | None = None
    seed: str | None = None

    @property
    def decoding(self) -> dict[str, object]:
        """What `Decoding.read` reads."""
        return {"read_as": self.read_as, "temperature": self.temperature, "seed": self.seed}

    @classmethod
    def read(cls, query: Mapping[str, str]) -> Query:
        """What stands in an address.

        >>> Query.read({"model": "t5-tiny", "formats": "int8,int4-g64", "run": "1"}).formats
        ('int8', 'int4-g64')
        """
        formats = None
        if "formats" in query:
            # A + that was written by hand comes as a blank, which no format has.
            texts = [text.strip().replace(" ", "+") for text in query["formats"].split(",")]
            formats = tuple(text for text in texts if text)
        names = ("input", "max_tokens", "read_as", "temperature", "seed")
        return cls(query.get("model"), formats, *map(query.get, names))


def parse_formats(formats: object) -> tuple[Variant, ...]:
    """The variants, each once; fp32, which always runs, needs no naming.

    Raises:
        InputError: none, too many, one that is no variant, or one that is not built yet.
    """
    texts = formats.split(",") if isinstance(formats, str) else formats
    if not isinstance(texts, Iterable):
        raise InputError(
            "formats", say("expected a list of formats, got {found!r:.40}", found=texts)
        )
    try:
        variants = tuple(dict.fromkeys(Variant.parse(as_text(text)) for text in texts))
        for variant in variants:
            variant.check_built()
    except ValueError as error:
        raise InputError("formats", str(error)) from None
    if not variants:
        raise InputError("formats", say("choose at least one format to compare with fp32"))
    if len(variants) > MAX_FORMATS:
        raise InputError(
            "formats",
            say("{count} formats; at most {most} at a time", count=len(variants), most=MAX_FORMATS),
        )
    return variants


def parse_decoding(given: Mapping[str, object]) -> Decoding:
    """How the prompt is read, and tokens are chosen, of `read_as`, `temperature` and `seed`.

    Raises:
        InputError: one is what it can't be.
    """
    try:
        return Decoding.read(given)
    except DecodingError as error:
        raise InputError(error.name, str(error)) from None


def parse_text(text: object, field: str = "prompt") -> str:
    """A text with something in it. (How many tokens it may have, its model knows.)

    Raises:
        InputError: no text, nothing in it, or too much.
    """
    found = as_text("" if text is None else text, field)
    if all(map(_is_unseen, found)):
        raise InputError(
            field, say("the {field} is empty; type something, or take an example", field=field)
        )
    if not found.isascii() and any("\ud800" <= character <= "\udfff" for character in found):
        raise InputError(
            field, say("the {field} has half a character in it, which no text has", field=field)
        )
    if len(found) > MAX_CHARACTERS:
        raise InputError(
            field,
            say(
                "the {field} has {count:,} characters; at most {most:,} are read",
                field=field,
                count=len(found),
                most=MAX_CHARACTERS,
            ),
        )
    return found


def _is_unseen(character: str) -> bool:
    """Whether nothing of it is seen: a blank, a control, or what Unicode has readers ignore."""
    return unicodedata.category(character) in _UNSEEN or character in _IGNORED


_UNSEEN = ("Cc", "Cf", "Zs", "Zl", "Zp")
_IGNORED = frozenset(
    "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u2800\u3164\uffa0"
    + "".join(map(chr, (*range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0))))
)
"""Fillers and variation selectors, which are letters and marks by category."""


def parse_max_tokens(number: object) -> int:
    """How many tokens an answer may have.

    Raises:
        InputError: no whole number, or one out of range.
    """
    try:
        whole = int(number)  # type: ignore[call-overload]
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            "max_tokens", say("max_tokens is {found}, no number", found=short(number))
        ) from None
    if whole != number and str(whole) != str(number):
        raise InputError(
            "max_tokens", say("max_tokens is {found}, no whole number", found=short(number))
        )
    if not 1 <= whole <= MAX_TOKENS:
        raise InputError(
            "max_tokens",
            say(
                "max_tokens is {found}, expected 1 to {most}",
                found=short(number),
                most=MAX_TOKENS,
            ),
        )
    return int(whole)


def as_text(value: object, field: str = "formats") -> str:
    """The value, which has to be text.

    Raises:
        InputError: it is none.
    """
    if not isinstance(value, str):
        raise InputError(field, say("expected text, got {found!r:.40}", found=value))
    return value
