"""The difference of two pieces of tensors, in memory that is used again."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from qdemo.numerics.blocks import converted, scratch_like


def fits_fp32(largest: float) -> bool:
    """Whether squares and bins of errors up to that one stay in the range of fp32."""
    return largest == 0 or 2.0**-40 < largest < 2.0**60


@dataclass(frozen=True, eq=False)
class Difference:
    """ŵ − w of some blocks, (n, length), with the largest size and the sum of squares of each.

    In fp32, which loses nothing: values that were rounded to the nearest are at most twice or half
    as large as they were, and then their difference is exact (Sterbenz, 1974). In fp64 where an
    input is, and where squares or bins could leave the range of fp32. It holds until this thread
    makes the next one.
    """

    values: Tensor
    sizes: Tensor
    largest: Tensor
    sum_sq: Tensor

    @classmethod
    def of(cls, w_hat: Tensor, w: Tensor) -> Difference:
        """Of tensors of one shape."""
        if torch.float64 not in (w_hat.dtype, w.dtype):
            found = cls._between(w_hat, w, torch.float32)
            if fits_fp32(found.max_abs):
                return found
        return cls._between(w_hat, w, torch.float64)

    @classmethod
    def _between(cls, w_hat: Tensor, w: Tensor, dtype: torch.dtype) -> Difference:
        theirs, ours = converted(w_hat, dtype, "theirs"), converted(w, dtype, "ours")
        return cls._of(torch.sub(theirs, ours, out=scratch_like(theirs, "values")))

    @classmethod
    def _of(cls, values: Tensor) -> Difference:
        sizes = torch.abs(values, out=scratch_like(values, "sizes"))
        wide = converted(values, torch.float64, "wide")  # in which squares of fp32 are exact
        squares = torch.mul(wide, wide, out=scratch_like(wide, "passing"))
        return cls(values, sizes, sizes.amax(1), squares.sum(1))

    @property
    def max_abs(self) -> float:
        """The largest size of all."""
        return self.largest.max().item() if len(self.largest) else 0.0

    def are_finite(self) -> bool:
        """Whether all are."""
        return bool(torch.isfinite(self.largest).all())

    def of_finite(self) -> Difference:
        """Those that are finite, in one block; where there are none, no blocks."""
        values = self.values[torch.isfinite(self.values)][None]
        return self._of(values if values.numel() else values.T)

    def in_steps(self, scale: Tensor) -> float:
        """Σ(e / scale)² for scales (n, 1)."""
        return (self.sum_sq / scale[:, 0].square()).sum().item()

    def beyond(self, scale: Tensor) -> int:
        """How many are off by more than half a step, and the rounding of a product, which is no
        clipping."""
        limit = scale * (0.5 + 2**-10)
        if (self.largest <= limit[:, 0]).all():
            return 0
        return int(torch.count_nonzero(self.sizes > limit))


def sum_of_squares(x: Tensor) -> float:
    """Σx², in fp64."""
    wide = converted(x, torch.float64, "passing").reshape(-1)
    return torch.dot(wide, wide).item()
