"""Sentences that say what a choice on the page of linear quantization changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from qdemo.spec.messages import say, say_counted
from qdemo.views.numbers import percent, significant

_SAME = 0.005
"""A scale that changes by less than this share has not changed."""


def at_first(scheme: str, now: Any) -> str:
    """What there is before anything was chosen (`qdemo.lab.changes.Around`)."""
    return say(
        "{scheme}: RMS error {rms}. Add an outlier, or move a slider, and this line says what "
        "changed.",
        scheme=scheme,
        rms=significant(now.rms),
    )


def another_matrix(now: Any) -> str:
    """Where all numbers are others."""
    values = {"scale": significant(now.scale), "rms": significant(now.rms)}
    return say("Another matrix: scale {scale}, RMS error {rms}.", **values)


def one_weight(row: int, column: int, before: Any, now: Any) -> str:
    """What became of the neighbours of a weight that is another now; counted from 0."""
    place = say(
        "Row {row}, column {column}: {before} → {after}.",
        row=row + 1,
        column=column + 1,
        before=significant(before.weight, 4),
        after=significant(now.weight, 4),
    )
    return f"{place} {_scale(before, now)} {_neighbours(before, now)} {_error(before, now)}"


def _scale(before: Any, now: Any) -> str:
    ratio = now.scale / before.scale
    if ratio > 1 + _SAME:
        return say("Its scale grew {times} times.", times=significant(ratio))
    if ratio < 1 - _SAME:
        return say("Its scale shrank to {share} of what it was.", share=significant(ratio))
    return say("Its scale stays as it was.")


def _neighbours(before: Any, now: Any) -> str:
    if not now.neighbours:
        return say("No other weight shares it.")
    return say_counted(
        "Of the {count} other weight that shares it, {silent} now rounds to 0 (before: {before}).",
        "{silent} of the {count} other weights that share it now round to 0 (before: {before}).",
        now.neighbours,
        count=now.neighbours,
        silent=now.silent,
        before=before.silent,
    )


def _error(before: Any, now: Any) -> str:
    values = {"before": significant(before.rms), "after": significant(now.rms)}
    return say("RMS error {before} → {after}.", **values)


def choices(moves: Sequence[tuple[str, str, str]], before: Any, now: Any, is_best: bool) -> str:
    """Of each choice that is another one its name, and what it was and is; then what came of it.

    `is_best` where the range was cut to where the error is least.
    """
    what = ", ".join(f"{name} {old} → {new}" for name, old, new in moves)
    scale = say(
        "scale {before} → {after}",
        before=significant(before.scale),
        after=significant(now.scale),
    )
    zeros = say("Rounded to 0: {before} → {after}.", before=before.zeros, after=now.zeros)
    least = " " + say("That is the least error that clipping can reach.") if is_best else ""
    return f"{what}: {scale}. {_error(before, now)} {zeros}{least}"


def kept_already(kept: float, bits: float, is_best: bool) -> str:
    """Why a button for clipping changed nothing."""
    if is_best and kept == 1:
        return say(
            "Least error keeps 100% of the range: at {bits} bits, what finer steps would gain is "
            "less than what clipping would cost. Try fewer bits.",
            bits=int(bits),
        )
    if is_best:
        return say("{share} of the range is kept: the least error already.", share=percent(kept))
    return say("{share} of the range is kept already.", share=percent(kept))


def training(step: int, fp32_steps: int, steps: int) -> str:
    """How far a training is."""
    if step <= fp32_steps:
        return say("Training in fp32: step {step} of {steps}.", step=step, steps=fp32_steps)
    return say(
        "Training on through the rounding: step {step} of {steps}.",
        step=step - fp32_steps,
        steps=steps - fp32_steps,
    )


def trained(learned: Mapping[str, Any]) -> str:
    """What came of it, for the three ways in their order (`qdemo.lab.training.Learned`)."""
    fp32, after, through = learned.values()
    format = list(learned)[1].partition(",")[0]
    right = say(
        "Right on {fp32} of the points in fp32, on {after} once rounded to {format}, and on "
        "{through} after training on through the rounding.",
        fp32=percent(fp32.accuracy),
        after=percent(after.accuracy),
        through=percent(through.accuracy),
        format=format,
    )
    loss = say(
        "Losses: {fp32}, {after} and {through} nats.",
        fp32=significant(fp32.loss),
        after=significant(after.loss),
        through=significant(through.loss),
    )
    return f"{right} {loss}"
