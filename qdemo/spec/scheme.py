"""How the numbers of a weight are held, as a value with a text form: `int4-g64-affine`, `mxfp4`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from qdemo.spec.formats import GRIDS, Format
from qdemo.spec.messages import say

COMPUTE_FORMATS = ("fp32", "fp16", "bf16")
"""What a model can compute in."""

_GRANULARITIES = "-tensor (one scale in all), -axis1 (one a column), -g64 (one a group of 64)"
_SCALES = ("fp32", "fp16", "e8m0", "e4m3", "dq", "k4", "k6", "k8")
_ZERO_POINTS = ("int", "float")
_LARGEST_GROUP = 999_999_999  # which the text form has room for
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
        check_in("scale", self.scale, _SCALES)
        check_in("zero_point", self.zero_point, _ZERO_POINTS)
        if self.symmetric and self.zero_point == "float":
            raise ValueError(
                say("a symmetric scheme has no zero point, and so no float one; expected affine")
            )
        if self.axis is not None and self.axis < 0:
            raise ValueError(
                say("axis is {axis}, expected 0 or more, or None for one scale", axis=self.axis)
            )
        if self.group_size is None:
            return
        if self.group_size < 1:
            raise ValueError(
                say("group_size is {group_size}, expected at least 1", group_size=self.group_size)
            )
        if self.group_size > _LARGEST_GROUP:
            raise ValueError(say("group_size is above {most:,}", most=_LARGEST_GROUP))
        if self.axis is None:
            raise ValueError(
                say(
                    "group_size {group_size} needs an axis, but axis is None",
                    group_size=self.group_size,
                )
            )

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

    def for_rows(self, length: int) -> Scheme:
        """The scheme that rows of that length get: this one, but that a K-quant takes whole
        super-blocks; for other rows llama.cpp takes another of its formats, and so does this.

        >>> str(NAMED["q4_k"].for_rows(512)), str(NAMED["q4_k"].for_rows(192))
        ('q4_k', 'q5_0')
        """
        instead = INSTEAD.get(NAME_OF.get(self, ""))
        return NAMED[instead] if instead and length % SUPER_BLOCK else self

    def __str__(self) -> str:
        """The text form, which `parse` reads."""
        return "-".join([NAME_OF.get(self) or self.grid, *_granularity(self)])

    @classmethod
    def parse(cls, text: str) -> Scheme:
        """Read a text form such as `int8`, `int8-tensor`, `int4-g64-affine`, `mxfp4`.

        Raises:
            ValueError: says which part is wrong, and what is allowed.
        """
        name, *parts = text.split("-")
        return read_scheme(name, parts, text[:60])


def check_in(what: str, value: str, allowed: tuple[str, ...]) -> None:
    """Whether it is one of those.

    Raises:
        ValueError: it is not.
    """
    if value not in allowed:
        raise ValueError(
            say(
                "{what} is {found!r}, expected one of {names}",
                what=what,
                found=value[:60],
                names=", ".join(allowed),
            )
        )


def _check_grid(name: str, symmetric: bool) -> None:
    if name not in GRIDS:
        allowed = ", ".join(GRIDS)
        raise ValueError(
            say(
                "cannot quantize to {name!r}; the formats for it are {allowed}",
                name=name,
                allowed=allowed,
            )
        )
    if GRIDS[name].kind != "integer" and not symmetric:
        kind = "float format" if GRIDS[name].is_float else "codebook"
        raise ValueError(
            say(
                "{name} is a {kind}, which has no affine form; use {name} alone",
                name=name,
                kind=kind,
            )
        )


def _granularity(scheme: Scheme) -> Iterator[str]:
    """What stands behind the grid; nothing where a name stands for the whole scheme."""
    if scheme in NAME_OF:
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


def read_scheme(name: str, parts: list[str], text: str) -> Scheme:
    """The scheme of a grid, or of a name, with the parts that stand behind it in `text`.

    Raises:
        ValueError: a part is not known, or says something a second time.
    """
    if name in NAMED:
        if parts:
            raise ValueError(
                say(
                    "{part!r} in {text!r}: {name} has a granularity of its own",
                    part=parts[0][:60],
                    text=text,
                    name=name,
                )
            )
        return NAMED[name]
    scheme = Scheme(name)
    options: dict[str, bool | int | str | None] = {}
    for part in parts:
        key, value = _option(part, text)
        if key in options:
            raise ValueError(
                say(
                    "{part!r} in {text!r} says {key} a second time",
                    part=part[:60],
                    text=text,
                    key=key,
                )
            )
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
            say(
                "{part!r} in {text!r} is not known; a format may be followed by -affine, by -dq "
                "and by {granularities}; a variant's also by -mse, -hqq, -awq, -sq0.5, -rot, -gptq",
                part=part[:60],
                text=text,
                granularities=_GRANULARITIES,
            )
        )
    return ("axis" if match[1] == "axis" else "group_size"), int(match[2])


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

SUPER_BLOCK = 256
"""Weights of a row that K-quants hold together, so that a row has to be a multiple of it."""

INSTEAD = {"q2_k": "q4_0", "q3_k": "q4_0", "q4_k": "q5_0", "q5_k": "q5_1", "q6_k": "q8_0"}
"""What llama.cpp gives a row that is none; where it takes IQ4_NL, which has as many bits as q4_0,
that."""

NAME_OF = {scheme: name for name, scheme in NAMED.items()}
