"""What a page shows: it holds the number under which the server keeps the report itself, and what
asks for it again. So neither a restart nor other visitors make it another's, or nothing. The first
thing that it shows was computed before anyone has asked."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import cache

from qdemo.engine.engine import ENGINE
from qdemo.engine.keeping import Shown
from qdemo.spec import document
from qdemo.spec.figure import Figure, Figures
from qdemo.spec.messages import say_counted
from qdemo.spec.report import Report
from qdemo.spec.request import as_query
from qdemo.views.templates import ASSETS

EXAMPLE = "example"
FILE = ASSETS / "examples" / "t5-tiny.json"
FIGURES = ASSETS / "examples" / "figures.json"


@dataclass(frozen=True)
class Held:
    """What a page holds of the comparison on its screen.

    `number` is that of the report. `address` asks for it again, as a link does. `model` and
    `input` are the question, to be told from what is in the controls now.
    """

    number: str = ""
    address: str = ""
    model: str = ""
    input: str = ""

    def __str__(self) -> str:
        """As the page has it."""
        return json.dumps(asdict(self))

    @classmethod
    def read(cls, text: object) -> Held:
        """Undo `str`; whatever else comes is nothing that is held."""
        try:
            found = json.loads(str(text))
            fields = {key: found[key] for key in ("number", "address", "model", "input")}
        except (ValueError, KeyError, TypeError, RecursionError):
            return cls()
        return cls(**fields) if all(isinstance(value, str) for value in fields.values()) else cls()

    def keep(self, report: Report, picture: str = "") -> None:
        """Have the server keep what is shown, as long as it has room."""
        ENGINE.keeping.keep_shown(self.number, Shown(report, picture))

    def shown(self) -> Shown | None:
        """What is shown, where the server still has it."""
        return Shown(example()) if self.number == EXAMPLE else ENGINE.keeping.shown(self.number)

    def report(self) -> Report | None:
        """The report in it."""
        shown = self.shown()
        return None if shown is None else shown.report


def of_example() -> Held:
    """What a page holds that has asked for nothing yet."""
    report = example()
    address = as_query(report.model, report.formats[1:], report.input)
    return Held(EXAMPLE, address, report.model, report.input)


@cache
def example() -> Report:
    """The example; `python -m assets.examples` computes it anew."""
    return document.from_text(FILE.read_bytes())


@cache
def figures() -> Figures:
    """Every figure that a report may have: measures declare them, which takes torch, and pages
    explain them before that is there. `python -m assets.examples` writes them anew."""
    found = json.loads(FIGURES.read_text(encoding="utf-8"))
    return tuple(Figure(**one | {"heads": tuple(map(tuple, one["heads"]))}) for one in found)


def figures_as_text(declared: Figures) -> str:
    """The same, as the file has them."""
    return json.dumps(list(map(asdict, declared)), ensure_ascii=False, indent=1) + "\n"


def note() -> str:
    """When and where it was computed, to be shown beside it."""
    report = example()
    return say_counted(
        "An example, computed earlier ({date}, {count} thread of {processor}). Press Compare to "
        "compute your own.",
        "An example, computed earlier ({date}, {count} threads of {processor}). Press Compare to "
        "compute your own.",
        report.machine.threads,
        date=report.computed[:10],
        count=report.machine.threads,
        processor=report.machine.processor,
    )
