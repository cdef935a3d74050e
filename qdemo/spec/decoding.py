"""How a prompt is read, and how the tokens of an answer are chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from qdemo.spec.messages import say

ReadAs = Literal["chat", "text", "score"]

READ_AS: tuple[ReadAs, ...] = get_args(ReadAs)
"""`chat`: as a message, which the model answers, in its chat template where it has one; `text`: as
the beginning of a text, which the model goes on with; `score`: as a whole text, of which nothing is
answered: what the model makes of each of its tokens is measured."""

Ended = Literal["end", "length", "repetition"]
"""Why an answer ends: at an end token, at the longest that it may be, or in a circle."""

Ending = Literal["", Ended, "given"]
"""The same in a report: "" where it is not known, "given" of a text that is scored."""

HOTTEST = 5.0
LARGEST_SEED = 2**31 - 1


@dataclass(frozen=True)
class Decoding:
    """`temperature` 0 is greedy: the likeliest token. Above it a token is drawn, by one number a
    position out of `seed`, the same for every format; a greedy one has no use for a seed.

    >>> Decoding(), Decoding(temperature=0.7, seed=3).is_greedy
    (Decoding(read_as='chat', temperature=0.0, seed=0), False)

    Raises:
        ValueError: a value that it can't have.
    """

    read_as: ReadAs = "chat"
    temperature: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.read_as not in READ_AS:
            raise ValueError(
                say(
                    "read_as is {found!r:.40}, expected one of {names}",
                    found=self.read_as,
                    names=", ".join(READ_AS),
                )
            )
        if not 0 <= self.temperature <= HOTTEST:  # NaN neither
            raise ValueError(
                say(
                    "temperature is {found!r:.20}, expected 0 to {most:g}",
                    found=self.temperature,
                    most=HOTTEST,
                )
            )
        if not 0 <= self.seed <= LARGEST_SEED:
            raise ValueError(
                say(
                    "seed is {found!r:.20}, expected a whole number from 0 to {most:,}",
                    found=self.seed,
                    most=LARGEST_SEED,
                )
            )

    @property
    def is_greedy(self) -> bool:
        """Whether the likeliest token is taken."""
        return self.temperature == 0

    @property
    def asked(self) -> dict[str, str]:
        """What an address has of it: what differs from the default.

        >>> Decoding("text", 0.7, 3).asked
        {'read_as': 'text', 'temperature': '0.7', 'seed': '3'}
        """
        found: dict[str, str] = {} if self.read_as == "chat" else {"read_as": self.read_as}
        if not self.is_greedy:
            exactly = str(self.temperature).removesuffix(".0")
            found |= {"temperature": exactly, "seed": str(self.seed)}
        return found

    @classmethod
    def read(cls, given: Mapping[str, object]) -> Decoding:
        """The same from what came from outside, as text or as numbers; None, or nothing, is the
        default. A greedy one has seed 0, and of a text that is scored nothing is drawn.

        >>> Decoding.read({"temperature": "0.7", "seed": 3, "read_as": None})
        Decoding(read_as='chat', temperature=0.7, seed=3)

        Raises:
            DecodingError: a value that it can't have; names which.
        """
        made = cls()
        for name, convert in _CONVERT.items():
            value = given.get(name)
            if value is None or value == "":
                continue
            try:
                made = replace(made, **{name: convert(value)})
            except (TypeError, ValueError, OverflowError) as error:
                raise DecodingError(name, _said(name, value, error)) from None
        if made.is_greedy or made.read_as == "score":
            return replace(made, temperature=0.0, seed=0)
        return made


GREEDY = Decoding()
"""The default: a message, answered by the likeliest tokens."""


class DecodingError(ValueError):
    """A value that can't be; `name` says whose."""

    def __init__(self, name: str, message: str) -> None:
        """Keep the name beside the message."""
        super().__init__(message)
        self.name = name


def _whole(value: Any) -> int:
    whole = int(value)
    if isinstance(value, bool) or (whole != value and str(whole) != str(value)):
        raise ValueError
    return whole


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise ValueError
    return float(value)


_CONVERT: dict[str, Callable[[Any], Any]] = {"read_as": str, "temperature": _number, "seed": _whole}


def _said(name: str, value: object, error: Exception) -> str:
    own = str(error)
    if own.startswith(name):
        return own
    return say("{name} is {found}, no number that it can be", name=name, found=short(value))


def short(value: object) -> str:
    """As much of it as a message has room for; a number of 5,000 digits can't even be written."""
    try:
        return f"{value!r:.20}"
    except ValueError:
        return say("far too large")
