"""What came of a prompt, in words: why an answer ends, how its tokens were chosen, and what each
format makes of a text that is scored."""

from __future__ import annotations

from qdemo.spec.decoding import Decoding
from qdemo.spec.messages import say, say_counted
from qdemo.spec.report import Report, Trial
from qdemo.views.numbers import significant
from qdemo.views.wording import joined

_FEW = 4
"""Formats whose perplexity a sentence has room for, one by one."""


def ended_told(trial: Trial) -> str:
    """Why an answer ends before its model has ended it; empty where it has, where that is not
    known, and of a text that is scored.

    >>> from qdemo.spec.footprint import Footprint
    >>> round_ = Trial("int4", "and, and", (1, 2), ("and", ","), Footprint(1, {}, {}))
    >>> from dataclasses import replace
    >>> ended_told(replace(round_, ended="repetition")), ended_told(replace(round_, ended="end"))
    ('stopped: it repeats itself', '')
    """
    if trial.ended == "repetition":
        return say("stopped: it repeats itself")
    if trial.ended == "length":
        count = len(trial.tokens)
        return say_counted(
            "cut off after {count} token", "cut off after {count} tokens", count, count=count
        )
    return ""


def chosen_told(decoding: Decoding) -> str:
    """How tokens were chosen, where that is not greedily.

    >>> chosen_told(Decoding(temperature=0.7, seed=3)), chosen_told(Decoding())
    ('drawn at temperature 0.7, seed 3: one number a position, the same for every format', '')
    """
    if decoding.is_greedy:
        return ""
    return say(
        "drawn at temperature {temperature:g}, seed {seed}: one number a position, the same for "
        "every format",
        temperature=decoding.temperature,
        seed=decoding.seed,
    )


def scored_told(report: Report) -> str:
    """The perplexity of a text that is scored, format by format; empty of an answer."""
    if not report.is_scored or not report.results:
        return ""
    if len(report.variants) <= _FEW:
        told = joined([_perplexity(trial) for trial in report.results])
        return say("Perplexity is {told}.", told=told)
    first, *others = sorted(report.variants, key=_surprised)
    return say(
        "Perplexity is {reference}, and from {least} to {most} in the others.",
        reference=_perplexity(report.results[0]),
        least=_perplexity(first),
        most=_perplexity(others[-1]),
    )


def _perplexity(trial: Trial) -> str:
    found = trial.figures.get("perplexity")
    if found is None:
        return say("not finite in {format}", format=trial.format)
    return say("{number} in {format}", number=significant(found), format=trial.format)


def _surprised(trial: Trial) -> float:
    found = trial.figures.get("perplexity")
    return float("inf") if found is None else found


def text_proves(report: Report) -> str:
    """How much one text proves that is scored."""
    count = len(report.results[0].tokens)
    return say_counted(
        "One text proves little, and its {count} token less; score several before you choose a "
        "format.",
        "One text proves little, as its {count} tokens follow from each other; score several "
        "before you choose a format.",
        count,
        count=count,
    )
