"""Which layer hurts: a format's parts tried one by one, on the Evidence page."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import gradio as gr

from qdemo.engine import turns
from qdemo.engine.asking import parse_model
from qdemo.engine.between import between
from qdemo.engine.engine import ENGINE
from qdemo.engine.turns import FullError, Run, Waiting, begun
from qdemo.models.availability import get_entry
from qdemo.settings import SETTINGS
from qdemo.spec import sensitivity, written
from qdemo.spec.messages import say
from qdemo.spec.report import Making
from qdemo.spec.request import InputError
from qdemo.spec.sensitivity import BY, Sensitivity, Trying, check_by
from qdemo.spec.variant import Variant
from qdemo.ui import own_format, parts, status
from qdemo.ui.controls import fields_of
from qdemo.views.exceptions import module_called
from qdemo.views.finding import making
from qdemo.views.layers import layers_html
from qdemo.views.templates import ASSETS, fill

_LOGGER = logging.getLogger("qdemo")
FILE = ASSETS / "examples" / "sensitivity.json"
_FORMATS = ("int4", "int4-g64", "nf4-g64", "int3", "int3-mse", "int2", "int2-mse", "int2-g64-hqq")

Updates = dict[Any, Any]


@dataclass(frozen=True, eq=False)
class Search:
    """The controls of what is searched for, and where it is told: the button that begins, the one
    that stops, the line of how far it is, what came out, and the number of the run under way."""

    begin: gr.Button
    stop: gr.Button
    status: gr.HTML
    problem: gr.HTML
    result: gr.HTML
    running: gr.Textbox

    @property
    def components(self) -> list[Any]:
        """All of them, as the outputs of an event."""
        told = [self.status, self.problem, self.result, self.running]
        return [self.begin, self.stop, *told]

    def busy(self, is_busy: bool) -> Updates:
        """Whether one can begin, or stop."""
        return {
            self.begin: gr.update(interactive=not is_busy),
            self.stop: gr.update(interactive=is_busy),
        }


@cache
def example() -> Sensitivity:
    """What the section begins with; `python -m assets.examples` computes it anew."""
    return written.from_text(Sensitivity, FILE.read_bytes())


def build(model: gr.Dropdown) -> None:
    """Lay the section out and connect it; the caller is inside a Blocks."""
    found = example()
    parts.section(
        say("Which layer hurts"),
        say(
            "Each layer quantized alone, and each put back to fp32 while all others stay "
            "quantized, on calibration items, so that held-out ones only judge."
        ),
    )
    with gr.Row(equal_height=False, elem_classes="choices"):
        format = gr.Dropdown(
            list(_FORMATS), value=found.format, label=say("Format"), elem_id="hurt-format",
            allow_custom_value=True, min_width=200,
        )  # fmt: skip
        told = {
            "layer": say("layers"),
            "kind": say("kinds of layers"),
            "block": say("whole blocks"),
        }
        by = gr.Radio(
            [(told[one], one) for one in BY], value=found.by, label=say("Parts are"),
            elem_id="hurt-by", min_width=260,
        )  # fmt: skip
        begin, stop = buttons(say("Find out"), "hurt")
    note = say("Computed earlier. Press Find out for your own.")
    result = noted(note, layers_html(found, given_for(found.model)))
    search = told_by(begin, stop, result, "hurt")
    connect(search, _sensitivity, [model, format, by])


def buttons(label: str, name: str) -> tuple[gr.Button, gr.Button]:
    """What begins a search, and what stops it."""
    return (
        gr.Button(label, elem_id=f"{name}-begin", min_width=120, scale=0),
        gr.Button(say("Stop"), elem_id=f"{name}-stop", min_width=90, scale=0, interactive=False),
    )


def noted(note: str, result: str) -> str:
    """A result that was computed before anyone has asked, below what says so."""
    return fill("evidence_note", note=note) + result


def told_by(begin: gr.Button, stop: gr.Button, result: str, name: str) -> Search:
    """Where a search is told, below its controls."""
    line = parts.html(status.line(""), f"{name}-status")
    problem = parts.problem(name)
    found = parts.html(result, f"{name}-result")
    return Search(begin, stop, line, problem, found, parts.unseen(f"{name}-running"))


def given_for(model: str) -> str:
    """What a comparison asks that model, where nothing else was asked."""
    return next((field.first for field in fields_of(model).values()), "")


Steps = Callable[..., tuple[str, Callable[[], Generator[Any]], Callable[[Any], str]]]
"""Of the values of controls: a model, what searches, and what makes HTML of what was found."""


def connect(search: Search, asked: Steps, inputs: list[Any]) -> None:
    """Have the buttons begin it and stop it."""
    search.begin.click(
        partial(_searched, search, asked), inputs, search.components, preprocess=False,
        concurrency_limit=None, show_progress="hidden", api_visibility="private",
    )  # fmt: skip
    search.stop.click(turns.stop, search.running, None, **parts.QUICK)


def _searched(search: Search, asked: Steps, *values: Any) -> Iterator[Updates]:
    """One search, to its end."""
    begun_with = {**search.busy(True), search.problem: ""}
    with begun() as run:
        try:
            model, steps, shown = asked(*values)
            line = status.line(say("Loading …"), "busy")
            yield {**begun_with, search.running: run.number, search.status: line}
            for line in status.bringing(get_entry(model), run):
                yield {search.status: line}
            told: object = None
            for told in between(model, steps, run, SETTINGS.evaluate_s):
                if (news := told_line(told, model)) is not None:
                    yield {search.status: news}
            done = {} if run.is_stopped else {search.result: shown(told)}
            yield {**done, **_over(search, run, told)}
        except InputError as error:
            wrong = {search.problem: parts.problem_html(str(error))}
            yield {**wrong, **search.busy(False), search.status: status.line("")}
        except FullError as error:
            yield {**search.busy(False), search.status: status.full(error)}
        except Exception:  # the page must not stay busy, whatever went wrong
            _LOGGER.exception("a search broke off")
            reason = say("It broke off for a reason that the server's log has. Please try again.")
            yield {**search.busy(False), search.status: status.line(reason)}


def _over(search: Search, run: Run, told: object) -> Updates:
    word = status.last_word(run, told)
    if run.is_stopped:
        word = say("{stopped} What is below is the earlier result.", stopped=word)
    return {**search.busy(False), search.status: status.line(word)}


def told_line(told: object, model: str) -> str | None:
    """How far a search is; None of what is no news."""
    if isinstance(told, Waiting):
        return status.in_line(told, model)
    if isinstance(told, Making):
        return status.line(making(told), "busy")
    if isinstance(told, Trying):
        words = say(
            "{number} of {count}: {part}",
            number=told.number, count=told.count, part=module_called(told.name),
        )  # fmt: skip
        return fill("evidence_progress", done=told.number - 1, total=told.count, words=words)
    return None


def variant_of(text: Any, field: str = "formats") -> Variant:
    """A format that was chosen or typed.

    Raises:
        InputError: it is none, or can't be computed.
    """
    try:
        return own_format.read(str(text))
    except ValueError as error:
        raise InputError(field, str(error)) from None


def _sensitivity(
    model: Any, format: Any, by: Any
) -> tuple[str, Callable[[], Generator[Any]], Callable[[Any], str]]:
    variant, entry = variant_of(format), parse_model(model)
    try:
        part = check_by(str(by))
    except ValueError as error:
        raise InputError("by", str(error)) from None

    def steps() -> Generator[Any]:
        from qdemo.engine.layerwise import sensitivity_of

        asked = (ENGINE, entry.name, variant, part, sensitivity.ITEMS, SETTINGS.method_s)
        yield from sensitivity_of(*asked)

    return entry.name, steps, lambda found: layers_html(found, given_for(entry.name))
