"""HTML from templates in which everything is escaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from qdemo.spec.messages import language, say, say_counted
from qdemo.views.exceptions import apart, called

ASSETS = Path(__file__).parents[2] / "assets"

_ENVIRONMENT = Environment(
    loader=FileSystemLoader(ASSETS / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
)
_ENVIRONMENT.globals.update(say=say, say_counted=say_counted, language=language)
_ENVIRONMENT.filters.update(called=called, apart=apart)


def fill(template: str, **values: Any) -> str:
    """The template of that name with these values; text in them stays text."""
    return _ENVIRONMENT.get_template(f"{template}.html").render(values)


def button(key: str, text: str) -> Markup:
    """A text that is a term, by its key; without one it is only escaped."""
    made: Markup = _ENVIRONMENT.get_template("term.html").module.term(key, text)  # type: ignore[attr-defined]
    return made


def asset(name: str) -> str:
    """The text of a file in assets."""
    return (ASSETS / name).read_text(encoding="utf-8")


STYLES = (
    "system", "head", "page", "first_paint", "verdict", "cards", "tables", "tokens", "charts",
    "lab", "evidence", "terms", "stage",
)  # fmt: skip
"""The style sheets, in the order in which a later one may overrule one before."""


def style(own_colours: bool = False) -> str:
    """All style sheets; `own_colours` with what gradio's theme gives, for a page without it."""
    names = [*(["own_colours"] if own_colours else []), *STYLES]
    return "".join(asset(f"style/{name}.css") for name in names)
