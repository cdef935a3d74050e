"""What each figure of an evaluation is, by its key in `qdemo.spec.evidence_file`; and in sentences
the rules that make a verdict."""

from __future__ import annotations

from collections.abc import Iterator

from qdemo.spec.figure import Figure, Figures
from qdemo.spec.judging import (
    BROKEN_CHANGED,
    BROKEN_LOSS,
    BROKEN_RATIO,
    SAFE_CHANGED,
    SAFE_LOSS,
    SAFE_RATIO,
)
from qdemo.spec.messages import say

_MEASURED = (
    Figure(
        "n", "items",
        "How many items a format's figures rest on: those that both fp32 and it have gone through.",
        better="high", form="count", alone=True,
    ),
    Figure(
        "accuracy", "accuracy",
        "Share of items whose answer is the expected one, letter by letter, with Wilson's 95% "
        "interval.",
        better="high", form="share", low="accuracy_low", high="accuracy_high", alone=True,
    ),
    Figure(
        "right_to_wrong", "right to wrong",
        "Items that fp32 answers right and the format does not.",
        better="low", form="count",
    ),
    Figure(
        "wrong_to_right", "wrong to right",
        "Items that the format answers right and fp32 does not.",
        form="count",
    ),
    Figure(
        "mcnemar_p", "McNemar's p",
        "How likely flips at least so uneven would be if either way were as likely: exact, "
        "two-sided, as if no other format were tested.",
        digits=2,
    ),
    Figure(
        "mcnemar_p_holm", "McNemar's p, corrected",
        "The same after Holm's correction for all formats that are shown: below 0.05 the format is "
        "told from fp32.",
        digits=2,
    ),
    Figure(
        "items_to_tell", "items to tell",
        "How many items it would take to tell the format from fp32, were flips as frequent in all "
        "of them: McNemar's test at 5%, found four times in five.",
        form="count",
    ),
    Figure(
        "changed", "changed", "Items whose answer is not fp32's, be it right or wrong.",
        better="low", form="count",
    ),
    Figure(
        "changed_share", "changed",
        "Share of items whose answer is not fp32's, be it right or wrong, with Wilson's 95% "
        "interval.",
        better="low", form="share", low="changed_share_low", high="changed_share_high",
    ),
    Figure(
        "kl_mean", "KL",
        "Mean over items of KL(P_ref ‖ P), in nats, each the mean over the positions of fp32's "
        "answer, which both are fed; with its 95% interval over items.",
        unit="nats", better="low", low="kl_low", high="kl_high",
    ),
    Figure(
        "kl_p99", "KL, 99%",
        "The 99th percentile of KL over items, in nats, by nearest rank; known from 100 items on.",
        unit="nats", better="low",
    ),
    Figure(
        "same_top", "same top token",
        "Share of positions whose likeliest token is fp32's, a mean over items, with its 95% "
        "interval.",
        better="high", form="share", low="same_top_low", high="same_top_high",
    ),
    Figure(
        "not_finite", "not finite", "Items whose logits are not all finite.",
        better="low", form="count", alone=True,
    ),
    Figure(
        "perplexity", "perplexity",
        "exp of the mean loss of a text's windows: as unsure of each token as of so many that are "
        "equally likely.",
        better="low", alone=True,
    ),
    Figure(
        "perplexity_ratio", "beside fp32's",
        "A format's perplexity divided by fp32's on the same windows, with its 95% interval.",
        better="low", digits=4, low="perplexity_ratio_low", high="perplexity_ratio_high",
    ),
    Figure(
        "windows_to_tell", "windows to tell",
        "How many windows it would take to tell the format's perplexity from fp32's, at 5%, four "
        "times in five.",
        form="count",
    ),
    Figure(
        "output_error", "output error",
        "How far what layers give is from what they gave before, ‖Y − XWᵀ‖ / ‖XWᵀ‖ over all of "
        "them, on inputs of calibration.",
        better="low",
    ),
    Figure(
        "bytes", "memory",
        "Bytes of storage really held; what several tensors share is counted once.",
        unit="bytes", better="low", form="bytes", alone=True,
    ),
    Figure(
        "bits_per_weight", "bits a weight",
        "Bits that each quantized weight takes, its share of scales and zero points counted.",
        unit="bits", better="low", digits=4, none="",
    ),
)  # fmt: skip


def _with_ends(figures: Figures) -> Iterator[Figure]:
    for figure in figures:
        yield figure
        if figure.low:
            yield Figure(figure.low, f"{figure.label}, low", "The lower end of its interval.")
            yield Figure(figure.high, f"{figure.label}, high", "The upper end of its interval.")


FIGURES: Figures = tuple(_with_ends(_MEASURED))
"""All of them, in the order in which they are shown, intervals' ends behind their figures."""


def verdict_rules() -> tuple[str, ...]:
    """How a verdict is reached, in three sentences: where right answers are known; where they are
    not; and of a text.

    >>> print(verdict_rules()[2])
    Of a text it holds of perplexity beside fp32's: safe up to 1.02 times, broken above 1.1 times.
    """
    return (
        say(
            "By the 95% interval of what is lost beside fp32, in points of accuracy: safe where "
            "all of it is at most {safe:g}, broken where all of it is above {broken:g}, and check "
            "where it is neither, or too wide to say. Where neither is right in more than "
            "{broken:g}%, answers that change decide: safe up to {few:.0%}, broken above "
            "{many:.0%}.",
            safe=100 * SAFE_LOSS,
            broken=100 * BROKEN_LOSS,
            few=SAFE_CHANGED,
            many=BROKEN_CHANGED,
        ),
        say(
            "Where no right answers are known, the same holds of answers that change: safe up to "
            "{safe:.0%}, broken above {broken:.0%}.",
            safe=SAFE_CHANGED,
            broken=BROKEN_CHANGED,
        ),
        say(
            "Of a text it holds of perplexity beside fp32's: safe up to {safe:g} times, broken "
            "above {broken:g} times.",
            safe=SAFE_RATIO,
            broken=BROKEN_RATIO,
        ),
    )
