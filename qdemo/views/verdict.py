"""What came out, in two or three plain sentences, each written from the report's numbers."""

from __future__ import annotations

from collections.abc import Sequence

from qdemo.spec.messages import say, say_counted
from qdemo.spec.report import Report, Trial
from qdemo.views.numbers import megabytes
from qdemo.views.wording import joined


def verdict(report: Report) -> list[str]:
    """Sentences on what the formats say, on what they weigh, and on what failed."""
    if not report.results:
        if report.failures:
            return [say("fp32 itself failed, so there is nothing to compare with.")]
        return [say("fp32 itself was stopped, so there is nothing to compare with.")]
    same = [trial for trial in report.variants if _diverges(trial) is None]
    return [
        *_sayings(same, report.variants),
        *_weights(report.results[0], same or report.variants),
        *_ended(report),
        *_too_far(report.variants),
    ]


def kept_note(report: Report) -> str:
    """What was not computed just now, and when it was; empty where everything was."""
    if not report.kept:
        return ""
    first = min(trial.computed for trial in report.results if trial.format in report.kept)
    day, _, time = first[:16].partition("T")
    return say_counted(
        "{names} was computed earlier for this same input and kept here, first on {day} at {time} "
        "UTC.",
        "{names} were computed earlier for this same input and kept here, first on {day} at {time} "
        "UTC.",
        len(report.kept),
        names=joined(report.kept),
        day=day,
        time=time,
    )


def _diverges(trial: Trial) -> int | None:
    """At which token."""
    first = trial.figures.get("first_divergent_token")
    return None if first is None else int(first)


def _sayings(same: Sequence[Trial], others: Sequence[Trial]) -> list[str]:
    sentences: list[str] = []
    if same:
        sentences.append(
            say_counted(
                "{names} says exactly what fp32 says.",
                "{names} say exactly what fp32 says.",
                len(same),
                names=joined([trial.format for trial in same]),
            )
        )
    apart: dict[int, list[str]] = {}
    for trial in others:
        if (position := _diverges(trial)) is not None:
            apart.setdefault(position, []).append(trial.format)
    return sentences + [
        say_counted(
            "{names} diverges from fp32 at token {position}.",
            "{names} diverge from fp32 at token {position}.",
            len(names),
            names=joined(names),
            position=position,
        )
        for position, names in apart.items()
    ]


def _weights(reference: Trial, candidates: Sequence[Trial]) -> list[str]:
    """The smallest of them beside fp32, and why it isn't smaller still."""
    if not candidates:
        return []
    best = min(candidates, key=lambda trial: trial.footprint.total)
    size, whole = best.footprint.total, reference.footprint.total
    told = {
        "format": best.format,
        "times": f"{whole / size:.2f}",
        "size": megabytes(size),
        "whole": megabytes(whole),
    }
    least = best.figures.get("bytes_with_embeddings")
    if least is None or least >= size:
        return [
            say("{format} is {times} times smaller than fp32, {size} instead of {whole}.", **told)
        ]
    return [
        say(
            "{format} is {times} times smaller than fp32, {size} instead of {whole}; it would be "
            "{more} times if the embeddings were quantized too.",
            **told,
            more=f"{whole / least:.2f}",
        )
    ]


def _ended(report: Report) -> list[str]:
    """What failed, and what was stopped."""
    sentences: list[str] = []
    if failed := [ended.format for ended in report.failures]:
        sentences.append(
            say_counted(
                "{names} failed; the card says why.",
                "{names} failed; the cards say why.",
                len(failed),
                names=joined(failed),
            )
        )
    if stopped := [ended.format for ended in report.stopped]:
        sentences.append(
            say_counted(
                "{names} was stopped before it finished.",
                "{names} were stopped before they finished.",
                len(stopped),
                names=joined(stopped),
            )
        )
    return sentences


def _too_far(trials: Sequence[Trial]) -> list[str]:
    return [
        say("Inside {format}, numbers went too far for it; its card says where.", format=one.format)
        for one in trials
        if one.span and one.span.overflow
    ]
