"""What to see in each chart, in a sentence written from its numbers."""

from __future__ import annotations

from collections.abc import Sequence

from qdemo.spec.messages import say
from qdemo.spec.report import Report, Trial, Values
from qdemo.views.covering import stays_float
from qdemo.views.memory import cache_told
from qdemo.views.numbers import megabytes, significant
from qdemo.views.wording import joined, parameter_name

IDEAL_STEPS = 12**-0.5
"""RMS of a rounding error that is spread evenly over one step (Bennett, 1948)."""

_Kept = tuple[float, float | None, str]
"""Decibels, RMS of the error in steps, and the format."""


def memory(report: Report) -> str:
    """Why a format isn't as small as its bits say; and what a language model holds of a text."""
    return " ".join(filter(None, [_weights_told(report), cache_told(report)]))


def _weights_told(report: Report) -> str:
    """Why a format isn't as small as its bits say."""
    split = [trial for trial in report.variants if _is_split(trial)]
    if not split:
        return say("Every weight is in its format, so the bytes follow the bits.")
    held, whole = split[0].footprint, report.results[0].footprint.total
    why = say(
        "Of the {total} that the model takes in {format}, {floats} are still float weights "
        "(embeddings, norms, biases) and {scales} are scales: that is why it is {times:.2f} times "
        "smaller and no more.",
        total=megabytes(held.total),
        format=split[0].format,
        floats=megabytes(held.by_kind["float weights"]),
        scales=megabytes(held.by_kind["scales and zero points"]),
        times=whole / held.total,
    )
    left = stays_float(split[0].coverage) if split[0].coverage else []
    return say("{why} {left}.", why=why, left="; ".join(left)) if left else why


def _is_split(trial: Trial) -> bool:
    kinds = trial.footprint.by_kind
    share = kinds["float weights"] / trial.footprint.total
    return bool(kinds["quantized weights"] and share > 0.05)


def logits(report: Report) -> str:
    """Where the next token is in most doubt, and whether it changes."""
    pieces = report.results[0].pieces
    broken = [t.format for t in report.variants if t.figures.get("logit_invalid_positions")]
    if broken:
        return say(
            "The logits of {names} are not finite everywhere: numbers overflowed.",
            names=joined(broken),
        )
    worst, position, kl = worst_position(report)
    if worst is None:
        return say("No format changes anything here.")
    where = say(
        "{format} differs most at token {position}, {token}: {kl} nats.",
        format=worst,
        position=position + 1,
        token=pieces[position],
        kl=kl,
    )
    return f"{where} {_changed(report)}"


def _changed(report: Report) -> str:
    """Which formats would write another token somewhere."""
    names = [t.format for t in report.variants if (t.figures.get("logit_same_top") or 0) < 1]
    if not names:
        return say("No format changes the likeliest token anywhere.")
    return say("The likeliest token changes somewhere in {names}.", names=", ".join(names))


def worst_position(report: Report) -> tuple[str | None, int, str]:
    """Which format differs most from fp32, at which token, counted from 0, and by how many nats."""
    worst, position, most = None, 0, 0.0
    for trial in report.variants:
        for i, kl in enumerate(trial.by_position["kl_by_position"]):
            if kl is not None and kl > most:
                worst, position, most = trial.format, i, kl
    return worst, position, significant(most)


def weights(report: Report, parameter: str) -> str:
    """Which format keeps the weights best and worst, and how even the rounding is."""
    shown = parameter_name(parameter)
    every = [(trial.format, figures) for trial, figures in _errors(report, parameter)]
    overflowed = [name for name, figures in every if figures["overflowed"]]
    if overflowed:
        return say(
            "{names} can't hold {parameter}: some of it became infinite.",
            names=joined(overflowed),
            parameter=shown,
        )
    kept = [
        (decibels, figures["rms_steps"], name)
        for name, figures in every
        if (decibels := figures["sqnr_db"]) is not None
    ]
    if not kept:
        return say("No format changes {parameter}.", parameter=shown)
    steps = next((rms for _, rms, _ in kept if rms is not None), None)
    return " ".join([_best_and_worst(kept, shown), *_even(steps)])


def _best_and_worst(kept: Sequence[_Kept], parameter: str) -> str:
    best, worst = max(kept, key=_first), min(kept, key=_first)
    if worst is best:
        return say(
            "{format} keeps {parameter} best, with {decibels} dB.",
            format=best[2],
            parameter=parameter,
            decibels=significant(best[0]),
        )
    return say(
        "{best} keeps {parameter} best, with {most} dB; {worst} worst, with {least} dB (6 dB are "
        "one bit).",
        best=best[2],
        parameter=parameter,
        most=significant(best[0]),
        worst=worst[2],
        least=significant(worst[0]),
    )


def _even(steps: float | None) -> list[str]:
    """What rounding costs beside what even rounding would."""
    if steps is None:
        return []
    return [
        say(
            "Rounding to integers costs {steps:.3f} steps RMS where even rounding would cost "
            "{ideal:.3f}.",
            steps=steps,
            ideal=IDEAL_STEPS,
        )
    ]


def _first(found: _Kept) -> float:
    return found[0]


def _errors(report: Report, parameter: str) -> list[tuple[Trial, Values]]:
    """What each format that changes a parameter made of it."""
    return [
        (trial, trial.weights[parameter].figures)
        for trial in report.variants
        if parameter in trial.weights
    ]


def hardest(report: Report) -> str:
    """The matrix that suffers most."""
    every = [
        (name, trial.format, figures)
        for name in report.matrices
        for trial, figures in _errors(report, name)
    ]
    lost = [
        say("{parameter} in {format}", parameter=name, format=format)
        for name, format, figures in every
        if figures["overflowed"]
    ]
    if lost:
        return say("Overflowed, so without an SQNR: {matrices}.", matrices=", ".join(lost[:3]))
    found = [
        (decibels, name, format)
        for name, format, figures in every
        if (decibels := figures["sqnr_db"]) is not None
    ]
    if not found:
        return say("Every matrix is kept exactly.")
    decibels, name, format_ = min(found)
    most = say(
        "The matrix that suffers most is {parameter}: {decibels} dB in {format}.",
        parameter=name,
        decibels=significant(decibels),
        format=format_,
    )
    return f"{most} {_hardest_of_each(found)}"


def _hardest_of_each(found: Sequence[tuple[float, str, str]]) -> str:
    """The worst matrix of every format, those of the same one together."""
    formats = list(dict.fromkeys(format for _, _, format in found))
    worst = {one: min(pair for pair in found if pair[2] == one)[1] for one in formats}
    told = [
        say("{parameter} in {format}", parameter=name, format=joined(those))
        for name in dict.fromkeys(worst.values())
        for those in [[one for one in formats if worst[one] == name]]
    ]
    return say("Format by format it is {matrices}.", matrices="; ".join(told))
