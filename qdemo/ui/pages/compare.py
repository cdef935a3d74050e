"""The Compare page: controls, verdict, cards, charts, take-away, and what connects them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from qdemo.document import Document
from qdemo.request import FIELDS, InputError, Request
from qdemo.ui import charts, controls, example, jobs, link, parts, take_away
from qdemo.views import panels
from qdemo.views.cards import cards
from qdemo.views.templates import fill
from qdemo.zoo.availability import get_entry

if TYPE_CHECKING:
    from qdemo.progress import Progress
    from qdemo.zoo.download import Downloading

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
_HOUR = 3600  # seconds that a comparison is kept for a page that nobody looks at
_STOPPED = "stopped before it was through"
_BROKE_OFF = "The comparison broke off for a reason that the server's log has. Please try again."
_LOGGER = logging.getLogger(__name__)
Updates = dict[Any, Any]


@dataclass(frozen=True, eq=False)
class Page:
    """The components that a comparison changes."""

    controls: controls.Controls
    status: gr.HTML
    verdict: gr.HTML
    cards: gr.HTML
    charts: charts.Charts
    take_away: take_away.TakeAway
    progress: gr.State
    document: gr.State
    start: gr.State  # changes when a comparison is to start without a click
    wanted: gr.State  # the model to download, and when that was asked for

    @property
    def components(self) -> list[Any]:
        """All of them, as the outputs of an event."""
        mine = [self.status, self.verdict, self.cards, self.progress, self.document, self.wanted]
        buttons = [self.controls.compare, self.controls.stop]
        problems = list(self.controls.problems.values())
        return [*mine, *buttons, *problems, *self.charts.components, self.take_away.link]


def build(blocks: gr.Blocks) -> None:
    """Lay the page out in `blocks` and connect it."""
    document = example.example()
    parts.html(fill("masthead"))
    chosen = controls.build(document["model"], document["input"])
    page = Page(
        controls=chosen,
        status=parts.html(_status(""), "status"),
        verdict=parts.html(panels.verdict_html(document, example.note()), "verdict"),
        cards=parts.html(panels.cards_html(cards(document)), "cards"),
        charts=charts.build(document),
        take_away=take_away.build(),
        progress=gr.State(None, time_to_live=_HOUR),
        document=gr.State(None, time_to_live=_HOUR),
        start=gr.State(0),
        wanted=gr.State(None),
    )
    _connect(blocks, page)


def _connect(blocks: gr.Blocks, page: Page) -> None:
    run = gr.on(
        [page.controls.compare.click, page.start.change],
        partial(_run, page), page.controls.asked, page.components,
        concurrency_id="model", show_progress_on=page.status,
        **_QUIET | {"show_progress": "minimal"},
    )  # fmt: skip
    # In a queue of its own: a download of minutes is no reason for others not to compare.
    download = page.wanted.change(
        partial(_download, page), page.wanted, [*page.components, page.controls.model, page.start],
        concurrency_id="download", show_progress_on=page.status,
        **_QUIET | {"show_progress": "minimal"},
    )  # fmt: skip
    # First cancelled, then shown as stopped: what was under way would write over it.
    page.controls.stop.click(None, cancels=[run, download], queue=False, **_QUIET).then(
        partial(_stop, page), page.progress, page.components, queue=False, **_QUIET
    )
    page.charts.parameter.input(
        lambda document, name: charts.of_parameter(_shown(document), name),
        [page.document, page.charts.parameter], page.charts.of_parameter, queue=False, **_QUIET,
    )  # fmt: skip
    page.charts.ribbon.select(_top, page.document, page.charts.top, queue=False, **_QUIET)
    take_away.connect(page.take_away, page.document, _shown)
    link.connect(blocks, page.controls, page.start)


def _shown(document: Document | None) -> Document:
    """What is on screen: the last comparison, or the example where there was none yet."""
    return document or example.example()


def _run(page: Page, *asked: Any) -> Iterator[Updates]:
    """One comparison, from the controls' values to the last chart."""
    try:
        request = Request.parse(**controls.read(*asked))
        yield {**_problems(page), **_busy(page, True), page.status: _status("Loading …", True)}
        if not jobs.is_here(request.entry):
            yield {page.wanted: (request.entry.name, time.time_ns())}
            return
        for progress in jobs.progress(request):
            yield _end(page, progress, request) if progress.finished else _step(page, progress)
        # On its own, as gradio sends what comes last once more.
        yield {**_busy(page, False), page.status: _status("Done.")}
    except InputError as error:
        yield {**_problems(page, error), **_busy(page, False), page.status: _status("")}
    except Exception:  # the page must not stay busy, whatever went wrong
        _LOGGER.exception("a comparison broke off")
        yield {**_busy(page, False), page.status: _status(_BROKE_OFF)}


def _download(page: Page, wanted: tuple[str, int]) -> Iterator[Updates]:
    """Bring the model from the Hub, then compare."""
    name, _ = wanted
    try:
        yield {page.status: _status(f"Asking the Hub for {name} …", True)}
        for known in jobs.download(get_entry(name)):
            yield {page.status: _downloading(name, known)}
    except InputError as error:
        yield {**_problems(page, error), **_busy(page, False), page.status: _status("")}
    except Exception:
        _LOGGER.exception("a download broke off")
        yield {**_busy(page, False), page.status: _status(_BROKE_OFF)}
    else:
        choices = gr.update(choices=controls.model_choices())
        yield {page.controls.model: choices, page.start: time.time_ns()}


def _downloading(name: str, known: Downloading) -> str:
    speed, left = known.bytes_per_second, known.seconds_left
    return panels.download_html(name, known.done, known.total, speed, left)


def _step(page: Page, progress: Progress) -> Updates:
    document = progress.card_document()
    shown = cards(document, progress.running)
    through = sum(card.state in ("done", "failed") for card in shown)
    return {
        page.progress: progress,
        page.cards: panels.cards_html(shown),
        page.verdict: panels.running_html(document),
        page.status: _status(f"{through} of {len(shown)} formats are through.", True),
    }


def _end(page: Page, progress: Progress, request: Request | None = None) -> Updates:
    document = progress.document()
    again = {page.take_away.link: take_away.link_html(request)} if request else {}
    return {
        page.progress: None,
        page.document: document,
        page.cards: panels.cards_html(cards(document)),
        page.verdict: panels.verdict_html(document),
        **charts.updates(page.charts, document),
        **again,
    }


def _stop(page: Page, progress: Progress | None) -> Updates:
    """What is through stays; what isn't says so."""
    through = {} if progress is None else _end(page, progress.stopped(_STOPPED))
    return through | _busy(page, False) | {page.status: _status("Stopped.")}


def _top(document: Document | None, event: gr.EventData) -> str:
    return panels.top_html(_shown(document), event.position)


def _problems(page: Page, error: InputError | None = None) -> Updates:
    """Each control's line: empty, but for the one that something is wrong with."""
    fields = page.controls.problems
    return {
        fields[name]: parts.problem_html(str(error) if error and error.field == name else "")
        for name in FIELDS
    }


def _busy(page: Page, is_busy: bool) -> Updates:
    return {
        page.controls.compare: gr.update(interactive=not is_busy),
        page.controls.stop: gr.update(interactive=is_busy),
    }


def _status(text: str, busy: bool = False) -> str:
    return fill("status", text=text, busy=busy)
