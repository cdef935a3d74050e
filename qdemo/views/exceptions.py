"""Exceptions of a format in words: a text form with them grows to hundreds of characters, and names
of modules are long, so cards, charts and sentences call it by less."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from itertools import groupby

from qdemo.spec.messages import say
from qdemo.spec.variant import Variant

_MOST = 2
"""So many modules are named; of more the first, and how many others there are."""


@cache
def called(format: str) -> str:
    """What a format is called where its whole text has no room; whatever is no format with
    exceptions stays as it is.

    >>> called("int2-mse~lm_head=fp32"), called("int8")
    ('int2-mse (lm_head in fp32)', 'int8')
    >>> called("fp32~decoder.block.0.layer.1.EncDecAttention.q=int3")
    'fp32 (decoder 0 EncDecAttention.q in int3)'
    """
    return _told(format, modules_called)


def apart(format: str) -> tuple[str, str]:
    """The same in two: the format itself, and its exceptions, where it has some.

    >>> apart("int2-mse~lm_head=fp32"), apart("int8")
    (('int2-mse', '(lm_head in fp32)'), ('int8', ''))
    """
    if "~" not in format:
        return format, ""
    head, _, exceptions = called(format).partition(" ")
    return head, exceptions


def labels(formats: Sequence[str]) -> list[str]:
    """What they are called in a chart, by even less, where each has to be another.

    >>> labels(["int2~a.0.b.q=fp32", "int8", "int2~a.1.b.q=fp32", "int3~a=fp32~b=fp32"])
    ['int2 (q in fp32)', 'int8', 'int2 (q in fp32), 2', 'int3 (2 layers in fp32)']
    """
    short = [_told(format, _counted) for format in formats]
    before = [short[:at].count(name) for at, name in enumerate(short)]
    return [f"{name}, {n + 1}" if n else name for name, n in zip(short, before, strict=True)]


def _told(format: str, modules: Callable[[tuple[str, ...]], str]) -> str:
    """A format with its exceptions, those of one step together."""
    head, *rest = format.split("~")
    if not rest:
        return format
    try:
        exceptions = Variant.parse(format).exceptions
    except ValueError:
        return format
    runs = groupby(exceptions, key=lambda one: str(one[1]))
    told = [
        say("{modules} in {format}", modules=modules(tuple(name for name, _ in run)), format=step)
        for step, run in runs
    ]
    shown = told if len(told) <= _MOST else [told[0], say("and others")]
    return say("{format} ({exceptions})", format=head, exceptions=", ".join(shown))


def _counted(names: tuple[str, ...]) -> str:
    """One by its own name alone, more by how many they are."""
    if len(names) == 1:
        return names[0].rpartition(".")[2]
    return say("{count} layers", count=len(names))


def module_called(name: str) -> str:
    """A module by the part of the model, the number of its block there, and its own name.

    >>> module_called("decoder.block.0.layer.1.EncDecAttention.q"), module_called("lm_head")
    ('decoder 0 EncDecAttention.q', 'lm_head')
    """
    first, *inner = name.split(".")
    numbers = [at for at, piece in enumerate(inner) if piece.isdigit()]
    if not numbers:
        return name
    return " ".join(filter(None, (first, inner[numbers[0]], ".".join(inner[numbers[-1] + 1 :]))))


def modules_called(names: tuple[str, ...]) -> str:
    """Up to two modules by their names, of more the first.

    >>> modules_called(("a", "b")), modules_called(("a", "b", "c"))
    ('a and b', 'a and 2 more')
    """
    first, *others = map(module_called, names)
    if not others:
        return first
    if len(names) <= _MOST:
        return say("{names} and {last}", names=first, last=others[0])
    return say("{first} and {count} more", first=first, count=len(others))


def shortened_in(text: str) -> str:
    """A sentence of ours in which each format with exceptions goes by what it is called.

    >>> shortened_in("int8 and int2~lm_head=fp32 say it.")
    'int8 and int2 (lm_head in fp32) say it.'
    """
    return _WITH_EXCEPTIONS.sub(lambda found: called(found[0]), text)


_WITH_EXCEPTIONS = re.compile(r"[\w.+@-]+(?:~\w+(?:\.\w+)*=[\w.+@-]*[\w])+")
