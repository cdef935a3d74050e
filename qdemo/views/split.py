"""Where the time of a token goes: a bar of three parts, and a sentence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qdemo.spec.messages import say, say_counted
from qdemo.spec.report import Report, Trial
from qdemo.views.numbers import megabytes, percent, significant


@dataclass(frozen=True)
class Part:
    """A part of the bar: the figure's `key`, its word, its time, in `ms` and as text with the
    unit."""

    key: str
    word: str
    time: str
    ms: float


@dataclass(frozen=True)
class Split:
    """A token's time in parts, of which the first ends at the limit, or before it where kernels are
    faster than that; `told` is all of it in words, and `sentence` what to take from it."""

    parts: tuple[Part, ...]
    limit_ms: float
    told: str
    sentence: str

    @property
    def ms(self) -> float:
        """The whole bar."""
        return sum(part.ms for part in self.parts)


def split(report: Report, trial: Trial) -> Split | None:
    """The time of a token of that result; None where it was not measured."""
    if any(trial.figures.get(key) is None for key in _NEEDED):
        return None
    parts = tuple(_parts(report, trial))
    told, sentence = _told(parts), _sentence(report, trial)
    found = Split(parts, _ms(trial, "reading_ms"), told, sentence)
    return found if found.ms else None


_NEEDED = ("token_ms", "read_bytes", "reading_ms", "kernels_ms", "outside_ms")


def _parts(report: Report, trial: Trial) -> Iterator[Part]:
    """Together they are a token's time."""
    for f in report.figures:
        if head := f.head("bar"):
            ms = _ms(trial, f.key)
            if f.key == "reading_ms":
                others = _ms(trial, "kernels_ms") + _ms(trial, "outside_ms")
                ms = min(ms, max(0.0, _ms(trial, "token_ms") - others))
            time = say("{time} ms", time=significant(ms, 2))
            yield Part(f.key, say(head), time, ms)


def _ms(trial: Trial, key: str) -> float:
    return float(trial.figures[key] or 0)


def _told(parts: tuple[Part, ...]) -> str:
    """For who does not see the bar."""
    return say(
        "Each further token: {parts}. The line is the limit: the weights read once.",
        parts=", ".join(f"{part.word} {part.time}" for part in parts),
    )


def _sentence(report: Report, trial: Trial) -> str:
    """What a token reads, what of its time is Python, and what that is measured on."""
    further = len(trial.tokens) - 1
    python = say_counted(
        "Of its {time} ms, Python takes {python}: {count} token, divided as one more step after "
        "it.",
        "Of its {time} ms, Python takes {python}: the mean of {count} tokens, divided as one more "
        "step after them.",
        further,
        python=significant(_ms(trial, "outside_ms"), 2),
        time=significant(_ms(trial, "token_ms"), 2),
        count=further,
    )
    return f"{_reads(report, trial)} {python}"


def _reads(report: Report, trial: Trial) -> str:
    read, whole = trial.figures["read_bytes"], report.results[0].figures.get("read_bytes")
    if trial is report.reference or not whole or read is None:
        return say("Each token reads {size} of weights.", size=megabytes(read))
    return say("Each token reads {share} of fp32's bytes.", share=percent(read / whole))
