"""Where two outputs diverge."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from qdemo.measure.measure import Found, Measure, Ran
from qdemo.spec.figure import Figure


def first_divergence(reference: Sequence[int], other: Sequence[int]) -> int | None:
    """The index, from 0, of the first token in which two sequences differ; None if they are equal.

    >>> first_divergence([5, 6, 7], [5, 6, 8]), first_divergence([5, 6], [5, 6, 7])
    (2, 2)
    """
    pairs = zip_longest(reference, other)  # a missing token is None, which equals no token
    return next((i for i, (a, b) in enumerate(pairs) if a != b), None)


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
    of=_divergence, when="answered",
)  # fmt: skip
