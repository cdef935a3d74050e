"""What each part of the page on methods is, and how it follows the matrix and its own controls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from qdemo.spec.messages import say
from qdemo.ui import parts
from qdemo.ui.address import Named

if TYPE_CHECKING:
    from torch import Tensor

Show = Callable[..., tuple[Any, ...]]


@dataclass(frozen=True, eq=False)
class Part:
    """Its controls by the names that an address has for them, the components that it fills, and
    what fills them: a function of the matrix and of the values of the controls."""

    named: Named
    shown: tuple[Any, ...]
    show: Show

    @property
    def begins(self) -> list[Any]:
        """What its controls begin with."""
        return [control.value for control in self.named.values()]


def connect(found: Sequence[Part], text: gr.Textbox, problem: gr.HTML) -> None:
    """Have each follow its own controls, and all of them the matrix, in one answer."""
    for part in found:
        _follow([part], text, problem, [control.change for control in part.named.values()])
    _follow(found, text, problem, [text.change])


def _follow(found: Sequence[Part], text: gr.Textbox, problem: gr.HTML, when: list[Any]) -> None:
    if not when:
        return
    controls = [control for part in found for control in part.named.values()]
    shown = [one for part in found for one in part.shown]

    def answer(matrix: str, *values: Any) -> tuple[Any, ...]:
        try:
            return *filled(found, matrix, values), ""
        except ValueError as error:
            return *parts.nothing(len(shown)), parts.problem_html(str(error))

    gr.on(when, answer, [text, *controls], [*shown, problem], **parts.QUICK)


@parts.computing
def filled(found: Sequence[Part], matrix: str, values: Sequence[Any]) -> tuple[Any, ...]:
    """What all of them show.

    Raises:
        ValueError: the text is no matrix, or something can't be computed of it.
    """
    from qdemo.lab.matrices import read

    return of_matrix(found, read(matrix), values)


def of_matrix(found: Sequence[Part], w: Tensor, values: Sequence[Any]) -> tuple[Any, ...]:
    """The same of a matrix (rows, columns)."""
    shown: list[Any] = []
    rest = list(values)
    for part in found:
        own, rest = rest[: len(part.named)], rest[len(part.named) :]
        shown += part.show(w, *own)
    return tuple(shown)


def grids(names: Sequence[str], value: str, label: str, name: str) -> gr.Radio:
    """A choice of grids."""
    return gr.Radio(list(names), value=value, label=label, elem_id=name, min_width=320)


def bits(value: int, name: str, most: int = 4) -> gr.Slider:
    """A choice of few bits."""
    return gr.Slider(2, most, value, step=1, label=say("Bits"), elem_id=name, min_width=240)
