"""What is told of a comparison: reports, whenever there is something new to show, and its end."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from qdemo.spec.report import Done, Event, Finished, Making, Report, Started, Stopped, Written

if TYPE_CHECKING:
    from qdemo.measure.measure import Found

SECONDS_APART, STEADY_S = 0.25, 15
"""Between two pictures of a text that grows, each half a kilobyte; after so many seconds they come
less and less often, so that a slow machine sends hardly more of them."""


def now_and_then(events: Generator[Event]) -> Iterator[Report]:
    """What is known after those events, whenever there is something new to show."""
    report: Report | None = None
    began = shown_at = time.monotonic()
    with closing(events):
        for event in events:
            report = event.report if isinstance(event, Started) else report
            assert report is not None
            report = report.after(event)
            now = time.monotonic()
            apart = SECONDS_APART * max(1, (now - began) / STEADY_S)
            if not isinstance(event, Making | Written | Stopped) or now - shown_at > apart:
                yield report
                shown_at = now


def ended(report: Report, reason: str) -> Iterator[Event]:
    """The end of what was ended early."""
    from qdemo.engine.comparing import now

    for name in report.not_through:
        stopped = Stopped(name, reason)
        report = report.after(stopped)
        yield stopped
    yield Finished(replace(report, running={}, finished=True, computed=now()))


def per_model(done: Done) -> Found:
    """What of a result is the same for each input."""
    from qdemo.measure import MEASURES
    from qdemo.measure.measure import Found

    keys = [figure.key for one in MEASURES if one.per_model for figure in one.figures]
    figures = {key: done.trial.figures.get(key) for key in keys}
    return Found(figures, parameters=done.trial.weights)
