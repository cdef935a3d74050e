"""One card a format: waiting, writing, done, failed or stopped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from qdemo.spec.report import Report, Trial
from qdemo.views.plots import colours
from qdemo.views.wording import (
    NONE,
    covers,
    describe,
    differing_words,
    joined,
    megabytes,
    times,
    too_far,
    written,
)

_NOT_RUN = "Not run: without fp32 there is nothing to compare with."
State = Literal["waiting", "running", "done", "failed", "stopped"]


@dataclass(frozen=True)
class Card:
    """What a card shows, in words.

    `words` are runs of the output with whether they differ from fp32's; `share` is of fp32's
    memory.
    """

    format: str
    about: str
    colour: str
    state: State
    words: tuple[tuple[str, bool], ...] = ()
    reason: str = ""
    size: str = ""
    smaller: str = ""
    share: str = ""
    figures: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def cards(report: Report) -> list[Card]:
    """A card for each format of `report`, which may be under way: those that neither ran nor are
    being run wait."""
    results = {trial.format: trial for trial in report.results}
    failures = {one.format: one.reason for one in report.failures}
    stopped = {one.format: one.reason for one in report.stopped}
    if report.failures and not report.results:  # fp32 comes first
        failures = dict.fromkeys(report.formats, _NOT_RUN) | failures
    found = []
    for name, colour in colours(report).items():
        card = Card(name, describe(name), colour, "waiting")
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
        words=_words(trial.output, reference.output),
        size=megabytes(size),
        smaller="the reference" if trial is reference else f"{times(whole / size)} smaller",
        share=f"{100 * size / whole:.0f}%",
        figures=tuple(_figures(report, trial)),
        warnings=tuple(_warnings(trial)),
        notes=tuple(_notes(trial, report.kept_wide)),
    )


def _figures(report: Report, trial: Trial) -> list[tuple[str, str]]:
    """The figures that stand on cards, with their units; of the reference, those it has alone."""
    found = []
    for figure in report.figures:
        head = figure.head("card")
        if head is None or (trial is report.reference and not figure.alone):
            continue
        text = written(figure, trial.figures, figure.none)
        told = figure.form == "number" and text not in (NONE, "exact", "")
        found.append((head, f"{text} {figure.unit}".strip() if told else text))
    return [*((head, text) for head, text in found if text), ("computed on", trial.device)]


def _notes(trial: Trial, kept_wide: Sequence[str]) -> list[str]:
    """Which fp16 it is, and what a format leaves as it was."""
    found = []
    if trial.format == "fp16" and kept_wide:
        names = joined(sorted({name.rpartition(".")[2] for name in kept_wide}))
        found.append(
            f"Every weight is fp16 here. transformers' from_pretrained(dtype=torch.float16) would "
            f"keep {len(kept_wide)} layers in fp32: those named {names}."
        )
    return found


def _warnings(trial: Trial) -> list[str]:
    found = []
    if count := trial.figures.get("weight_overflowed"):
        found.append(f"{count:,.0f} weight{'s' * (count != 1)} overflowed to infinity.")
    if count := trial.figures.get("logit_invalid_positions"):
        found.append(f"At {count:.0f} token{'s' * (count != 1)} the logits are not finite.")
    if trial.span and trial.span.overflow:
        found.append(too_far(trial.format, trial.span.overflow))
    return found + covers(trial.footprint, trial.coverage)
