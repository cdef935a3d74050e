"""The Compare page: controls, verdict, cards, charts, take-away, and what connects them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gradio as gr

from qdemo.engine import turns
from qdemo.engine.asking import ask as asked_for
from qdemo.engine.engine import ENGINE
from qdemo.engine.turns import FullError, Run, Waiting, begun
from qdemo.models.availability import get_entry
from qdemo.models.pictures import Picture, thumbnail
from qdemo.spec.messages import say
from qdemo.spec.report import Report
from qdemo.spec.request import InputError, Request
from qdemo.ui import charts, controls, held, link, parts, status, surgery_part, take_away
from qdemo.ui.held import Held
from qdemo.views import panels
from qdemo.views.cards import Card, cards
from qdemo.views.finding import making
from qdemo.views.telling import stories
from qdemo.views.templates import asset, fill

_LOGGER = logging.getLogger("qdemo")
Updates = dict[Any, Any]


@dataclass(frozen=True, eq=False)
class Page:
    """The components that a comparison changes."""

    controls: controls.Controls
    status: gr.HTML
    verdict: gr.HTML
    cards: gr.HTML  # and what has changed on them since, which the browser puts in its place
    charts: charts.Charts
    take_away: take_away.TakeAway
    held: gr.Textbox  # what is shown, as `Held` writes it
    running: gr.Textbox  # the number of the run under way
    surgery: surgery_part.Surgery

    @property
    def components(self) -> list[Any]:
        """All of them, as the outputs of an event."""
        mine = [self.status, self.verdict, self.cards, self.held, self.running]
        chosen = self.controls
        buttons = [chosen.model, chosen.compare, chosen.stop, *chosen.problems.values()]
        return [*mine, *buttons, *self.charts.components, *self.take_away.told]


def build(blocks: gr.Blocks) -> None:
    """Lay the page out in `blocks` and connect it."""
    report = held.example()
    parts.html(fill("masthead"))
    parts.html(fill("stories", stories=stories()), "stories")
    chosen = controls.build(report.model, report.input, list(report.formats[1:]))
    with gr.Row(elem_id="line", equal_height=True):
        line = parts.html(status.line(""), "status")
        chosen.trained.render()
        parts.html(fill("layout"), "layout", js="qdemo.cards.arrange()")
    above = {
        "status": line,
        "verdict": parts.html(panels.verdict_html(report, held.note(), offers=True), "verdict"),
        "cards": parts.drawn_html(panels.cards_html(cards(report)), "cards", asset("cards.js")),
        "held": parts.unseen("held", str(held.of_example())),
        "running": parts.unseen("running"),
        "surgery": surgery_part.build(),
    }  # fmt: skip
    with parts.later(blocks):  # half of the page, and under the first screen of it
        page = Page(
            chosen, charts=charts.build(report), take_away=take_away.of_comparison(), **above
        )
    _connect(blocks, page)


def _connect(blocks: gr.Blocks, page: Page) -> None:
    run: dict[str, Any] = {
        "concurrency_limit": None,  # they wait in a line of ours, where each sees its place
        "show_progress": "hidden",
        "api_visibility": "private",
        "preprocess": False,  # `Request` checks, and not what gradio remembers of a visitor
    }
    asked, upload = parts.unseen("asked"), parts.unseen("upload")
    now = [*page.controls.asked, page.held]
    page.controls.compare.click(
        partial(_compare, page), [*page.controls.asked, asked, page.held], page.components,
        js="qdemo.compare", trigger_mode="multiple", **run,
    ).then(None, now, None, js="qdemo.through", **parts.QUICK)  # fmt: skip
    again = gr.Button(elem_id="recompute", elem_classes="for-script")
    again.click(
        partial(_again, page), [page.held, upload], page.components, js="qdemo.again", **run
    ).then(
        None, [page.take_away.later, *now], page.take_away.later, js="qdemo.throughAgain",
        **parts.QUICK,
    )  # fmt: skip
    page.controls.stop.click(turns.stop, page.running, None, **parts.QUICK)
    charts.connect(page.charts, page.held)
    buttons = (page.controls.compare, page.controls.stop)
    surgery_part.connect(page.surgery, page.held, page.status, page.running, buttons)
    write = partial(take_away.write, page.take_away, page.held, partial(_from_kept, page))
    take_away.connect(page.take_away, page.held, write, page.components)
    link.connect(blocks, page.controls, page.held, (asked, upload), partial(_example, page))


def _compare(page: Page, *values: Any) -> Iterator[Updates]:
    """What the controls ask for; nothing, where the page has just asked for the same."""
    *asked, address, _ = values
    if not address:
        yield {page.held: gr.skip()}
        return
    read = page.controls.read(asked)
    yield from _run(page, partial(_request, page, read), Held("", str(address), *read.question))


def _request(page: Page, read: controls.Asked) -> Request:
    given = page.controls.given(read)
    return asked_for(read.model, read.formats, given, read.max_tokens, read.fresh, read.decoding)


def _again(page: Page, text: str, upload: str) -> Iterator[Updates]:
    """What is on screen, once more, whatever the controls ask for by now."""
    ask = Held.read(text)
    yield from _run(page, lambda: link.request(ask.address, upload), ask)


def _run(page: Page, parse: Callable[[], Request], ask: Held) -> Iterator[Updates]:
    """One comparison, to the last chart."""
    known: Report | None = None
    told: Waiting | Report | None = None
    picture = ""
    under_way = _UnderWay(page)
    with begun() as run:
        ask = replace(ask, number=run.number)
        try:
            request = parse()
            busy = {**_busy(page, True), page.running: run.number}
            yield {**_problems(page), **busy, page.status: status.begun(request)}
            yield from _brought(page, request, run)
            picture = _small(request.given)
            for told in ENGINE.told(request, run):
                if isinstance(told, Waiting):
                    yield {page.status: status.in_line(told, ask.input)}
                    continue
                known = told
                if known.finished:
                    yield under_way.end(known, ask, picture)
                else:
                    yield under_way.after(known)
            # On its own, as gradio sends what comes last once more.
            yield {**_busy(page, False), page.status: status.line(status.last_word(run, told))}
        except InputError as error:
            yield {**_problems(page, error), **_busy(page, False), page.status: status.line("")}
        except FullError as error:
            yield {**_busy(page, False), page.status: status.full(error)}
        except Exception:  # the page must not stay busy, whatever went wrong
            _LOGGER.exception("a comparison broke off")
            reason = say(
                "The comparison broke off for a reason that the server's log has. Please try again."
            )
            yield {**_busy(page, False), page.status: status.line(reason)}
            if known is not None:  # behind it, as to show what came may be what broke off
                yield under_way.end(known.ended(reason), ask, picture)


def _brought(page: Page, request: Request, run: Run) -> Iterator[Updates]:
    """The model is brought from the Hub, where it is not here."""
    shown = None
    for shown in status.bringing(get_entry(request.model), run):
        yield {page.status: shown}
    if shown is not None:
        yield {page.controls.model: gr.update(choices=controls.model_choices())}


class _UnderWay:
    """What is on the page while a comparison runs: all cards, and after them what changes on them,
    as gradio sends only what is added: with a dozen formats all would be megabytes."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.shown: list[Card] = []
        self.html = ""

    def after(self, report: Report) -> Updates:
        """What the report changes."""
        html = self._with(report)
        through = sum(card.state in ("done", "failed") for card in self.shown)
        count = len(self.shown)
        text: str = say("{through} of {count} formats are done.", through=through, count=count)
        if report.making is not None:
            text = f"{text} {making(report.making)}"
        return {
            self.page.cards: html,
            self.page.verdict: panels.running_html(report),
            self.page.status: status.line(text, "busy running"),
        }

    def end(self, report: Report, ask: Held, picture: str) -> Updates:
        """What is on screen from now on, and kept under its number."""
        ask.keep(report, picture)
        return _shown(self.page, report, ask, self._with(report))

    def _with(self, report: Report) -> str:
        """The cards and all that has changed on them."""
        before, self.shown = self.shown, cards(report)
        news = panels.news_html(before, self.shown) if before else panels.cards_html(self.shown)
        self.html += news
        return self.html


def _shown(page: Page, report: Report, ask: Held, drawn: str, note: str = "") -> Updates:
    return {
        page.held: str(ask),
        page.cards: drawn,
        page.verdict: panels.verdict_html(report, note, offers=True),
        **charts.updates(page.charts, report),
        **take_away.updates(page.take_away, ask.address),
    }


def _example(page: Page) -> Updates:
    """What a page begins with."""
    report = held.example()
    return _shown(page, report, held.of_example(), panels.cards_html(cards(report)), held.note())


def _from_kept(page: Page, ask: Held) -> Updates:
    """What is on screen, put together again from results that are kept; nothing where some are not.

    It replaces what is on screen, so that a file has what is seen."""
    try:
        request = link.request(ask.address)
        known = ENGINE.from_kept(request)
    except InputError:
        return {}
    if known is None:
        return {}
    with begun() as run:
        numbered = replace(ask, number=run.number)
        return _UnderWay(page).end(known, numbered, _small(request.given))


def _small(given: object) -> str:
    """What a report's page shows of a picture: of one's own nothing else is kept."""
    return thumbnail(given) if isinstance(given, Picture) else ""


def _problems(page: Page, error: InputError | None = None) -> Updates:
    """Each control's line: empty, but for the one that something is wrong with."""
    return {
        line: parts.problem_html(str(error) if error and error.field == name else "")
        for name, line in page.controls.problems.items()
    }


def _busy(page: Page, is_busy: bool) -> Updates:
    return {
        page.controls.compare: gr.update(interactive=not is_busy),
        page.controls.stop: gr.update(interactive=is_busy),
    }
