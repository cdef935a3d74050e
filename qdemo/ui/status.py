"""The line that says how far a comparison is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from qdemo.engine.engine import ENGINE, is_here
from qdemo.engine.estimating import seconds_of
from qdemo.engine.turns import FullError, Run, Waiting
from qdemo.models.catalogue import Entry
from qdemo.spec.messages import say
from qdemo.spec.request import Request
from qdemo.views import panels
from qdemo.views.exceptions import called
from qdemo.views.templates import fill
from qdemo.views.wording import joined, shortened

if TYPE_CHECKING:
    from qdemo.models.download import Downloading

LONGEST = 60
"""Characters of a question in it."""


def line(text: str, state: str = "") -> str:
    """The line as HTML; `state` is `busy` while something is under way."""
    return fill("status", text=text, state=state)


def begun(request: Request) -> str:
    """That it has begun, and how long it takes to find what has to be found first."""
    text: str = say("Loading …")
    takes = {str(one): seconds_of(one, request.model) for one in request.variants}
    slow = [shortened(called(name), LONGEST) for name, seconds in takes.items() if seconds >= 1]
    if slow:
        about = sum(seconds for seconds in takes.values() if seconds >= 1)
        told = say(
            "To find {names} takes about {seconds:.0f} s, once for this model.",
            names=joined(slow), seconds=about,
        )  # fmt: skip
        text = f"{text} {told}"
    return line(text, "busy")


def full(error: FullError) -> str:
    """That there is no place, and when there may be one."""
    text = say(
        "All {places} places are taken; try again in about {seconds} s.",
        places=error.places,
        seconds=error.seconds,
    )
    return line(text)


def in_line(told: Waiting, asked: str) -> str:
    """One's place in the line, and what waits in it."""
    if asked.startswith("upload:"):
        text = say(
            "{count} ahead of you. Your picture is in the line; Stop leaves it.", count=told.ahead
        )
    else:
        text = say(
            "{count} ahead of you. “{question}” is in the line; Stop leaves it.",
            count=told.ahead,
            question=shortened(asked, LONGEST),
        )
    return line(text, "busy waiting")


def downloading(name: str, known: Downloading) -> str:
    """How far a download is."""
    speed, left = known.bytes_per_second, known.seconds_left
    return panels.download_html(name, known.done, known.total, speed, left)


def bringing(entry: Entry, run: Run) -> Iterator[str]:
    """The line while a model is brought from the Hub; nothing where it is here.

    Raises:
        InputError: it can't be had, or there is no room for it.
        FullError: too many wait.
    """
    if is_here(entry):
        return
    yield line(say("Asking the Hub for {name} …", name=entry.name), "busy")
    for told in ENGINE.download(entry, run):
        if isinstance(told, Waiting):
            yield in_line(told, entry.name)
        else:
            yield downloading(entry.name, told)


def last_word(run: Run, told: object) -> str:
    """How a run ended; `told` is what was told last."""
    if not run.is_stopped:
        return say("Done.")
    if isinstance(told, Waiting):
        return say("You left the line; nothing was computed.")
    return say("Stopped.")
