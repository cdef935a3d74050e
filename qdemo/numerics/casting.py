"""Casting a tensor to a float format, and counting what that does to its values."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from operator import add

import torch
from torch import Tensor

from qdemo.numerics.blocks import tiles, with_fp64
from qdemo.spec.formats import Format, get_format
from qdemo.spec.messages import say


@dataclass(frozen=True)
class CastCount:
    """How many of `numel` values a cast broke or thinned out.

    `overflowed`: finite before, too large for the format. `zeroed`: not zero before, zero after.
    `subnormal`: still not zero, but below the format's smallest normal number, where digits are
    missing. Counts add: `a + b` counts both tensors.
    """

    numel: int = 0
    overflowed: int = 0
    zeroed: int = 0
    subnormal: int = 0

    def __add__(self, other: CastCount) -> CastCount:
        """The counts of both."""
        return CastCount(
            self.numel + other.numel,
            self.overflowed + other.overflowed,
            self.zeroed + other.zeroed,
            self.subnormal + other.subnormal,
        )


def cast_tensor(x: Tensor, format: str | torch.dtype | Format) -> Tensor:
    """`x` in a float format: rounded to nearest, ties to even, as a new tensor of that dtype.

    What is too large becomes infinite; in fp8_e4m3, which has no infinity, it stays at ±448.
    torch takes fp64 to 16 bits and below through fp32, and so rounds it twice.

    >>> x = torch.tensor([1 / 3, 70000.0])
    >>> cast_tensor(x, "fp16").tolist(), cast_tensor(x, "fp8_e4m3").tolist()
    ([0.333251953125, inf], [0.34375, 448.0])

    Raises:
        ValueError: the format is unknown or an integer format.
    """
    target = float_format(format)
    if target.finite_only:
        x = x.float() if x.dtype.itemsize == 1 else x  # fp8 has no arithmetic of its own
        x = x.clamp(target.min, target.max)  # torch itself saturates only from 2.12 on
    return x.to(target.dtype, copy=True)


def count_cast(x: Tensor, format: str | torch.dtype | Format) -> CastCount:
    """Count what `cast_tensor(x, format)` does to the values of `x`.

    >>> count_cast(torch.tensor([1.0, 1e5, 1e-6, 1e-9]), "fp16")
    CastCount(numel=4, overflowed=1, zeroed=1, subnormal=1)
    """
    target = float_format(format)
    blocks = x.detach().reshape(1, -1)
    pieces = (_count(with_fp64(blocks[tile]), target) for tile in tiles(blocks))
    return reduce(add, pieces, CastCount())


def _count(x: Tensor, target: Format) -> CastCount:
    y = cast_tensor(x, target).double()  # exact
    x = x.double()
    too_large = ~torch.isfinite(y) | (x.abs() > target.rounds_to_max)
    small = y.abs() < target.smallest_normal
    return CastCount(
        numel=x.numel(),
        overflowed=int((torch.isfinite(x) & too_large).sum()),
        zeroed=int(((x != 0) & (y == 0)).sum()),
        subnormal=int((small & (y != 0)).sum()),
    )


def float_format(format: str | torch.dtype | Format) -> Format:
    """The format, which must be a float format.

    Raises:
        ValueError: it is unknown, or an integer format.
    """
    found = get_format(format)
    if not found.is_float:
        raise ValueError(
            say("cannot cast to {found}: a cast goes to a float format, such as bf16", found=found)
        )
    return found
