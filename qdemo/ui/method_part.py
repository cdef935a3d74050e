"""What each part of the page on methods is, and how it follows the matrix and its own controls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from qdemo.spec.messages import say
from qdemo.ui import parts
from qdemo.ui.address import Named

Show = Callable[..., tuple[Any, ...]]


@dataclass(frozen=True, eq=False)
class Part:
    """Its controls by the names that an address has for them, the components that it fills, and
    what fills them: a function of the matrix and of the values of the controls. For these values
    another matrix changes something if it `follows` it: charts that stay are not drawn anew."""

    named: Named
    shown: tuple[Any, ...]
    show: Show
    follows: Callable[..., bool] = lambda *values: True

    @property
    def begins(self) -> list[Any]:
        """What its controls begin with."""
        return [control.value for control in self.named.values()]


def connect(found: Sequence[Part], text: gr.Textbox, problem: gr.HTML) -> None:
    """Have each follow its own controls, and all of them the matrix, in one answer."""
    for part in found:
        if part.named:
            when = [control.change for control in part.named.values()]
            _answer(when, [part], text, problem, is_own=True)
    _answer([text.change], found, text, problem, is_own=False)


def _answer(
    when: Sequence[Any], found: Sequence[Part], text: gr.Textbox, problem: gr.HTML, is_own: bool
) -> None:
    """Fill those parts at these events, which are of their own controls, or of the matrix."""
    controls = [control for part in found for control in part.named.values()]
    shown = [one for part in found for one in part.shown]

    def answer(matrix: str, *values: Any) -> tuple[Any, ...]:
        try:
            return *filled(found, matrix, values, is_own), ""
        except ValueError as error:
            return *parts.nothing(len(shown)), parts.problem_html(str(error))

    gr.on(when, answer, [text, *controls], [*shown, problem], **parts.QUICK)


@parts.computing
def filled(
    found: Sequence[Part], matrix: str, values: Sequence[Any], is_whole: bool = True
) -> tuple[Any, ...]:
    """What all of them show; unless it `is_whole`, what another matrix changes.

    Raises:
        ValueError: the text is no matrix, or something can't be computed of it.
    """
    from qdemo.lab.matrices import read

    w, rest, shown = read(matrix), list(values), list[Any]()
    for part in found:
        own, rest = rest[: len(part.named)], rest[len(part.named) :]
        is_asked = is_whole or part.follows(*own)
        shown += part.show(w, *own) if is_asked else parts.nothing(len(part.shown))
    return tuple(shown)


def grids(names: Sequence[str], value: str, label: str, name: str) -> gr.Radio:
    """A choice of grids."""
    return gr.Radio(list(names), value=value, label=label, elem_id=name, min_width=320)


def bits(value: int, name: str, label: str = "") -> gr.Slider:
    """A choice of few bits."""
    return gr.Slider(2, 4, value, step=1, label=label or say("Bits"), elem_id=name, min_width=240)
