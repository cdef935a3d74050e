"""What becomes of a weight, as values with a text form: how it is held, found, and multiplied.

A step's text begins with the grid (or a name that stands for a whole scheme, such as `mxfp4`), then
granularity, then how the numbers are found: `int4-g64-affine`, `nf4-g64-dq`, `int2-g64-mse-gptq`,
`int8a8-sq0.5`, `llm.int8`. What no part of qdemo computes yet is read all the same, and refused
where it would have to be computed (`Step.missing`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from qdemo.spec.formats import GRIDS, Format
from qdemo.spec.recipe import Activations, Recipe, field_of

COMPUTE_FORMATS = ("fp32", "fp16", "bf16")
"""What a model can compute in."""

_GRANULARITIES = "-tensor (one scale in all), -axis1 (one a column), -g64 (one a group of 64)"
_SCALES = ("fp32", "fp16", "e8m0", "e4m3", "dq", "k4", "k6", "k8")
_ZERO_POINTS = ("int", "float")
_NEAREST, _FLOAT = Recipe(), Activations()
_USUAL_GROUP = 64  # of a codebook, where none is named


@dataclass(frozen=True)
class Scheme:
    """How the numbers of a tensor are held, and which share a scale.

    `grid` names what is stored: `int2` … `int8`, scaled floats such as `fp8_e4m3`, or a codebook
    such as `nf4`. `symmetric` schemes have no zero point and use −qmax … qmax; affine ones use
    0 … 2^bits − 1. `axis` is the axis that is kept: 0 gives each row of a (rows, columns) weight
    its own scale, 1 each column, None one to the whole tensor. `group_size` splits what would
    share a scale into runs of that length; a row that is shorter is one group. `scale` and
    `zero_point` say in what these two are held.

    >>> str(Scheme("int4", symmetric=False, group_size=64))
    'int4-g64-affine'
    >>> Scheme.parse("int8-tensor").axis is None
    True

    Raises:
        ValueError: the combination has no meaning.
    """

    grid: str
    symmetric: bool = True
    axis: int | None = 0
    group_size: int | None = None
    scale: str = "fp32"
    zero_point: str = "int"

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        _check_grid(self.grid, self.symmetric)
        _check_in("scale", self.scale, _SCALES)
        _check_in("zero_point", self.zero_point, _ZERO_POINTS)
        if self.axis is not None and self.axis < 0:
            raise ValueError(f"axis is {self.axis}, expected 0 or more, or None for one scale")
        if self.group_size is None:
            return
        if self.group_size < 1:
            raise ValueError(f"group_size is {self.group_size}, expected at least 1")
        if self.axis is None:
            raise ValueError(f"group_size {self.group_size} needs an axis, but axis is None")

    @property
    def format(self) -> str:
        """The grid, as it is called where nothing but number formats is stored."""
        return self.grid

    @property
    def storage(self) -> Format:
        """The format that is stored: the unsigned view of the integers where affine."""
        return GRIDS[self.grid] if self.symmetric else GRIDS[self.grid].unsigned

    @property
    def bits(self) -> int:
        """Bits a stored number."""
        return self.storage.bits

    @property
    def qmin(self) -> float:
        """The lowest stored number: −qmax where symmetric, else 0."""
        return -self.qmax if self.symmetric else 0

    @property
    def qmax(self) -> float:
        """The highest stored number."""
        return self.storage.max

    def __str__(self) -> str:
        """The text form, which `parse` reads."""
        return "-".join([_NAME_OF.get(self) or self.grid, *_granularity(self)])

    @classmethod
    def parse(cls, text: str) -> Scheme:
        """Read a text form such as `int8`, `int8-tensor`, `int4-g64-affine`, `mxfp4`.

        Raises:
            ValueError: says which part is wrong, and what is allowed.
        """
        name, *parts = text.split("-")
        return _scheme(name, parts, text[:60])


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
            raise ValueError(f"a layer is {self.scheme} or cast to {self.cast}, not both")
        if self.cast is not None:
            _check_in("cast", self.cast, COMPUTE_FORMATS)
        _check_parts(self)

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
        activations = _FLOAT
        if name.endswith("a8") and name.removesuffix("a8") in GRIDS:
            name, activations = name.removesuffix("a8"), Activations(8)
        if name not in GRIDS and name not in NAMED:
            raise ValueError(
                f"unknown format {name[:60]!r}; expected one of "
                f"{', '.join((*COMPUTE_FORMATS, *GRIDS, *NAMED))}"
            )
        ways = [part for part in parts if field_of(part)]
        scheme = _scheme(name, [part for part in parts if not field_of(part)], text[:60])
        return cls(*_found(scheme, ways, text[:60]), activations)

    @property
    def missing(self) -> list[str]:
        """The parts of the text that nothing here computes yet."""
        if self.scheme is None:
            return []
        return list(_missing(self))


def _check_in(what: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{what} is {value[:60]!r}, expected one of {', '.join(allowed)}")


def _check_grid(name: str, symmetric: bool) -> None:
    if name not in GRIDS:
        allowed = ", ".join(GRIDS)
        raise ValueError(f"cannot quantize to {name!r}; the formats for it are {allowed}")
    if GRIDS[name].kind != "integer" and not symmetric:
        kind = "float format" if GRIDS[name].is_float else "codebook"
        raise ValueError(f"{name} is a {kind}, which has no affine form; use {name} alone")


def _granularity(scheme: Scheme) -> Iterator[str]:
    """What stands behind the grid; nothing where a name stands for the whole scheme."""
    if scheme in _NAME_OF:
        return
    if scheme.axis is None:
        yield "tensor"
    elif scheme.axis or (GRIDS[scheme.grid].levels and not scheme.group_size):
        yield f"axis{scheme.axis}"  # a bare codebook is in groups
    if scheme.group_size:
        yield f"g{scheme.group_size}"
    if not scheme.symmetric:
        yield "affine"
    if scheme.scale == "dq":
        yield "dq"


def _scheme(name: str, parts: list[str], text: str) -> Scheme:
    if name in NAMED:
        if parts:
            raise ValueError(f"{parts[0][:60]!r} in {text!r}: {name} has a granularity of its own")
        return NAMED[name]
    scheme = Scheme(name)
    options: dict[str, bool | int | str | None] = {}
    for part in parts:
        key, value = _option(part, text)
        if key in options:
            raise ValueError(f"{part[:60]!r} in {text!r} says {key} a second time")
        options[key] = value
    if GRIDS[name].kind == "codebook" and not {"axis", "group_size"} & options.keys():
        options["group_size"] = _USUAL_GROUP
    return Scheme(**{**vars(scheme), **options})


def _option(part: str, text: str) -> tuple[str, bool | int | str | None]:
    simple = {"affine": ("symmetric", False), "tensor": ("axis", None), "dq": ("scale", "dq")}
    if part in simple:
        return simple[part]
    match = re.fullmatch(r"(axis|g)([0-9]{1,9})", part)
    if match is None:
        raise ValueError(
            f"{part[:60]!r} in {text!r} is not known; a format may be followed by "
            f"-affine and by {_GRANULARITIES}"
        )
    return ("axis" if match[1] == "axis" else "group_size"), int(match[2])


def _found(scheme: Scheme, ways: list[str], text: str) -> tuple[Scheme, Recipe]:
    recipe = Recipe.parse(ways, text)
    if recipe.range == "hqq":
        if scheme in _NAME_OF:
            raise ValueError(f"'hqq' in {text!r}: {_NAME_OF[scheme]} has a zero point of its own")
        if not scheme.symmetric:
            raise ValueError(f"'affine' in {text!r}: -hqq is affine, with a float zero point")
        scheme = replace(scheme, symmetric=False, zero_point="float")
    return scheme, recipe


def _check_parts(step: Step) -> None:
    """Whether the parts go together, and the text form says all of them."""
    scheme, found = step.scheme, step.activations
    if scheme is None:
        if step.recipe != _NEAREST or found != _FLOAT:
            raise ValueError("a cast has no recipe, and leaves activations as they are")
        return
    if scheme not in _NAME_OF:
        if (scheme.zero_point == "float") != (step.recipe.range == "hqq"):
            raise ValueError("a float zero point is what -hqq finds, and nothing else does")
        if scheme.scale not in ("fp32", "dq"):
            raise ValueError(f"scales in {scheme.scale} belong to {', '.join(NAMED)}")
    if found.bits and (scheme.grid != "int8" or scheme in _NAME_OF):
        raise ValueError(f"activations in 8 bits go with int8 weights, not with {scheme}")
    if found.threshold and (scheme, step.recipe) != (_INT8, _NEAREST):
        raise ValueError(f"llm.int8 is int8 alone, not {scheme}")


def _missing(step: Step) -> Iterator[str]:
    assert step.scheme is not None
    if step.scheme in _NAME_OF:
        yield _NAME_OF[step.scheme]
    elif step.scheme.scale != "fp32":
        yield f"-{step.scheme.scale}"
    yield from (f"-{part}" for part in step.recipe.parts)
    if step.activations.threshold is not None:
        yield "llm.int8"
    elif step.activations.bits:
        yield f"a{step.activations.bits}"


NAMED: dict[str, Scheme] = {
    "mxfp4": Scheme("e2m1", group_size=32, scale="e8m0"),
    "mxfp8": Scheme("fp8_e4m3", group_size=32, scale="e8m0"),
    "mxfp8_e5m2": Scheme("fp8_e5m2", group_size=32, scale="e8m0"),
    "nvfp4": Scheme("e2m1", group_size=16, scale="e4m3"),
    "q4_0": Scheme("int4", group_size=32, scale="fp16"),
    "q4_1": Scheme("int4", False, group_size=32, scale="fp16", zero_point="float"),
    "q5_0": Scheme("int5", group_size=32, scale="fp16"),
    "q5_1": Scheme("int5", False, group_size=32, scale="fp16", zero_point="float"),
    "q8_0": Scheme("int8", group_size=32, scale="fp16"),
    "q2_k": Scheme("int2", False, group_size=16, scale="k4", zero_point="float"),
    "q3_k": Scheme("int3", group_size=16, scale="k6"),
    "q4_k": Scheme("int4", False, group_size=32, scale="k6", zero_point="float"),
    "q5_k": Scheme("int5", False, group_size=32, scale="k6", zero_point="float"),
    "q6_k": Scheme("int6", group_size=16, scale="k8"),
}
"""Schemes that have a name of their own: OCP's MX formats, NVIDIA's, and those of GGUF files."""

_INT8 = Scheme("int8")
_NAME_OF = {scheme: name for name, scheme in NAMED.items()}
