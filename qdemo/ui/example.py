"""The comparison that is on screen before anyone has asked for one; it was computed earlier."""

from __future__ import annotations

import json
from functools import cache

from qdemo.document import Document
from qdemo.views.templates import ASSETS

FILE = ASSETS / "examples" / "t5-tiny.json"


@cache
def example() -> Document:
    """The document of the example; `python -m assets.examples` computes it anew."""
    document: Document = json.loads(FILE.read_text(encoding="utf-8"))
    return document


def note() -> str:
    """When and where it was computed, to be shown beside it."""
    document = example()
    machine = document["machine"]
    return (
        f"An example, computed earlier ({document['computed'][:10]}, {machine['threads']} threads "
        f"of {machine['processor']}). Press Compare to compute your own."
    )
