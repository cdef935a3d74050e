"""Sentences for people: one catalogue has them all, so that a second language is a file.

The catalogue is gettext's, in `assets/locale`; `python -m assets.locale` collects what is to be
translated. English is what stands in the code, and the only language for now.
"""

from __future__ import annotations

from collections.abc import Mapping
from gettext import translation
from pathlib import Path

LOCALE = Path(__file__).parents[2] / "assets" / "locale"
_CATALOGUE = translation("qdemo", LOCALE, fallback=True)


class Message(str):
    """A sentence that still knows its `template` and the `values` that stand in it, by name: who
    catches it can tell it in another language.

    >>> error = ValueError(say("group_size is {size}, expected at least 1", size=0))
    >>> str(error), error.args[0].values
    ('group_size is 0, expected at least 1', {'size': 0})
    """

    template: str
    values: Mapping[str, object]

    def __new__(cls, template: str, values: Mapping[str, object], text: str) -> Message:
        """`text` is the template with the values in it."""
        made = super().__new__(cls, text)
        made.template, made.values = template, values
        return made

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        """Where it is sent on, the sentence is enough."""
        return str, (str(self),)


def say(template: str, /, **values: object) -> Message:
    """The sentence of that template, in the catalogue's language, with the values in its braces."""
    told = _CATALOGUE.gettext(template)
    return Message(template, values, told.format(**values) if values else told)


def say_counted(one: str, many: str, count: int, /, **values: object) -> Message:
    """The same where a language has forms for numbers: English's two are `one` and `many`.

    >>> [say_counted("{count} token", "{count} tokens", n, count=n) for n in (1, 2)]
    ['1 token', '2 tokens']
    """
    told = _CATALOGUE.ngettext(one, many, count)
    return Message(one if count == 1 else many, values, told.format(**values))
