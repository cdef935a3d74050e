"""How a quantized weight is found, and what its layer's input becomes, as values with a text."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_WAYS = {"mse": "range", "hqq": "range", "awq": "transform", "rot": "transform",
         "gptq": "compensate"}  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """How numbers are found on the same grid: the `range` that a scale is chosen from (`absmax`,
    `mse`, `hqq`), a `transform` of the weight before (`awq`, `sq0.5`, `rot`), and what makes up for
    the error that was made already (`compensate`, `gptq`).

    >>> Recipe.parse(["gptq", "mse"], "int2-gptq-mse").parts
    ['mse', 'gptq']

    Raises:
        ValueError: a part is not known.
    """

    range: str = "absmax"
    transform: str | None = None
    compensate: str | None = None

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        for key, value in vars(self).items():
            if value != getattr(Recipe, key) and field_of(str(value)) != key:
                raise ValueError(f"{key} is {value!r}, which is not known")

    @property
    def parts(self) -> list[str]:
        """The parts of the text form, in their order; none is the usual."""
        return [value for key, value in vars(self).items() if value != getattr(Recipe, key)]

    @classmethod
    def parse(cls, parts: list[str], text: str) -> Recipe:
        """Read parts of `text` of which each has a field.

        Raises:
            ValueError: two say the same.
        """
        recipe = cls()
        for part in parts:
            key = str(field_of(part))
            if getattr(recipe, key) != getattr(cls, key):
                raise ValueError(f"{part!r} in {text!r} says {key} a second time")
            recipe = replace(recipe, **{key: part})
        return recipe


def field_of(part: str) -> str | None:
    """The field of `Recipe` that a part of a text is about."""
    smooth = re.fullmatch(r"sq(0\.[0-9]{0,2}[1-9]|[01])", part)  # α of SmoothQuant, written one way
    return "transform" if smooth else _WAYS.get(part)


@dataclass(frozen=True)
class Activations:
    """What a layer's input becomes: integers of so many `bits`, a token's own scale; columns with
    an entry of `threshold` or more stay float (Dettmers et al., "LLM.int8()", 2022).

    Raises:
        ValueError: what no text form says.
    """

    bits: int | None = None
    threshold: float | None = None

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if (self.bits, self.threshold) not in ((None, None), (8, None), (8, 6.0)):
            raise ValueError(f"{self} is not known; expected bits=8, with threshold=6.0 or without")
