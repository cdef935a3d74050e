"""What a page shows: it holds the number under which the server keeps the document itself, and what
asks for it again. So neither a restart nor other visitors make it another's, or nothing."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from qdemo.document import Document
from qdemo.importing import IMPORTING
from qdemo.request import as_query
from qdemo.ui import example

EXAMPLE = "example"


@dataclass(frozen=True)
class Held:
    """What a page holds of the comparison on its screen.

    `number` is that of the document. `address` asks for it again, as a link does. `model` and
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

    def keep(self, document: Document) -> None:
        """Have the server keep the document, as long as it has room."""
        with IMPORTING:
            from qdemo.ui import kept
        kept.keep_document(self.number, document)

    def document(self) -> Document | None:
        """The document, where the server still has it."""
        if self.number == EXAMPLE:
            return example.example()
        with IMPORTING:
            from qdemo.ui import kept
        return kept.document(self.number)


def of_example() -> Held:
    """What a page holds that has asked for nothing yet."""
    document = example.example()
    model, asked = document["model"], document["input"]
    return Held(EXAMPLE, as_query(model, document["formats"][1:], asked), model, asked)
