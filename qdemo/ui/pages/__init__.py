"""The pages, the front page first: each is a file with a `build`, and a line here."""

from collections.abc import Callable
from typing import NamedTuple

import gradio as gr

from qdemo.spec.messages import say
from qdemo.ui.pages import about, casting, compare, evidence, formats, linear, methods


class Page(NamedTuple):
    """A page: its title, its path, and what lays it out in a Blocks and connects it."""

    title: str
    path: str
    build: Callable[[gr.Blocks], None]


def pages() -> tuple[Page, ...]:
    """All of them, the front page first."""
    return (
        Page(say("Compare"), "/", compare.build),
        Page(say("Evidence"), "/evidence", evidence.build),
        Page(say("Number formats"), "/formats", formats.build),
        Page(say("Casting"), "/casting", casting.build),
        Page(say("Linear quantization"), "/linear", linear.build),
        Page(say("Methods"), "/methods", methods.build),
        Page(say("About"), "/about", about.build),
    )
