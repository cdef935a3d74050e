"""Terms: every word that a page explains where it stands, out of its figure or the glossary."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from markupsafe import Markup, escape

from qdemo.spec.also_called import ALSO_CALLED, ALSO_WRITTEN, IN_TEXT
from qdemo.spec.figure import Figure
from qdemo.spec.glossary import TERMS, Term
from qdemo.spec.messages import say
from qdemo.views.tables import Table
from qdemo.views.templates import asset, button, fill


def terms(figures: Sequence[Figure]) -> list[Term]:
    """The figures as terms, and the glossary, in the language that is spoken; what means nothing
    alone, such as the end of an interval, is left to its figure."""
    ends = {end for figure in figures for end in (figure.low, figure.high)}
    measured = [
        Term(figure.key, figure.label, figure.definition, ALSO_CALLED.get(figure.key, ""))
        for figure in figures
        if figure.key not in ends
    ]
    return [
        Term(term.key, say(term.name), say(term.definition), term.also_called)
        for term in (*measured, *TERMS)
    ]


def name_of(key: str) -> str:
    """What the glossary calls the term of that key."""
    return next(say(term.name) for term in TERMS if term.key == key)


def key_of(head: str) -> str:
    """The term that the head of a column is, by its words; empty where it is none.

    >>> key_of("SQNR, dB"), key_of("scale"), key_of("way")
    ('sqnr', 'scale', '')
    """
    named, (name, *_) = _named(), head.split(", ")
    return named.get(head) or named.get(name, "")


def heads(table: Table) -> list[tuple[str, str]]:
    """What stands over each column, with the term that it is; empty where it is none."""
    return list(zip(table.head, table.keys or map(key_of, table.head), strict=True))


def _named() -> dict[str, str]:
    """The keys of terms by all that they are called here."""
    named = {str(say(term.name)): term.key for term in TERMS}
    return named | {str(say(text)): key for text, key in ALSO_WRITTEN.items()}


def with_terms(sentence: str) -> Markup:
    """A sentence as HTML in which each term can be pressed where it stands first.

    >>> print(with_terms("0.976 nats, <int3>"))
    0.976 <button type="button" class="term" data-term="nats">nats</button>, &lt;int3&gt;
    """
    named = {text: key for text, key in _named().items() if key in IN_TEXT}
    longest_first = sorted(named, key=len, reverse=True)
    words = "|".join(map(re.escape, longest_first))
    parts, told = re.split(rf"(?<![\w.+-])({words})(?![\w+-]|\.\w)", sentence), set[str]()
    shown = []
    for word in parts:
        key = named.get(word, "")
        shown.append(button(key, word) if key not in told else escape(word))
        told |= {key} - {""}
    return Markup("").join(shown)


def head(figures: Sequence[Figure], page: str = "") -> str:
    """What a page needs in its head, so that its terms can be pressed: each definition once, and
    the script; `page` is the address of all terms, where there is such a page."""
    told = {
        "terms": {
            term.key: {"name": term.name, "means": term.definition, "also": term.also_called}
            for term in terms(figures)
        },
        "also": say("also called: {names}"),
        "all": say("all terms"),
        "page": page,
    }
    text = json.dumps(told, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    return fill("terms_head", told=text, script=asset("terms.js"))


def glossary(figures: Sequence[Figure]) -> Table:
    """All terms by name, with what files call those that are figures."""
    keys = {figure.key: figure for figure in figures}
    rows = sorted(
        (
            (term.name, term.definition, term.also_called, _in_files(keys.get(term.key)))
            for term in terms(figures)
        ),
        key=lambda row: row[0].casefold(),
    )
    columns = (say("term"), say("what it means"), say("also called"), say("in files"))
    return Table(
        say("Every term, and every figure of a report"), columns, tuple(rows), of_words=True
    )


def _in_files(figure: Figure | None) -> str:
    if figure is None:
        return ""
    return f"{figure.key}, {say(figure.unit)}" if figure.unit else figure.key
