"""The choices of a page in its address: the browser writes it, and it is read when it opens."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

import gradio as gr

from qdemo.spec.request import InputError, parse_formats
from qdemo.ui import beginning, own_format, parts

Named = Mapping[str, Any]
"""The components whose values stand in an address, by the names that they have there."""


def connect(
    blocks: gr.Blocks, named: Named, shown: Sequence[Any], first: Callable[[], Sequence[Any]]
) -> Any:
    """The same as `follow`; to begin with, `shown` show what comes `first`."""
    opened = follow(blocks, named)
    beginning.begin(blocks, shown, first)
    return opened


def follow(blocks: gr.Blocks, named: Named) -> Any:
    """Have the address follow `named`; when the page opens, give them back what is in it, which is
    the event that is returned."""
    address = parts.unseen("address")
    usual = {name: part.value for name, part in named.items()}
    chosen = list(named.values())

    js = f"() => (qdemo.page({json.dumps(list(named))}), [qdemo.read()])"
    opened = blocks.load(partial(restored, named), address, chosen, js=js, **beginning.OPENED)
    js = f"qdemo.state({json.dumps(usual)})"
    gr.on([part.change for part in chosen], None, chosen, None, js=js, **parts.QUICK)
    return opened


def restored(named: Named, text: str) -> list[Any]:
    """A value for each component, where the address has one that it can take."""
    query = dict(parse_qsl(text, keep_blank_values=True))
    return [
        _taken(part, query[name]) if name in query else gr.skip() for name, part in named.items()
    ]


def _taken(part: Any, text: str) -> Any:
    if isinstance(part, gr.Slider):
        return _number(part, text)
    if isinstance(part, gr.Radio | gr.Dropdown):
        return text if text in [value for _, value in part.choices] else gr.skip()
    if isinstance(part, gr.CheckboxGroup):
        return _formats(text)
    lines = text.replace(";", "\n") if part.lines > 1 else text
    return lines[: part.max_length]


def _formats(text: str) -> Any:
    """Exactly those formats ticked, of one's own too."""
    try:
        return own_format.ticked(map(str, parse_formats(text)))
    except InputError:
        return gr.skip()


def _number(part: gr.Slider, text: str) -> Any:
    try:
        number = float(text)
    except ValueError:
        return gr.skip()
    if not part.minimum <= number <= part.maximum:
        return gr.skip()
    return int(number) if float(part.step).is_integer() else number
