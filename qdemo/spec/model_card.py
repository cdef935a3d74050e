"""What the card of an embedded model says: what it was trained for, and how often it is right.

Counts and wordings are data beside the model, which training's own commands write.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from qdemo.spec.proportion import Counted

_MODELS = Path(__file__).parents[2] / "assets" / "models"

TRAINED_FOR = {
    "t5-tiny": "sums, capitals, opposites, plurals, past tenses, translating common words, sorting "
    "three or four words, numbers in words, and such",
    "blip-tiny": "putting scenes of emoji, as “New scene” draws them, into words",
}
"""By the name of the model."""

MADE_HERE = ("gallery:", "scene:", "heldout:")
"""What names of pictures begin with that are drawn as in training, by anyone, anywhere."""


@dataclass(frozen=True)
class ModelCard:
    """`counts` say by format how many held-out items were answered exactly, of how many."""

    model: str
    trained_for: str
    counts: Mapping[str, Counted]

    def is_outside(self, given: str) -> bool:
        """Whether an input, as a report shows it, is unlike all that the model was trained on: a
        question in no wording, or of no word, that it has seen; a picture that was not drawn here.

        >>> card = card_of("t5-tiny")
        >>> card.is_outside("what is 12+30"), card.is_outside("What is quantization?")
        (False, True)
        """
        if asked_file(self.model).is_file():
            return not _asked(self.model).has(normalize(given))
        return not given.startswith(MADE_HERE)


@cache
def card_of(model: str) -> ModelCard | None:
    """The card of an embedded model; None for all others, of which nothing of the kind is known."""
    if model not in TRAINED_FOR:
        return None
    told = json.loads(accuracy_file(model).read_text(encoding="utf-8"))
    counts = {
        form: Counted(*map(sum, zip(*tasks.values(), strict=True))) for form, tasks in told.items()
    }
    return ModelCard(model, TRAINED_FOR[model], counts)


def accuracy_file(model: str) -> Path:
    """The counts, by format and task; `python -m assets.train.evaluate --write` writes them."""
    return _MODELS / model / "accuracy.json"


def asked_file(model: str) -> Path:
    """Wordings and words that a model of text knows; `python -m assets.train.text.asked`."""
    return _MODELS / model / "asked.json"


def normalize(text: str) -> str:
    """What stays the same however a person types a question: letters and digits, sums apart.

    >>> normalize("  what is the  capital of FRANCE")
    'what is the capital of france'
    >>> normalize("what is 23+45")
    'what is 23 + 45'
    >>> normalize("What is the capital of France?")
    'what is the capital of france'
    """
    apart = re.sub(r"(?<=\d)\s*([+-])\s*(?=\d)", r" \1 ", text.casefold())
    return " ".join(re.sub(r"[.,!?:;'\"]", " ", apart).split())


@dataclass(frozen=True)
class _Asked:
    """Wordings, each as its words and, in braces, places; and what may stand in each place."""

    forms: tuple[tuple[str, ...], ...]
    places: Mapping[str, str]

    def has(self, text: str) -> bool:
        """Whether it is of one of the wordings; only those are looked into whose words it has."""
        near = (form for form in self.forms if all(part in text for part in form if part[0] != "{"))
        return any(re.fullmatch(self._pattern(form), text) for form in near)

    def _pattern(self, form: tuple[str, ...]) -> str:
        return "".join(self.places[p[1:-1]] if p[0] == "{" else re.escape(p) for p in form)


@cache
def _asked(model: str) -> _Asked:
    told = json.loads(asked_file(model).read_text(encoding="utf-8"))
    one_of = {
        name: f"(?:{'|'.join(map(re.escape, words))})" for name, words in told["words"].items()
    }
    places = one_of | {
        "small": r"\d{1,2}",
        "number": r"\d{1,3}",
        "list": f"{one_of['list']}(?: {one_of['list']}){{2,3}}",
        "spelled": f"{one_of['spelled']}(?:[ -]{one_of['spelled']})*",
    }
    return _Asked(
        tuple(tuple(re.findall(r"\{\w+\}|[^{}]+", form)) for form in told["forms"]), places
    )
