"""The figures of the course, and where ours come from.

The course is "Quantization Fundamentals with Hugging Face" (torch 2.1.1, transformers 4.35.0).
Ours are computed when they are shown.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).parents[2] / "assets" / "course.json"


@dataclass(frozen=True)
class Figure:
    """What the course prints, what we compute, and a sentence where the two differ."""

    what: str
    course: str
    ours: str
    note: str


Ours = Mapping[str, Callable[[], str]]
"""How to compute each figure of a page, by what it is."""


def figures(page: str, ours: Ours) -> list[Figure]:
    """The figures of one page in the course's order, those in `ours` computed now."""
    printed = json.loads(FILE.read_text(encoding="utf-8"))[page]
    return [
        Figure(line["what"], line["course"], ours[line["what"]](), line.get("note", ""))
        for line in printed
        if line["what"] in ours
    ]
