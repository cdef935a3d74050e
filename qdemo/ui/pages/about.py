"""The About page: what this is, what the models can do, what each number means, versions."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import gradio as gr
from markdown_it import MarkdownIt

from qdemo.spec.evidence_figures import FIGURES
from qdemo.spec.families import FAMILIES
from qdemo.spec.figure import Figures
from qdemo.spec.messages import say
from qdemo.ui import held, parts
from qdemo.views.design import design_html
from qdemo.views.families import family_table, parts_table, told_for
from qdemo.views.panels import table_html
from qdemo.views.tables import Table
from qdemo.views.terms import glossary

README = Path(__file__).parents[3] / "README.md"
SECTIONS = (
    "What the embedded models can do",
    "A variant in one word",
    "What each number means",
    "Licences",
)
"""What the page takes from the README, so that there is one text of it."""

_WITH_FIGURES = "What each number means"
_WITH_FAMILIES = "A variant in one word"

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")

_PACKAGES = ("gradio", "torch", "transformers", "sentencepiece", "safetensors", "pillow", "plotly",
             "pandas")  # fmt: skip


def build(_: gr.Blocks) -> None:
    """Lay the page out; the caller is inside a Blocks."""
    parts.html(prose(f"# {say('About qdemo')}\n\n{introduction()}"))
    for title in SECTIONS:
        parts.html(prose(f"## {title}\n\n{section(title)}"))
        if title == _WITH_FAMILIES:
            for family in FAMILIES:
                parts.html(table_html(family_table(family), say(family.name)), classes="prose-page")
            parts.html(table_html(parts_table(), say("what may stand behind a format")),
                       classes="prose-page")  # fmt: skip
            parts.html(prose(told_for()))
        if title == _WITH_FIGURES:
            terms = table_html(glossary(_figures()))
            parts.html(terms, "glossary", classes="prose-page")
    rows = tuple((name, version(name)) for name in _PACKAGES)
    head = (say("package"), say("version"))
    versions = Table(say("What this page runs on"), head, rows)
    parts.html(table_html(versions), classes="prose-page")
    parts.html(design_html())


def _figures() -> Figures:
    """Those of a report, and what an evaluation has beside them."""
    known = held.figures()
    keys = {figure.key for figure in known}
    return (*known, *(figure for figure in FIGURES if figure.key not in keys))


def prose(text: str) -> str:
    """Markdown of ours as HTML; a table that is wider than its place scrolls."""
    html = str(_MARKDOWN.render(text))
    scroll = f'<div class="scroll" tabindex="0" role="region" aria-label="{say("Table")}"><table>'
    html = html.replace("<table>", scroll).replace("</table>", "</table></div>")
    return f'<section class="prose-page">{html}</section>'


def introduction() -> str:
    """The README's first paragraphs, without its picture."""
    text = README.read_text(encoding="utf-8").partition("\n# ")[2].partition("\n## ")[0]
    return re.sub(r"!\[.*?\]\(.*?\)", "", text.partition("\n")[2]).strip()


def section(title: str) -> str:
    """The README's section of that title.

    Raises:
        ValueError: it has none.
    """
    text = README.read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    if not found:
        raise ValueError(say("the README has no section {title!r}", title=title))
    return found[1].strip()
