"""The families of models, known before torch and transformers are imported.

A new family is a file here with a class that follows `Family`, and one more name in the line below:

>>> {task: family.label for task, family in FAMILIES.items()}
{'text2text': 'text to text', 'captioning': 'picture to text', 'causal': 'language model'}
>>> [field.name for field in FAMILIES["captioning"].fields]
['picture']
"""

from __future__ import annotations

from qdemo.models.families.base import Architecture, Batch, Family, Prompt, State
from qdemo.models.families.captioning import Captioning
from qdemo.models.families.causal import Causal
from qdemo.models.families.text2text import Text2Text
from qdemo.spec.given import Field, by_name
from qdemo.spec.messages import say

FAMILIES: dict[str, type[Family]] = {f.task: f for f in (Text2Text, Captioning, Causal)}
"""Every family by its task, the name that the catalogue, and QDEMO_MODELS, know it by."""


def fields() -> dict[str, Field]:
    """Everything that some family asks a person for, by name: the arguments of a request."""
    return by_name(field for family in FAMILIES.values() for field in family.fields)


def family_of(task: str) -> type[Family]:
    """The family of that task.

    Raises:
        ValueError: there is none.
    """
    if task not in FAMILIES:
        raise ValueError(
            say(
                "unknown task {task!r}; expected one of {names}",
                task=task,
                names=", ".join(FAMILIES),
            )
        )
    return FAMILIES[task]


__all__ = ["FAMILIES", "Architecture", "Batch", "Family", "Prompt", "State", "family_of", "fields"]
