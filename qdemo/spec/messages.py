"""Sentences for people: one catalogue has them all, so that a second language is a file.

The catalogue is gettext's. English is what stands in the code; `python -m assets.locale` collects
it, and says how a translation is made. QDEMO_LANGUAGE names the language that a process speaks.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from gettext import NullTranslations, translation
from pathlib import Path
from string import Formatter

LOCALE = Path(__file__).parents[2] / "assets" / "locale"
_catalogue = NullTranslations()


def speak(language: str, folder: Path = LOCALE) -> None:
    """Say everything in that language from now on; in English what `folder` has no words for."""
    global _catalogue
    _catalogue = translation("qdemo", folder, [language], fallback=True)


speak(os.environ.get("QDEMO_LANGUAGE", "en"))


def language() -> str:
    """The language that is spoken, as HTML names it."""
    return str(_catalogue.info().get("language", "en")).replace("_", "-")


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
    """The sentence of that template, in the catalogue's language, with the values in its braces;
    without any values braces are only signs."""
    told = _catalogue.gettext(template) if template else ""  # whose translation is the header
    if values and told is not template and not _fits(told, template):
        told = template
    return Message(template, values, told.format(**values) if values else told)


def say_counted(one: str, many: str, count: int, /, **values: object) -> Message:
    """The same where a language has forms for numbers: English's two are `one` and `many`.

    >>> [say_counted("{count} token", "{count} tokens", n, count=n) for n in (1, 2)]
    ['1 token', '2 tokens']
    """
    english = one if count == 1 else many
    told = _catalogue.ngettext(one, many, count)
    if told is not english and not _fits(told, one, many):
        told = english
    return Message(english, values, told.format(**values))


@cache
def _fits(told: str, *english: str) -> bool:
    """Whether a translation has the places for values that its English has, each written as there;
    what stands in only one of two English forms may be left out."""
    wanted = [_places(one) for one in english]
    try:
        found = _places(told)
    except ValueError:  # braces that do not match
        return False
    return set.intersection(*wanted) <= found <= set.union(*wanted)


def _places(template: str) -> set[tuple[str, str | None, str | None]]:
    """Each value with how it is written: {size:.2f} is size in the form .2f."""
    parsed = Formatter().parse(template)
    return {(name, form, how) for _, name, form, how in parsed if name is not None}
