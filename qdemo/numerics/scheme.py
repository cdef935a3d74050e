"""A quantization scheme as a value, and its text form."""

from __future__ import annotations

import re
from dataclasses import dataclass

from qdemo.numerics.formats import FORMATS, Format

STORED_FORMATS = tuple(n for n, f in FORMATS.items() if f.signed and f.bits <= 8)
"""The formats that weights can be quantized to."""

_GRANULARITIES = "-tensor (one scale in all), -axis1 (one a column), -g64 (one a group of 64)"


@dataclass(frozen=True)
class Scheme:
    """How the numbers of a tensor become integers (or scaled fp8), and which share a scale.

    `format` names what is stored: `int2` … `int8`, or `fp8_e4m3`, `fp8_e5m2` (rounded to the
    format's own grid after scaling). `symmetric` schemes have no zero point and use
    −qmax … qmax; affine ones use 0 … 2^bits − 1. `axis` is the axis that is kept: 0 gives each
    row of a (rows, columns) weight its own scale, 1 each column, None one to the whole tensor.
    `group_size` splits what would share a scale into runs of that length; a row that is shorter
    is one group.

    >>> str(Scheme("int4", symmetric=False, group_size=64))
    'int4-g64-affine'
    >>> Scheme.parse("int8-tensor")
    Scheme(format='int8', symmetric=True, axis=None, group_size=None)

    Raises:
        ValueError: the combination has no meaning.
    """

    format: str
    symmetric: bool = True
    axis: int | None = 0
    group_size: int | None = None

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        _check_format(self.format, self.symmetric)
        if self.axis is not None and self.axis < 0:
            raise ValueError(f"axis is {self.axis}, expected 0 or more, or None for one scale")
        if self.group_size is None:
            return
        if self.group_size < 1:
            raise ValueError(f"group_size is {self.group_size}, expected at least 1")
        if self.axis is None:
            raise ValueError(f"group_size {self.group_size} needs an axis, but axis is None")

    @property
    def storage(self) -> Format:
        """The format that is stored: the unsigned view of the integers where affine."""
        return FORMATS[self.format] if self.symmetric else FORMATS[self.format].unsigned

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
        parts = [self.format]
        if self.axis is None:
            parts.append("tensor")
        elif self.axis:
            parts.append(f"axis{self.axis}")
        if self.group_size:
            parts.append(f"g{self.group_size}")
        if not self.symmetric:
            parts.append("affine")
        return "-".join(parts)

    @classmethod
    def parse(cls, text: str) -> Scheme:
        """Read a text form such as `int8`, `int8-tensor`, `int4-g64-affine`.

        Raises:
            ValueError: says which part is wrong, and what is allowed.
        """
        name, *parts = text.split("-")
        scheme = cls(name)
        options: dict[str, bool | int | None] = {}
        for part in parts:
            key, value = _option(part, text)
            if key in options:
                raise ValueError(f"{part!r} in {text!r} says {key} a second time")
            options[key] = value
        return cls(**{**vars(scheme), **options})


def _check_format(name: str, symmetric: bool) -> None:
    if name not in STORED_FORMATS:
        allowed = ", ".join(STORED_FORMATS)
        raise ValueError(f"cannot quantize to {name!r}; the formats for it are {allowed}")
    if FORMATS[name].is_float and not symmetric:
        raise ValueError(f"{name} is a float format, which has no affine form; use {name} alone")


def _option(part: str, text: str) -> tuple[str, bool | int | None]:
    if part == "affine":
        return "symmetric", False
    if part == "tensor":
        return "axis", None
    match = re.fullmatch(r"(axis|g)([0-9]{1,9})", part)
    if match is None:
        raise ValueError(
            f"{part!r} in {text!r} is not known; a format may be followed by "
            f"-affine and by {_GRANULARITIES}"
        )
    return ("axis" if match[1] == "axis" else "group_size"), int(match[2])
