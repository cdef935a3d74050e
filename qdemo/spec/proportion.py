"""What a share that was counted in a sample may be in what it stands for."""

from __future__ import annotations

import math
from typing import NamedTuple

from qdemo.spec.messages import say

_Z = 1.959963984540054  # the normal distribution's 97.5th percentile


def wilson(count: int, total: int) -> tuple[float, float]:
    """The 95% score interval of a share of `count` in `total`.

    Unlike count / total ± 2 standard errors it says something of 5 in 5, too (Wilson, "Probable
    Inference, the Law of Succession, and Statistical Inference", 1927).

    >>> [round(end, 3) for end in wilson(5, 5)], [round(end, 3) for end in wilson(7, 10)]
    ([0.566, 1.0], [0.397, 0.892])

    Raises:
        ValueError: there is no such share.
    """
    if not 0 <= count <= total or not total:
        raise ValueError(
            say("expected a share of one or more, got {count} of {total}", count=count, total=total)
        )
    share, spread = count / total, _Z**2 / total
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    low = middle - half if count else 0.0  # which rounding would miss by a little
    return low, middle + half if count < total else 1.0


class Counted(NamedTuple):
    """How many of how many.

    >>> Counted(99, 110).share, [round(end, 3) for end in Counted(7, 10).interval]
    (0.9, [0.397, 0.892])
    """

    right: int
    total: int

    @property
    def share(self) -> float:
        """Of all."""
        return self.right / self.total

    @property
    def interval(self) -> tuple[float, float]:
        """Its Wilson 95% interval."""
        return wilson(self.right, self.total)
