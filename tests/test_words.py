"""Every sentence that a person reads goes through the catalogue, and the catalogue has them all."""

import ast
import doctest
import importlib
import re
from html.parser import HTMLParser
from io import BytesIO
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

locale = importlib.import_module("assets.locale.__main__")

ROOT = Path(__file__).parent.parent
SHOWN = sorted([*(ROOT / "qdemo" / "views").rglob("*.py"), *(ROOT / "qdemo" / "ui").rglob("*.py")])
PAGES = sorted((ROOT / "assets" / "templates").glob("*.html"))
DECLARED = {text for _, text in locale.declared()}

NO_SENTENCES = {
    "Source Sans Pro, sans-serif": "fonts",
    "Source Sans Pro": "a font",
    "IBM Plex Mono": "a font",
    "img-src 'self' data: blob:": "a header",
    "A picture as the file that was uploaded.": "a docstring",
    "No supported WebSocket library": "uvicorn's, looked for in the log",
    "a request failed: …": "for the log",
    "Sort these words: pig, onion, river, wolf": "a prompt, in its model's language",
    "Tell me about the capital of France.": "a prompt, in its model's language",
    "Translate to German: Tuesday": "a prompt, in its model's language",
    "What the embedded models can do": "a section of the README, looked for there",
    "A variant in one word": "a section of the README, looked for there",
    "What each number means": "a section of the README, looked for there",
}  # fmt: skip
"""What has three words and is not said to people on a page (its first line), and why."""

NOT_FOR_PEOPLE = {"elem_id", "elem_classes", "js", "js_on_load", "css", "head"}
"""Arguments that are code."""

LOG = {"debug", "info", "warning", "error", "exception"}
"""What a log is told is for the host."""


def names(path):
    return str(path.relative_to(ROOT))


def test_the_file_is_what_the_command_writes():
    """`python -m assets.locale` brings it up to date."""
    assert locale.FILE.read_text(encoding="utf-8") == locale.catalogue()


def test_the_collector_does_what_it_says():
    assert doctest.testmod(locale) == (0, 2)


def test_babel_reads_each_sentence_once():
    text = locale.FILE.read_text(encoding="utf-8")
    entries = re.findall(r"^msgid (?!\"\"$)", text, re.MULTILINE)
    read = [message for message in read_po(BytesIO(text.encode())) if message.id]
    assert len(read) == len(entries) > 300
    assert not any(message.string and any(message.string) for message in read)


def words(text):
    """Its words of plain letters."""
    return re.findall(r"(?<!\S)[A-Za-z'’]+[,.;:!?]?(?!\S)", text)


def sentences(source):
    """What reads like a sentence and is said without `say`."""
    tree = ast.parse(source)
    code = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):  # a docstring
            code.add(node.value)
        elif isinstance(node, ast.Dict):
            code.update(node.keys)
        elif isinstance(node, ast.keyword) and node.arg in NOT_FOR_PEOPLE:
            code.update(ast.walk(node.value))
        elif isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            code.update(node.args[: locale.SAYING.get(name, 0)])
            if name.startswith("re.") or name.rpartition(".")[2] in LOG:
                code.update(node.args)
        elif isinstance(node, ast.JoinedStr):
            code.update(node.values)  # as parts; the whole is looked at
    for node in ast.walk(tree):
        if node not in code and (text := text_of(node)) and len(words(text)) >= 3:
            yield node.lineno, text


def text_of(node):
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or "…" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


@pytest.mark.parametrize("path", SHOWN, ids=names)
def test_no_sentence_is_said_past_the_catalogue(path):
    """`say`s it, or has a reason in `NO_SENTENCES`."""
    found = [
        f"{names(path)}:{line}: {text}"
        for line, text in sentences(path.read_text(encoding="utf-8"))
        if text not in DECLARED and text.strip().partition("\n")[0] not in NO_SENTENCES
    ]
    assert not found


def test_every_exception_is_still_one():
    texts = [text for path in SHOWN for _, text in sentences(path.read_text(encoding="utf-8"))]
    assert NO_SENTENCES.keys() == {text.strip().partition("\n")[0] for text in texts} - DECLARED


LOOKED_UP = {
    "head", "figure.unit", "figure.none", "term.name", "term.definition",
    "text", "card.trained_for",
    "self.heading", "self.lead", "e.family.label", "family.label", "field.label",
    "field.placeholder", "family.name", "family.idea", "one.name", "part.meaning",
    "kind", "UNITS[kind]", "NOTES[tool]", "WHY[left.why]", "WAYS[way]", "WHOLE_MODEL",
}  # fmt: skip
"""What is said without its template beside it: `assets.locale` has these by `declared`."""


def test_what_is_said_can_be_collected():
    found = {
        ast.unparse(template)
        for path in sorted((ROOT / "qdemo").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in locale.SAYING
        for template in node.args[: locale.SAYING[ast.unparse(node.func)]]
        if not isinstance(template, ast.Constant)
    }
    assert found == LOOKED_UP


class Read(HTMLParser):
    """What is read of a page, or read out: its text and the names of its parts."""

    def __init__(self, html):
        super().__init__()
        self.read, self.inside = [], None
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.inside = tag
        self.read += [told for name, told in attrs if name in ("aria-label", "title", "alt")]

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.inside not in ("script", "style"):
            self.read.append(data)


@pytest.mark.parametrize("path", PAGES, ids=names)
def test_a_template_has_no_words_of_its_own(path):
    plain = re.sub(r"\{\{.*?\}\}|\{%.*?%\}", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert set(re.findall(r"[^\W\d_]+", " ".join(Read(plain).read))) <= {"qdemo"}
