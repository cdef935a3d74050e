"""What came out, in two or three plain sentences, each written from the report's numbers."""

from __future__ import annotations

from collections.abc import Sequence

from qdemo.spec.report import Report, Trial
from qdemo.views.wording import joined, megabytes


def verdict(report: Report) -> list[str]:
    """Sentences on what the formats say, on what they weigh, and on what failed."""
    if not report.results:
        ended = "failed" if report.failures else "was stopped"
        return [f"fp32 itself {ended}, so there is nothing to compare with."]
    same = [trial for trial in report.variants if _diverges(trial) is None]
    smallest = _weights(report.results[0], same or report.variants)
    sentences = [*_sayings(same, report.variants), *smallest]
    failed = [ended.format for ended in report.failures]
    if failed:
        where = "the card says" if len(failed) == 1 else "the cards say"
        sentences.append(f"{joined(failed)} failed; {where} why.")
    sentences += _stopped([ended.format for ended in report.stopped])
    return sentences + [
        f"Inside {trial.format}, numbers went too far for it; its card says where."
        for trial in report.variants
        if trial.span and trial.span.overflow
    ]


def _diverges(trial: Trial) -> int | None:
    """At which token."""
    first = trial.figures.get("first_divergent_token")
    return None if first is None else int(first)


def _stopped(names: list[str]) -> list[str]:
    if not names:
        return []
    were, they = ("was", "it") if len(names) == 1 else ("were", "they")
    return [f"{joined(names)} {were} stopped before {they} finished."]


def kept_note(report: Report) -> str:
    """What was not computed just now, and when it was; empty where everything was."""
    if not report.kept:
        return ""
    first = min(trial.computed for trial in report.results if trial.format in report.kept)
    day, _, time = first[:16].partition("T")
    computed = f"{joined(report.kept)} {'was' if len(report.kept) == 1 else 'were'} computed"
    return f"{computed} earlier for this same input and kept here, first on {day} at {time} UTC."


def _sayings(same: Sequence[Trial], others: Sequence[Trial]) -> list[str]:
    names = [trial.format for trial in same]
    sentences = []
    if names:
        verb = "says" if len(names) == 1 else "say"
        sentences.append(f"{joined(names)} {verb} exactly what fp32 says.")
    apart: dict[int, list[str]] = {}
    for trial in others:
        if (position := _diverges(trial)) is not None:
            apart.setdefault(position, []).append(trial.format)
    for position, names in apart.items():
        verb = "diverges" if len(names) == 1 else "diverge"
        sentences.append(f"{joined(names)} {verb} from fp32 at token {position}.")
    return sentences


def _weights(reference: Trial, candidates: Sequence[Trial]) -> list[str]:
    """The smallest of them beside fp32, and why it isn't smaller still."""
    if not candidates:
        return []
    best = min(candidates, key=lambda trial: trial.footprint.total)
    size, whole = best.footprint.total, reference.footprint.total
    sentence = (
        f"{best.format} is {whole / size:.2f} times smaller than fp32, "
        f"{megabytes(size)} instead of {megabytes(whole)}"
    )
    return [f"{sentence}{_with_embeddings(whole, best)}."]


def _with_embeddings(whole: int, best: Trial) -> str:
    size = best.figures.get("bytes_with_embeddings")
    if size is None or size >= best.footprint.total:
        return ""
    return f"; it would be {whole / size:.2f} times if the embeddings were quantized too"
