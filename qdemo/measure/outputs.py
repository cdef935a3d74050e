"""Where two outputs diverge; and what a share that was counted in a sample may be in what it stands
for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import zip_longest

from qdemo.measure.measure import Found, Measure, Ran
from qdemo.spec.figure import Figure
from qdemo.spec.messages import say


def first_divergence(reference: Sequence[int], other: Sequence[int]) -> int | None:
    """The index, from 0, of the first token in which two sequences differ; None if they are equal.

    >>> first_divergence([5, 6, 7], [5, 6, 8]), first_divergence([5, 6], [5, 6, 7])
    (2, 2)
    """
    pairs = zip_longest(reference, other)  # a missing token is None, which equals no token
    return next((i for i, (a, b) in enumerate(pairs) if a != b), None)


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


def _divergence(ran: Ran) -> Found:
    index = first_divergence(ran.beside.tokens, ran.tokens)
    return Found({"first_divergent_token": None if index is None else index + 1})


MEASURE = Measure(
    figures=(
        Figure(
            "first_divergent_token", "diverges at token",
            "The first token of the answer that is another than fp32's, counted from 1.",
            better="high", form="position", none="never",
            heads=(
                ("card", "diverges at token"), ("summary", "diverges at token"),
                ("logits", "diverges at token"),
            ),
        ),
    ),
    of=_divergence,
)  # fmt: skip
