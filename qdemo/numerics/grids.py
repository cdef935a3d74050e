"""The numbers that a weight can become once it is scaled: integers, small floats, codebooks.

A grid rounds values to its numbers, encodes them as what is held, and decodes that again. Codes are
what a `QTensor` shows as its `data`: the integers themselves, patterns of a small float, places in
a codebook; for the two floats of 8 bits that torch has, torch's own numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor

from qdemo.numerics.bits import Bits, nan_pattern
from qdemo.numerics.blocks import scratch, tile_size
from qdemo.numerics.insides import is_watched
from qdemo.spec.formats import Format
from qdemo.spec.messages import say


class Grid(Protocol):
    """Numbers from `qmin` to `qmax`, of `bits` bits each.

    `dtype` is that of the codes, and `offset` what makes them count from 0, so that they can be
    packed.
    """

    @property
    def format(self) -> Format:
        """What it is a grid of."""

    @property
    def bits(self) -> int:
        """Bits a number."""

    @property
    def qmin(self) -> float:
        """The lowest number."""

    @property
    def qmax(self) -> float:
        """The highest number."""

    @property
    def dtype(self) -> torch.dtype:
        """That of the codes."""

    @property
    def offset(self) -> int:
        """What is added to codes before they are packed."""

    def scaled(self, x: Tensor, scale: Tensor) -> Tensor:
        """`x` in units of `scale`."""

    def round_(self, x: Tensor) -> Tensor:
        """Make `x` the nearest numbers, in place. (Integers are clipped later, when a zero point
        was added.)"""

    def encode(self, values: Tensor) -> Tensor:
        """The codes of the numbers nearest to `values`; what is too large becomes the last one."""

    def decode(self, codes: Tensor, out: Tensor | None = None) -> Tensor:
        """The numbers of `codes`, as floats: in `out`, or as fp32."""


@cache
def grid_of(format: Format) -> Grid:
    """The grid of a format.

    >>> from qdemo.spec.formats import GRIDS
    >>> grid_of(GRIDS["int4"]).encode(torch.tensor([2.5, -9.0]))
    tensor([ 2, -7], dtype=torch.int8)
    >>> grid_of(GRIDS["e2m1"]).decode(torch.tensor([1, 7, 15], dtype=torch.uint8))
    tensor([ 0.5000,  6.0000, -6.0000])

    Raises:
        ValueError: a number has more than 8 bits, or a codebook lacks what it needs.
    """
    if format.bits > 8:
        raise ValueError(
            say("{name} has {bits} bits, expected at most 8", name=format.name, bits=format.bits)
        )
    if format.kind == "integer":
        return IntGrid(format)
    return Codebook(format) if format.kind == "codebook" else FloatGrid(format)


@dataclass(frozen=True)
class _OfFormat:
    format: Format

    @property
    def bits(self) -> int:
        """Bits a number."""
        return self.format.bits

    @cached_property
    def qmax(self) -> float:
        """The highest number."""
        return self.format.max

    @cached_property
    def qmin(self) -> float:
        """The lowest number: symmetric but where it counts from 0."""
        return -self.qmax if self.format.signed else 0

    @cached_property
    def dtype(self) -> torch.dtype:
        """That of the codes."""
        return self.format.dtype

    @property
    def offset(self) -> int:
        """Nothing: the codes count from 0."""
        return 0

    def scaled(self, x: Tensor, scale: Tensor) -> Tensor:
        """x / scale."""
        return x / scale


@dataclass(frozen=True)
class IntGrid(_OfFormat):
    """Integers, rounded half to even."""

    @property
    def offset(self) -> int:
        """Half of all patterns, where there are negative ones."""
        return self.format.numbers // 2 if self.format.signed else 0

    def round_(self, x: Tensor) -> Tensor:
        """Round, and clip nothing."""
        return x.round_()

    def encode(self, values: Tensor) -> Tensor:
        """The nearest integers from qmin to qmax."""
        return values.round().clamp_(self.qmin, self.qmax).to(self.dtype)

    def decode(self, codes: Tensor, out: Tensor | None = None) -> Tensor:
        """The same as floats."""
        return codes.float() if out is None else out.copy_(codes)


@dataclass(frozen=True)
class FloatGrid(_OfFormat):
    """Floats of any exponent and fraction, rounded half to even; the largest takes all beyond it.

    By arithmetic on the bits of fp32 or fp64, whichever holds all of the numbers. A code is a
    number's pattern.
    """

    @cached_property
    def values(self) -> tuple[float, ...]:
        """The number of each pattern, infinities and NaN among them."""
        patterns = range(self.format.numbers)
        return tuple(float(Bits(self.format, pattern).value) for pattern in patterns)

    def round_(self, x: Tensor) -> Tensor:
        """Round to nearest, in place; NaN stays NaN."""
        layout = self._layout(x)
        if x.dtype != layout.dtype:
            return x.copy_(self.round_(x.to(layout.dtype)))
        # Below the normal numbers steps are even: `lifted` has such steps and no smaller ones.
        lifted = self._lifted(layout)
        even = (x + lifted).sub_(lifted).copysign_(x)
        is_normal = x.abs() >= self.format.smallest_normal
        rounded = self._rounded(x.view(layout.integers), layout).view(x.dtype)
        return torch.where(is_normal, rounded, even, out=x).clamp_(-self.qmax, self.qmax)

    def _lifted(self, layout: _Layout) -> float:
        return 1.5 * 2.0**layout.fraction_bits * self.format.smallest_subnormal

    def _rounded(self, pattern: Tensor, layout: _Layout) -> Tensor:
        """Patterns of that layout with fractions no longer than the grid's, half to even. A carry
        goes on into the exponent, as it should."""
        dropped = layout.fraction_bits - self.format.fraction_bits
        if not dropped:
            return pattern.clone()
        odd = (pattern >> dropped).bitwise_and_(1)
        return odd.add_(pattern).add_(2 ** (dropped - 1) - 1).bitwise_and_(-(2**dropped))

    def encode(self, values: Tensor) -> Tensor:
        """The patterns of the nearest numbers; what is NaN has one where the format has NaN."""
        if self.dtype.is_floating_point:
            return self.round_(values.to(self._layout(values).dtype, copy=True)).to(self.dtype)
        layout = self._layout(values)
        x = values.to(layout.dtype)
        size = x.abs().clamp_(max=self.qmax)
        # Below the normal numbers the sum has as many steps more than `lifted` as the pattern is.
        lifted = torch.full((), self._lifted(layout), dtype=x.dtype, device=x.device)
        small = (size + lifted).view(layout.integers) - lifted.view(layout.integers)
        normal = self._rounded(size.view(layout.integers), layout)
        normal -= layout.bias - self.format.bias << layout.fraction_bits
        normal >>= layout.fraction_bits - self.format.fraction_bits
        codes = torch.where(size >= self.format.smallest_normal, normal, small)
        if self.format.has_nan:
            codes.masked_fill_(x.isnan(), nan_pattern(self.format))
        codes = codes.to(torch.uint8)
        codes |= torch.signbit(x).view(torch.uint8) << self.bits - 1
        return codes

    def decode(self, codes: Tensor, out: Tensor | None = None) -> Tensor:
        """The numbers of these patterns."""
        if self.dtype.is_floating_point:
            return codes.float() if out is None else out.copy_(codes)
        return _look_up(self.values, codes, out)

    def _layout(self, x: Tensor) -> _Layout:
        """What of fp32 and fp64 all that `x` and the grid have fits into."""
        fits = self.format.exponent_bits <= 8 and self.format.fraction_bits <= 23
        return _LAYOUTS["fp32" if fits and x.dtype != torch.float64 else "fp64"]


@dataclass(frozen=True)
class Codebook(_OfFormat):
    """Any levels: the nearest one, and the lower of two that are equally near. A block is
    multiplied by 1 / scale, as bitsandbytes does it."""

    def __post_init__(self) -> None:
        """Refuse levels that no block of zeros could become.

        Raises:
            ValueError: zero is none of them.
        """
        if 0 not in self.format.levels:
            raise ValueError(
                say("{format} has no level 0, which a block of zeros needs", format=self.format)
            )

    @cached_property
    def edges(self) -> tuple[float, ...]:
        """Above which value the next level is nearer; of equal levels only the first is taken."""
        found: list[float] = []
        for low, high in reversed(list(pairwise(self.format.levels))):
            found.append(found[-1] if low == high and found else (low + high) / 2)
        return tuple(reversed(found))

    def scaled(self, x: Tensor, scale: Tensor) -> Tensor:
        """x · (1 / scale)."""
        return x * scale.reciprocal()

    def round_(self, x: Tensor) -> Tensor:
        """To the nearest levels, in place."""
        return self.decode(self.encode(x), x)

    def encode(self, values: Tensor) -> Tensor:
        """The places of the nearest levels."""
        wide = values.to(torch.promote_types(values.dtype, torch.float32))
        codes = torch.zeros(wide.shape, dtype=self.dtype, device=wide.device)
        for edge in self.edges:  # far faster than a search, for as few as these
            codes += (wide > edge).view(self.dtype)
        return codes

    def decode(self, codes: Tensor, out: Tensor | None = None) -> Tensor:
        """The levels at these places."""
        return _look_up(self.format.levels, codes, out)


@dataclass(frozen=True)
class _Layout:
    dtype: torch.dtype
    integers: torch.dtype
    fraction_bits: int
    bias: int


_LAYOUTS = {
    "fp32": _Layout(torch.float32, torch.int32, 23, 127),
    "fp64": _Layout(torch.float64, torch.int64, 52, 1023),
}


@lru_cache(maxsize=256)
def _table(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)


_ROW = 16
"""Look-ups at a time: rows of a few are what torch's `gather` is fastest at."""


def _look_up(values: tuple[float, ...], codes: Tensor, out: Tensor | None) -> Tensor:
    """values[codes], some at a time, as they are looked up by integers of 64 bits."""
    out = torch.empty(codes.shape, device=codes.device) if out is None else out
    table = (_table.__wrapped__ if is_watched() else _table)(values, out.dtype, out.device)[None]
    if not (out.is_contiguous() and codes.is_contiguous()):
        return out.copy_(table[0][codes.long()])
    step = tile_size(codes.device)
    for start in range(0, codes.numel(), step):
        own, to = (x.view(-1)[start : start + step] for x in (codes, out))
        index = scratch((len(own),), dtype=torch.int64, device=own.device, name="codes").copy_(own)
        width = _ROW if len(own) % _ROW == 0 else 1
        index, to = index.view(-1, width), to.view(-1, width)
        torch.gather(table.expand(len(index), -1), 1, index, out=to)
    return out
