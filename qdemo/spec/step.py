"""What becomes of a layer, as a value with a text form: how its weight is held and found, and what
its input becomes.

A step's text begins with the grid (or a name that stands for a whole scheme, such as `mxfp4`), then
granularity, then how the numbers are found: `int4-g64-affine`, `nf4-g64-dq`, `int2-g64-mse-gptq`,
`int8a8-sq0.5`, `llm.int8`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from qdemo.spec.formats import GRIDS
from qdemo.spec.messages import say
from qdemo.spec.scheme import COMPUTE_FORMATS, NAME_OF, NAMED, Scheme, check_in, read_scheme

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
                raise ValueError(
                    say("{key} is {found!r}, which is not known", key=key, found=value)
                )

    @property
    def parts(self) -> list[str]:
        """The parts of the text form, in their order; none is the usual."""
        return [value for key, value in vars(self).items() if value != getattr(Recipe, key)]

    @property
    def looks_at_inputs(self) -> bool:
        """Whether it is fitted to what a layer is given by calibration inputs."""
        return bool(self.compensate) or self.transform not in (None, "rot")

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
                raise ValueError(
                    say(
                        "{part!r} in {text!r} says {key} a second time",
                        part=part,
                        text=text,
                        key=key,
                    )
                )
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
            raise ValueError(
                say(
                    "{self} is not known; expected bits=8, with threshold=6.0 or without", self=self
                )
            )


_NEAREST, _FLOAT, _INT8 = Recipe(), Activations(), Scheme("int8")


@dataclass(frozen=True)
class Step:
    """What becomes of a layer: a cast to what is computed in, or to `cast`; or a quantized weight.

    >>> Step.parse("int4-g64-hqq").scheme.zero_point, str(Step.parse("nf4"))
    ('float', 'nf4-g64')

    Raises:
        ValueError: a combination that has no meaning.
    """

    scheme: Scheme | None = None
    recipe: Recipe = _NEAREST
    activations: Activations = _FLOAT
    cast: str | None = None

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.scheme is not None and self.cast is not None:
            raise ValueError(
                say(
                    "a layer is {scheme} or cast to {cast}, not both",
                    scheme=self.scheme,
                    cast=self.cast,
                )
            )
        if self.cast is not None:
            check_in("cast", self.cast, COMPUTE_FORMATS)
        _check_parts(self)

    @property
    def is_found(self) -> bool:
        """Whether numbers are searched for, which takes a while: by the recipe, or by the very
        format, as K-quants do (those of FLAN-T5-small take three to seven seconds)."""
        of_itself = self.scheme is not None and self.scheme.scale.startswith("k")
        return of_itself or self.recipe != _NEAREST

    def __str__(self) -> str:
        """The text form, which `parse` reads."""
        if self.scheme is None:
            return self.cast or COMPUTE_FORMATS[0]
        if self.activations.threshold is not None:
            return "llm.int8"
        name, *parts = str(self.scheme).split("-")
        if self.recipe.range == "hqq":
            parts.remove("affine")
        if self.activations.bits:
            name += f"a{self.activations.bits}"
        return "-".join([name, *parts, *self.recipe.parts])

    @classmethod
    def parse(cls, text: str) -> Step:
        """Read the text form of a step.

        Raises:
            ValueError: says which part is wrong, and what is allowed.
        """
        if text in COMPUTE_FORMATS:
            return cls(cast=text)
        if text == "llm.int8":
            return cls(_INT8, activations=Activations(bits=8, threshold=6.0))
        name, *parts = text.split("-")
        if name == "llm.int8":
            raise ValueError(say("llm.int8 is int8 alone; leave -{part} out", part=parts[0][:60]))
        activations = _FLOAT
        if name.endswith("a8") and name.removesuffix("a8") in GRIDS:
            name, activations = name.removesuffix("a8"), Activations(8)
        if name not in GRIDS and name not in NAMED:
            raise ValueError(
                say(
                    "unknown format {found!r}; expected one of {names}",
                    found=name[:60],
                    names=", ".join((*COMPUTE_FORMATS, *GRIDS, *NAMED, "llm.int8")),
                )
            )
        ways = [part for part in parts if field_of(part)]
        scheme = read_scheme(name, [part for part in parts if not field_of(part)], text[:60])
        return cls(*_found(scheme, ways, text[:60]), activations)


def _found(scheme: Scheme, ways: list[str], text: str) -> tuple[Scheme, Recipe]:
    recipe = Recipe.parse(ways, text)
    if recipe.range == "hqq":
        if scheme in NAME_OF:
            raise ValueError(_say_defined(scheme, recipe))
        if not scheme.symmetric:
            raise ValueError(
                say("'affine' in {text!r}: -hqq is affine, with a float zero point", text=text)
            )
        scheme = replace(scheme, symmetric=False, zero_point="float")
    return scheme, recipe


def _check_parts(step: Step) -> None:
    """Whether the parts go together, and the text form says all of them."""
    scheme, found = step.scheme, step.activations
    if scheme is None:
        if step.recipe != _NEAREST or found != _FLOAT:
            raise ValueError(say("a cast has no recipe, and leaves activations as they are"))
        return
    if scheme in NAME_OF and step.recipe.range != "absmax":
        raise ValueError(_say_defined(scheme, step.recipe))
    if scheme not in NAME_OF:
        if (scheme.zero_point == "float") != (step.recipe.range == "hqq"):
            raise ValueError(say("a float zero point is what -hqq finds, and nothing else does"))
        if scheme.scale not in ("fp32", "dq"):
            raise ValueError(
                say(
                    "scales in {scale} belong to {names}",
                    scale=scheme.scale,
                    names=", ".join(NAMED),
                )
            )
    if found.bits and (scheme.grid != "int8" or scheme in NAME_OF):
        raise ValueError(
            say("activations in 8 bits go with int8 weights, not with {scheme}", scheme=scheme)
        )
    if found.threshold and (scheme, step.recipe) != (_INT8, _NEAREST):
        raise ValueError(say("llm.int8 is int8 alone, not {scheme}", scheme=scheme))


def _say_defined(scheme: Scheme, recipe: Recipe) -> str:
    return say(
        "{name} defines its scales; leave -{part} out", name=NAME_OF[scheme], part=recipe.range
    )
