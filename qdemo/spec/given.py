"""What a family of models asks a person for: what builds the page's controls, the command line's
options, the arguments of the API, and links.

>>> prompt = Field("prompt", "text", "Prompt", examples=("What is 59 + 64?",))
>>> prompt.first
'What is 59 + 64?'
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as kept
from typing import Literal

from qdemo.spec.decoding import ReadAs
from qdemo.spec.messages import say


@dataclass(frozen=True)
class Field:
    """One thing that is asked for, by its `name`: "prompt", "picture".

    `kind` says what the value is, and with it which control shows it and what checks it: a text is
    a `str`; a picture is a `qdemo.models.pictures.Picture`, which is asked for again by its name.
    `label` and `placeholder` are what a person reads. `examples` are values that can be taken as
    they are: texts, or the names of pictures; `examples_as` those for other ways of reading a
    prompt. Families that share a field have examples of their own.

    A family with one field is given that field's value; one with several would be given a mapping
    from their names.
    """

    name: str
    kind: Literal["text", "picture"]
    label: str
    placeholder: str = ""
    examples: tuple[str, ...] = kept(default=(), compare=False)
    examples_as: Mapping[ReadAs, tuple[str, ...]] = kept(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        """Refuse a name that is no identifier: it becomes an argument, and an option."""
        if not self.name.isidentifier():
            raise ValueError(
                say("field name {name!r}; expected an identifier such as 'prompt'", name=self.name)
            )

    @property
    def first(self) -> str:
        """What a page begins with."""
        return self.examples[0] if self.examples else ""

    def examples_for(self, read_as: ReadAs) -> tuple[str, ...]:
        """What can be taken where a prompt is read in that way."""
        return self.examples_as.get(read_as, self.examples)


def by_name(fields: Iterable[Field]) -> dict[str, Field]:
    """Every field once, in the order in which they are first met: families share some.

    Raises:
        ValueError: two that differ go by one name.
    """
    found: dict[str, Field] = {}
    for field in fields:
        if found.setdefault(field.name, field) != field:
            raise ValueError(say("two fields that differ are named {name!r}", name=field.name))
    return found
