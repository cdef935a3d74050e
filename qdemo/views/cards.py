"""One card a format: waiting, writing, done, failed or stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from qdemo.spec.figure import Place
from qdemo.spec.messages import say, say_counted
from qdemo.spec.report import Report, Trial
from qdemo.spec.request import FEWEST_TIMED
from qdemo.views import scored
from qdemo.views.colours import colour
from qdemo.views.covering import covers, held_instead, held_twice
from qdemo.views.finding import fitted_to
from qdemo.views.formats import describe
from qdemo.views.numbers import NONE, megabytes, times
from qdemo.views.outcomes import ended_told
from qdemo.views.split import Split, split
from qdemo.views.wording import (
    computed_on,
    differing_words,
    joined,
    too_far,
    written,
)

KL_STEPS = (1e-6, 1e-4, 1e-2, 1.0)
"""Where the colour of a token changes, in nats."""

State = Literal["waiting", "running", "done", "failed", "stopped"]


@dataclass(frozen=True)
class Card:
    """What a card shows, in words.

    `words` are runs of the output with whether they differ from fp32's, or of a text that is scored
    with whether they are less likely; that has its figures in `scored`. `ended` says of an answer
    that it was stopped. `share` is of fp32's memory. `strip` is the step of the KL at each token of
    fp32's answer. `held`, `beside_strip` and `row` are the figures that stand beside the bytes, the
    strip and the answer, `figures` all of its: each a key, which is empty where it is no term, a
    name and a value.
    """

    format: str
    about: str
    colour: str
    state: State
    words: tuple[tuple[str, bool], ...] = ()
    scored: tuple[tuple[str, str, str], ...] = ()
    ended: str = ""
    reason: str = ""
    size: str = ""
    smaller: str = ""
    share: str = ""
    strip: tuple[int, ...] = ()
    held: tuple[tuple[str, str, str], ...] = ()
    beside_strip: tuple[tuple[str, str, str], ...] = ()
    row: tuple[tuple[str, str, str], ...] = ()
    figures: tuple[tuple[str, str, str], ...] = ()
    split: Split | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def cards(report: Report) -> list[Card]:
    """A card for each format of `report`, which may be under way: those that neither ran nor are
    being run wait."""
    results = {trial.format: trial for trial in report.results}
    failures = {one.format: one.reason for one in report.failures}
    stopped = {one.format: one.reason for one in report.stopped}
    if report.failures and not report.results:  # fp32 comes first
        not_run = say("Not run: without fp32 there is nothing to compare with.")
        failures = dict.fromkeys(report.formats, not_run) | failures
    found = []
    for name in report.formats:
        card = Card(name, describe(name), colour(name), "waiting")
        if name in results:
            card = _done(card, report, results[name])
        elif name in failures:
            card = replace(card, state="failed", reason=failures[name])
        elif name in stopped:
            card = replace(card, state="stopped", reason=stopped[name])
        elif name in report.running:
            card = replace(card, state="running", words=((report.running[name], False),))
        found.append(card)
    return found


def _words(text: str, reference: str) -> tuple[tuple[str, bool], ...]:
    """Runs of text with whether they differ; the blanks after one that does are not marked."""
    found: list[tuple[str, bool]] = []
    for run, differs in differing_words(reference, text):
        bare = run.rstrip() if differs else run
        found += [(bare, differs), (run[len(bare) :], False)]
    return tuple((run, differs) for run, differs in found if run)


def _done(card: Card, report: Report, trial: Trial) -> Card:
    reference = report.results[0]
    size, whole = trial.footprint.total, reference.footprint.total
    return replace(
        card,
        state="done",
        words=scored.runs(report, trial)
        if report.is_scored
        else _words(trial.output, reference.output),
        scored=tuple(_figures(report, trial, "scored")),
        ended=ended_told(trial) if trial.ended == "repetition" else "",
        size=megabytes(size),
        smaller=say("the reference")
        if trial is reference
        else say("{times} smaller", times=times(whole / size)),
        share=f"{100 * size / whole:.0f}%",
        strip=()
        if trial is reference
        else tuple(map(kl_step, trial.by_position["kl_by_position"])),
        held=tuple(_figures(report, trial, "held")),
        beside_strip=tuple(_figures(report, trial, "strip")),
        row=tuple(_figures(report, trial, "row")),
        figures=(
            *_figures(report, trial, "card"),
            ("", say("computed on"), computed_on(trial)),
        ),
        split=split(report, trial),
        warnings=tuple(_warnings(trial)),
        notes=(*_notes(trial, report.kept_wide), *fitted_to(trial, report.calibration)),
    )


def kl_step(kl: float | None) -> int:
    """Which of the ribbon's colours a KL has, from 0; where it is not finite, the last."""
    return len(KL_STEPS) if kl is None else sum(kl >= step for step in KL_STEPS)


def _figures(report: Report, trial: Trial, place: Place) -> list[tuple[str, str, str]]:
    """The figures that stand in a place, each with its key, its name and its value with the unit;
    of the reference, those it has alone."""
    found: list[tuple[str, str, str]] = []
    for figure in report.figures:
        head = figure.head(place)
        if head is None or (trial is report.reference and not figure.alone):
            continue
        none = say(figure.none)
        text = written(figure, trial.figures, none)
        told = figure.form == "number" and text not in (NONE, say("exact"), none)
        shown = f"{text} {say(figure.unit)}".strip() if told else text
        found.append((figure.key, say(head), shown))
    return [one for one in found if one[-1]]


def _notes(trial: Trial, kept_wide: Sequence[str]) -> list[str]:
    """Why there is no bar of the time, which fp16 it is, which layers are another format, and what
    is held twice."""
    twice = held_twice(trial.format, trial.footprint)
    other = held_instead(trial.coverage)
    ended = [ended_told(trial)] if trial.ended == "length" else []
    return [*ended, *_untimed(trial), *_kept_wide(trial, kept_wide), *other, *twice]


def _untimed(trial: Trial) -> list[str]:
    """An answer may be too short to divide its time."""
    count = len(trial.tokens)
    if count >= FEWEST_TIMED or "token_ms" not in trial.figures:
        return []
    return [
        say_counted(
            "{count} token is too short an answer to divide its time; it takes {fewest}.",
            "{count} tokens are too short an answer to divide their time; it takes {fewest}.",
            count,
            count=count,
            fewest=FEWEST_TIMED,
        )
    ]


def _kept_wide(trial: Trial, kept_wide: Sequence[str]) -> list[str]:
    if trial.format != "fp16" or not kept_wide:
        return []
    return [
        say_counted(
            "Every weight is fp16 here. transformers' from_pretrained(dtype=torch.float16) would "
            "keep {count} layer in fp32: the one named {names}.",
            "Every weight is fp16 here. transformers' from_pretrained(dtype=torch.float16) would "
            "keep {count} layers in fp32: those named {names}.",
            len(kept_wide),
            count=len(kept_wide),
            names=joined(sorted({name.rpartition(".")[2] for name in kept_wide})),
        )
    ]


def _warnings(trial: Trial) -> list[str]:
    found: list[str] = []
    if count := int(trial.figures.get("weight_overflowed") or 0):
        found.append(
            say_counted(
                "{count:,} weight overflowed to infinity.",
                "{count:,} weights overflowed to infinity.",
                count,
                count=count,
            )
        )
    if count := int(trial.figures.get("logit_invalid_positions") or 0):
        found.append(
            say_counted(
                "At {count} token the logits are not finite.",
                "At {count} tokens the logits are not finite.",
                count,
                count=count,
            )
        )
    if trial.span and trial.span.overflow:
        found.append(too_far(trial.format, trial.span.overflow))
    return found + covers(trial.footprint, trial.coverage)
