"""The Evidence page: many inputs instead of one, and what they say of each format."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gradio as gr

from qdemo.engine import evaluating, evaluation, turns
from qdemo.engine.asking import parse_model
from qdemo.engine.datasets import from_file, held_out
from qdemo.engine.evaluation import Evaluation, Progress
from qdemo.engine.turns import FullError, Run, Waiting, begun
from qdemo.models.availability import get_entry
from qdemo.settings import SETTINGS
from qdemo.spec.messages import say
from qdemo.spec.request import InputError
from qdemo.ui import (
    address,
    controls,
    evidence_controls,
    evidence_held,
    evidence_part,
    layers_part,
    mix_part,
    parts,
    status,
    take_away,
)
from qdemo.ui.evidence_controls import Asked
from qdemo.ui.evidence_held import Growing
from qdemo.ui.held import figures
from qdemo.views import evidence_files
from qdemo.views.evidence import progress_html, progress_told
from qdemo.views.finding import making

_LOGGER = logging.getLogger("qdemo")
_SHOWN_S = 1.0
"""Between two times that what has come is drawn: each is a message to a browser."""

Updates = dict[Any, Any]


@dataclass(frozen=True, eq=False)
class Page:
    """The components that an evaluation changes."""

    controls: evidence_controls.Controls
    status: gr.HTML
    shown: evidence_part.Shown
    take_away: take_away.TakeAway
    running: gr.Textbox  # the number of the run under way
    asked: gr.Textbox  # whether an address asks for it again: 1, or nothing

    @property
    def components(self) -> list[Any]:
        """All of them, as the outputs of an event."""
        chosen = self.controls
        buttons = [chosen.model, chosen.evaluate, chosen.stop, *chosen.problems.values()]
        told = [self.status, self.shown.held, self.shown.format]
        return [*told, self.running, self.asked, *buttons]


def build(blocks: gr.Blocks) -> None:
    """Lay the page out and connect it; the caller is inside its route."""
    parts.masthead(
        say("Evidence"),
        say(
            "Which format, at what price? One question proves little: here are many, with what "
            "chance leaves open."
        ),
    )
    chosen = evidence_controls.build(evidence_held.example().evidence.model)
    with gr.Row(elem_id="line", equal_height=True):
        line = parts.html(status.line(""), "status")
        note = evidence_part.build_note()
    shown = evidence_part.build(note)
    text = say("Every outcome as JSON, a row a format as CSV, or one page that needs nothing else.")
    away = take_away.build(text, parts.link("evidence"))
    layers_part.build(chosen.model)
    mix_part.build(chosen.model)
    page = Page(chosen, line, shown, away, parts.unseen("running"), parts.unseen("asked"))
    _connect(blocks, page)


def _connect(blocks: gr.Blocks, page: Page) -> None:
    chosen = page.controls
    asked = [*chosen.asked, page.shown.format]
    chosen.evaluate.click(
        partial(_evaluate, page), asked, page.components, preprocess=False,
        concurrency_limit=None, show_progress="hidden", api_visibility="private",
    )  # fmt: skip
    chosen.stop.click(turns.stop, page.running, None, **parts.QUICK)
    was_told = [page.status, chosen.problems["data"]]
    # In the page, at once: an answer might come after what is then said of the new one.
    said_no_longer = f"() => {json.dumps([status.line(''), ''])}"
    chosen.file.change(None, None, was_told, js=said_no_longer, **parts.QUICK)
    evidence_part.connect(page.shown)
    take_away.connect(
        page.take_away, page.shown.held, partial(_write, page.take_away), [page.take_away.lost]
    )
    named = {**chosen.named, **page.shown.named, "run": page.asked}
    address.follow(blocks, named).then(None, page.asked, None, js=_AGAIN, **parts.QUICK)


_AGAIN = "asked => { if (asked === '1') document.querySelector('#evaluate').click(); }"


def _evaluate(page: Page, *values: Any) -> Iterator[Updates]:
    """One evaluation, to its end; what came is kept, whatever ends it."""
    done = evidence_controls.busy(page.controls, False)
    told: object = None
    with begun() as run, evidence_held.growing(run) as growing:
        try:
            *chosen, format = values
            asked = Asked.read(chosen)
            wanted = _checked(asked)
            yield {
                **evidence_controls.wrong(page.controls),
                **evidence_controls.busy(page.controls, True),
                page.running: run.number,
                page.shown.format: format if format in wanted.formats else "",
                page.asked: "1" if asked.can_be_asked_again else "",
                page.status: status.line(say("Loading …"), "busy"),
            }
            yield from _brought(page, wanted, run)
            for at, updates in _followed(page, wanted, run, growing):
                told = at
                yield updates
            yield {**done, page.status: status.line(status.last_word(run, told))}
        except InputError as error:
            wrong = evidence_controls.wrong(page.controls, error)
            yield {**wrong, **done, page.status: status.line("")}
        except FullError as error:
            yield {**done, page.status: status.full(error)}
        except Exception:  # the page must not stay busy, whatever went wrong
            _LOGGER.exception("an evaluation broke off")
            reason = say(
                "The evaluation broke off for a reason that the server's log has; what came until "
                "then is shown."
            )
            yield {**done, page.status: status.line(reason)}


def _checked(asked: Asked) -> Evaluation:
    """What is asked for.

    Raises:
        InputError: says in a sentence what is wrong.
    """
    entry, most = parse_model(asked.model), SETTINGS.most_items
    if isinstance(asked.data, Path):
        data = from_file(entry, asked.data, asked.data.name, asked.as_text, most)
    else:
        data = held_out(entry)
    return evaluation.ask(entry.name, asked.formats, data, min(asked.limit, most), asked.seed)


def _brought(page: Page, asked: Evaluation, run: Run) -> Iterator[Updates]:
    """The model is brought from the Hub, where it is not here."""
    line = None
    for line in status.bringing(get_entry(asked.model), run):
        yield {page.status: line}
    if line is not None:
        yield {page.controls.model: gr.update(choices=controls.model_choices())}


def _followed(
    page: Page, asked: Evaluation, run: Run, growing: Growing
) -> Iterator[tuple[Waiting | Progress, Updates]]:
    """How far it is, and now and then what has come; the last of it always."""
    shown_at = 0.0
    limits = SETTINGS.evaluate_s, SETTINGS.method_s
    for told in evaluating.judged(asked, run, None, *limits):
        if isinstance(told, Waiting):
            yield told, {page.status: status.in_line(told, asked.model)}
            continue
        updates: Updates = {page.status: _progress(told)}
        if told.finished or time.monotonic() - shown_at >= _SHOWN_S:
            shown_at = time.monotonic()
            updates[page.shown.held] = growing.now(told.evidence)
        yield told, updates


def _progress(told: Progress) -> str:
    made = making(told.making) if told.making else ""
    left = told.seconds_left
    words = progress_told(told.format, told.done, told.total, left, told.yielding, made)
    return progress_html(told.done, told.total, words)


def _write(part: take_away.TakeAway, ending: str, text: str) -> Updates:
    """The file of the evaluation that is shown."""
    found = evidence_held.findings(text)
    if found is None:
        return take_away.gone(part, ending, parts.problem_html(evidence_part.gone()))
    name = evidence_files.file_name(found, ending)
    return take_away.written(part, name, evidence_files.written(found, ending, figures()))
