"""Layer surgery on the Compare page: a layer of the map goes back, or alone is quantized, and the
smallest repair is looked for. What comes of either is one more format of what is on screen, which
is asked again as a link asks it: all that was computed is kept."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr

from qdemo.engine.engine import ENGINE
from qdemo.engine.mending import GivenUpError, Mended, Told, mend
from qdemo.engine.turns import FullError, Run, Waiting, begun
from qdemo.spec.messages import say
from qdemo.spec.report import Making, Report
from qdemo.spec.request import InputError, Request
from qdemo.spec.sensitivity import Trying
from qdemo.spec.variant import Variant
from qdemo.ui import link, parts, status
from qdemo.ui.held import Held
from qdemo.views.exceptions import modules_called
from qdemo.views.finding import making
from qdemo.views.surgery import Operation, check_room, operated, repair_told
from qdemo.views.templates import fill

_LOGGER = logging.getLogger("qdemo")
Updates = dict[Any, Any]


@dataclass(frozen=True, eq=False)
class Surgery:
    """What the page's script asks for, each in a value that nobody sees, and the way to what comes
    of it; `told` is what is said of the last repair."""

    operation: gr.Textbox
    repair: gr.Textbox
    upload: gr.Textbox
    found: gr.Textbox
    told: gr.HTML


def build() -> Surgery:
    """The line in which a repair is told; the caller is inside a Blocks."""
    return Surgery(
        operation=parts.unseen("operate"),
        repair=parts.unseen("repair"),
        upload=parts.unseen("repair-upload"),
        found=parts.unseen("operated"),
        told=parts.html("", "repair-told"),
    )


def connect(
    surgery: Surgery, held: gr.Textbox, line: gr.HTML, running: gr.Textbox, buttons: Sequence[Any]
) -> None:
    """Have it happen to what `held` says is on screen. `line` tells how far it is, `running` has
    the number of what is under way, and `buttons` are Compare and Stop."""
    surgery.operation.change(
        _operated, [held, surgery.operation], surgery.found,
        **parts.QUICK | {"trigger_mode": "multiple"},
    ).then(None, surgery.found, None, js="qdemo.operated", **parts.QUICK)  # fmt: skip
    page = _Page(surgery, line, running, *buttons)
    surgery.repair.change(
        partial(_repair, page), [held, surgery.upload, surgery.repair], page.components,
        js="qdemo.repairing", concurrency_limit=None, show_progress="hidden",
        api_visibility="private", trigger_mode="multiple",
    ).then(None, surgery.found, None, js="qdemo.repaired", **parts.QUICK)  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Page:
    """What a repair changes."""

    surgery: Surgery
    line: gr.HTML
    running: gr.Textbox
    compare: gr.Button
    stop: gr.Button

    @property
    def components(self) -> list[Any]:
        """All of it, as the outputs of an event."""
        own = [self.surgery.found, self.surgery.told]
        return [*own, self.line, self.running, self.compare, self.stop]

    def busy(self, is_busy: bool) -> Updates:
        """Whether something is under way, as the buttons show it."""
        return {
            self.compare: gr.update(interactive=not is_busy),
            self.stop: gr.update(interactive=is_busy),
        }


def _operated(text: str, asked: str) -> str:
    """The address that one more format stands in; or what is wrong."""
    ask = Held.read(text)
    report = ask.report()
    if report is None:
        return _answer(problem=say("The server no longer has these results; press Compare first."))
    try:
        return _answer(ask, str(operated(report, _operation(report, asked))))
    except ValueError as error:
        return _answer(problem=str(error))


def _operation(report: Report, text: str) -> Operation:
    asked = _asked(text, "format", "place", "way")
    place, count = str(asked["place"])[:20], len(report.parameters)
    if not (place.isascii() and place.isdigit() and int(place) < count):
        raise ValueError(say("there is no matrix {place}; expected 0 to {last}",
                             place=place, last=count - 1))  # fmt: skip
    return Operation(str(asked["format"]), report.parameters[int(place)], asked["way"])


def _asked(text: str, *names: str) -> Mapping[str, Any]:
    """What the page's script asks for, as anyone may send it.

    Raises:
        ValueError: it is no JSON, or lacks something.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or set(names) - set(found):
        raise ValueError(say("expected JSON with {names}", names=", ".join(names)))
    return found


def _answer(ask: Held | None = None, format: str = "", problem: str = "") -> str:
    """For the page's script; each another, as the same may be asked twice."""
    address = "" if ask is None else link.with_format(ask.address, format)
    return json.dumps({"address": address, "format": format, "problem": problem})


def _repair(page: _Page, text: str, upload: str, asked: str) -> Iterator[Updates]:
    """The layers that bring the answer back are looked for; what comes of it is told."""
    ask = Held.read(text)
    with begun() as run:
        begin = status.line(say("Looking for the layers …"), "busy")
        yield {**page.busy(True), page.running: run.number, page.line: begin,
               page.surgery.told: "", page.surgery.found: ""}  # fmt: skip
        try:
            yield from _mended(page, ask, link.request(ask.address, upload), asked, run)
            return
        except FullError as error:
            line = status.full(error)
        except (InputError, GivenUpError, ValueError) as error:
            line = status.line(str(error))
        except Exception:  # the page must not stay busy, whatever went wrong
            _LOGGER.exception("a repair broke off")
            line = status.line(say("The repair broke off; the server's log has the reason."))
        yield {**page.busy(False), page.line: line}


def _mended(page: _Page, ask: Held, request: Request, asked: str, run: Run) -> Iterator[Updates]:
    told: Told | None = None
    for told in mend(ENGINE, request, str(_asked(asked, "format")["format"]), run):
        if not isinstance(told, Mended):
            yield {page.line: _line(told, ask)}
    done = {**page.busy(False), page.line: status.line(status.last_word(run, told))}
    if isinstance(told, Mended):
        done |= _outcome(page, ask, request, told)
    yield done


def _line(told: Told, ask: Held) -> str:
    """How far it is."""
    if isinstance(told, Waiting):
        return status.in_line(told, ask.input)
    if isinstance(told, Making):
        return status.line(making(told), "busy running")
    assert isinstance(told, Trying)
    text = say(
        "Which layers bring the answer back? Try {number} of {count}: {names}",
        number=told.number, count=told.count,
        names=modules_called(tuple(told.name.split(" + "))),
    )  # fmt: skip
    return status.line(text, "busy running")


def _outcome(page: _Page, ask: Held, request: Request, told: Mended) -> Updates:
    """What is said of it; and the repaired format, to be compared with the others, where there is
    one and room for it."""
    found, text, answer = told.repair, repair_told(told.repair, told.before, told.after), ""
    if found.is_needed and found.repaired is not None:
        try:
            check_room(request.formats, Variant.parse(found.repaired))
            answer = _answer(ask, found.repaired)
        except ValueError as error:
            text = f"{text} {error}"
    asked = f"{ask.model} {ask.input}"
    line = fill("repair", text=text, asked=asked, format=found.format)
    return {page.surgery.told: line, page.surgery.found: answer}
