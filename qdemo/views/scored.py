"""A text that is scored: how surprised each format is by its words, one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby

import plotly.graph_objects as go

from qdemo.spec.messages import say
from qdemo.spec.report import Report, Trial
from qdemo.views import plots, svg
from qdemo.views.colours import colour
from qdemo.views.exceptions import labels
from qdemo.views.numbers import significant
from qdemo.views.templates import fill

MOST = 128
"""Points of a line; of a longer text each is the mean of neighbours."""

WIDTHS = (1100, 340)
"""Of the chart, in px: on a desktop, and on a phone."""

HALF = math.log(2)
"""By so many nats the loss of a token grows that is half as likely."""

Losses = Sequence[float | None]


def of(trial: Trial) -> Losses:
    """The loss of each token, in nats, None where it is not finite; empty for an answer."""
    return trial.by_position.get("loss_by_position", ())


def runs(report: Report, trial: Trial) -> tuple[tuple[str, bool], ...]:
    """The text in runs, each with whether its tokens are at most half as likely to a format as to
    fp32."""
    every = zip(_parts(report), of(report.results[0]), of(trial), strict=False)
    told = [(text, _rises(was, now)) for text, was, now in every]
    begun = "".join(text for text, _ in told)
    told.append((trial.output[len(begun) :], False))
    found: list[tuple[str, bool]] = []
    for is_more, run in groupby(told, key=lambda one: one[1]):
        text = "".join(text for text, _ in run)
        bare = text.lstrip() if is_more else text  # a blank before a word is not marked
        found += [(text[: len(text) - len(bare)], False), (bare, is_more)]
    return tuple((text, is_more) for text, is_more in found if text)


def _parts(report: Report) -> list[str]:
    """What each token that is scored has of the text, the blanks before it too; nothing of the
    later ones of a character that several tokens share."""
    text, at, found = report.results[0].output, 0, []
    for token in report.read:
        own = (token.text or "").strip()
        start = text.find(own, at)
        is_next = bool(own) and not text[at:start].strip()
        end = start + len(own) if is_next and start >= at else at
        found.append(text[at:end])
        at = end
    first, *others = found or [""]
    return [first + others[0], *others[1:]] if others else []  # the first is given


def _rises(was: float | None, now: float | None) -> bool:
    return now is None or (was is not None and now - was >= HALF)


def reading(report: Report) -> str:
    """By which token fp32 is surprised most, and where a format loses most."""
    first, pieces = of(report.results[0]), report.results[0].pieces
    known = [(loss, at) for at, loss in enumerate(first) if loss is not None]
    if not known:
        return say("No loss of fp32 is finite.")
    most, at = max(known)
    told = say(
        "fp32 is surprised most by token {position}, {token}: {loss} nats.",
        position=at + 1,
        token=_bare(pieces[at]),
        loss=significant(most),
    )
    rises = [
        (now - was, trial.format, at)
        for trial in report.variants
        for at, (was, now) in enumerate(zip(first, of(trial), strict=True))
        if was is not None and now is not None
    ]
    if not rises or max(rises)[0] <= 0:
        return told
    rise, format_, at = max(rises)
    return say(
        "{first} {format} loses most at token {position}, {token}: {loss} nats more than fp32.",
        first=told,
        format=format_,
        position=at + 1,
        token=_bare(pieces[at]),
        loss=significant(rise),
    )


def _bare(piece: str) -> str:
    """Without blanks around it, unless it is nothing else."""
    return piece.strip() or piece


def chart(report: Report) -> go.Figure:
    """The loss of each token, or of so many together that a line can be followed."""
    count = len(report.results[0].pieces)
    step = -(-count // MOST)
    dashes = [trace["line"] for trace in plots.styles(report)]
    names = labels([trial.format for trial in report.results])
    looks = [{"color": colour("fp32"), "dash": "solid", "width": 2.5}, *dashes]
    lines = [
        {
            "type": "scatter",
            "name": name,
            "x": [at + 1 + (min(step, count - at) - 1) / 2 for at in range(0, count, step)],
            "y": _means(of(trial), step),
            "mode": "lines",
            "line": look,
        }
        for trial, look, name in zip(report.results, looks, names, strict=True)
    ]
    by = say("token of the text") if step == 1 else say("token, {step} together", step=step)
    return plots.styled(
        lines,
        (say("Loss at each token"), by, say("loss, nats")),
        height=300,
        xaxis={"range": [0.5, count + 0.5], "tickformat": "d", "dtick": max(1, round(count / 12))},
        yaxis={"rangemode": "tozero"},
    )


def _means(losses: Losses, step: int) -> list[float | None]:
    """Of each `step` neighbours, those that are finite."""
    parts = (losses[at : at + step] for at in range(0, len(losses), step))
    known = ([loss for loss in part if loss is not None] for part in parts)
    return [round(sum(part) / len(part), 3) if part else None for part in known]


def loss_html(report: Report) -> str:
    """The chart as it stands on the page and in files, and what to see in it; nothing for an
    answer."""
    if not report.is_scored or not report.variants:
        return ""
    charts = [svg.drawn(chart(report), width) for width in WIDTHS]
    return fill("loss", charts=charts, reading=reading(report))
