"""Collect what is to be translated: `python -m assets.locale` writes `assets/locale/qdemo.pot`.

A language is begun, brought up to date after the next change, and compiled by Babel's own command:

    pybabel init -i assets/locale/qdemo.pot -d assets/locale -D qdemo -l de
    pybabel update -i assets/locale/qdemo.pot -d assets/locale -D qdemo
    pybabel compile -d assets/locale -D qdemo

In between, `assets/locale/de/LC_MESSAGES/qdemo.po` is where it is translated; a sentence that has
no translation is said in English. (Babel may complain of the two that have "95% i": it takes "% i"
for a number in C, and compiles them all the same.) `QDEMO_LANGUAGE=de` makes a process speak it.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from jinja2 import Environment, nodes

from qdemo.measure import FIGURES
from qdemo.models.families import FAMILIES
from qdemo.spec.also_called import ALSO_WRITTEN
from qdemo.spec.evidence_figures import FIGURES as OF_EVIDENCE
from qdemo.spec.exports import NOTES
from qdemo.spec.families import FAMILIES as CHOICES
from qdemo.spec.families import PARTS
from qdemo.spec.figure import Place
from qdemo.spec.footprint import KINDS, WHY
from qdemo.spec.glossary import TERMS
from qdemo.spec.mix import UNITS
from qdemo.spec.model_card import TRAINED_FOR
from qdemo.spec.report import WHOLE_MODEL
from qdemo.spec.setting import WAYS
from qdemo.views import SECTIONS
from qdemo.views.evidence_points import COSTS, MEASURES

ROOT = Path(__file__).parents[2]
FILE = ROOT / "assets" / "locale" / "qdemo.pot"

SAYING = {"say": 1, "say_counted": 2}
"""The functions that say something, and how many templates of it they begin with."""

Templates = tuple[str, ...]
"""One, or English's two forms of it."""

_HEADER = """\
# Every sentence of qdemo, as `python -m assets.locale` finds it.
msgid ""
msgstr ""
"Project-Id-Version: qdemo\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=UTF-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"""


def catalogue() -> str:
    """The text of the file: each entry once, with the files that say it."""
    places: dict[Templates, list[str]] = {}
    for place, templates in _every():
        if any(map(_has_words, templates)):
            places.setdefault(templates, []).append(place)
    entries = [_entry(templates, found) for templates, found in places.items()]
    return "\n".join([_HEADER, *entries])


def _every() -> Iterator[tuple[str, Templates]]:
    """Everything that is said, each with where that is."""
    for path in sorted((ROOT / "qdemo").rglob("*.py")):
        for templates in in_python(path.read_text(encoding="utf-8")):
            yield path.relative_to(ROOT).as_posix(), templates
    for path in sorted((ROOT / "assets" / "templates").glob("*.html")):
        for templates in in_html(path.read_text(encoding="utf-8")):
            yield path.relative_to(ROOT).as_posix(), templates
    for place, text in declared():
        yield place, (text,)


def in_python(source: str) -> Iterator[Templates]:
    """The templates that calls in a module begin with, in its order.

    >>> list(in_python('say("a"); say_counted("{n} b", "{n} bs", n, n=n); say(text)'))
    [('a',), ('{n} b', '{n} bs')]
    """
    calls = [
        (node.lineno, node.col_offset, node.func.id, node.args)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        if node.func.id in SAYING
    ]
    for _, _, name, arguments in sorted(calls, key=lambda call: call[:2]):
        first = arguments[: SAYING[name]]
        yield from _told([one.value for one in first if isinstance(one, ast.Constant)], name)


def in_html(source: str) -> Iterator[Templates]:
    """The same of a page's template.

    >>> list(in_html('<p title="{{ say("a") }}">{% if b %}{{ say("c", d=e) }}{% endif %}</p>'))
    [('a',), ('c',)]
    """
    for call in Environment().parse(source).find_all(nodes.Call):
        if isinstance(call.node, nodes.Name) and call.node.name in SAYING:
            first = call.args[: SAYING[call.node.name]]
            told = [one.value for one in first if isinstance(one, nodes.Const)]
            yield from _told(told, call.node.name)


def _told(texts: list[object], name: str) -> Iterator[Templates]:
    """Them, where all are there; what is looked up elsewhere, `declared` knows."""
    if len(texts) == SAYING[name]:
        yield tuple(map(str, texts))


_OF_EVIDENCE = "qdemo/spec/evidence_figures.py"


def declared() -> Iterator[tuple[str, str]]:
    """What stands in one place and is said where it is shown: of figures, of families and so on."""
    for place, figures in (("qdemo/measure", FIGURES), (_OF_EVIDENCE, OF_EVIDENCE)):
        for figure in figures:
            heads = [figure.head(where) for where in get_args(Place)]
            for text in (figure.label, figure.definition, figure.unit, figure.none, *heads):
                yield place, text or ""
    for family in FAMILIES.values():
        asked = [text for field in family.fields for text in (field.label, field.placeholder)]
        yield from (("qdemo/models/families", text) for text in (family.label, *asked))
    for section in SECTIONS:
        yield from (("qdemo/views/sections.py", text) for text in (section.heading, section.lead))
    for axis in (*MEASURES, *COSTS):
        yield from (("qdemo/views/evidence_points.py", text) for text in (axis.heading, axis.lead))
    for one in CHOICES:
        yield from (("qdemo/spec/families.py", text) for text in (one.name, one.idea))
    yield from (("qdemo/spec/families.py", part.meaning) for part in PARTS)
    terms = [text for term in TERMS for text in (term.name, term.definition)]
    yield from (("qdemo/spec/glossary.py", text) for text in (*terms, *ALSO_WRITTEN))
    yield from (("qdemo/spec/model_card.py", text) for text in TRAINED_FOR.values())
    yield from (("qdemo/spec/footprint.py", text) for text in (*KINDS, *WHY.values()))
    yield from (("qdemo/spec/setting.py", text) for text in WAYS.values())
    yield from (("qdemo/spec/mix.py", text) for text in UNITS.values())
    yield from (("qdemo/spec/exports.py", text) for text in NOTES.values())
    yield "qdemo/spec/report.py", WHOLE_MODEL


def _has_words(template: str) -> bool:
    return bool(re.search(r"[^\W\d_]", re.sub(r"\{.*?\}", "", template)))


def _entry(templates: Templates, places: list[str]) -> str:
    """What gettext's files have for one sentence; JSON escapes text as they do."""
    told = [json.dumps(template, ensure_ascii=False) for template in templates]
    lines = [f"#: {place}" for place in dict.fromkeys(places)]
    if re.search(r"\{\w", templates[0]):
        lines.append("#, python-brace-format")
    if len(told) == 1:
        lines += [f"msgid {told[0]}", 'msgstr ""']
    else:
        lines += [f"msgid {told[0]}", f"msgid_plural {told[1]}", 'msgstr[0] ""', 'msgstr[1] ""']
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    FILE.write_text(catalogue(), encoding="utf-8")
