"""What pages show to begin with, computed earlier: it takes torch, for which no page waits.

`python -m assets.examples` computes it anew, and a test holds it equal to what is computed now.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import gradio as gr

from qdemo.spec.messages import language
from qdemo.ui import insides
from qdemo.views.templates import ASSETS

FILE = ASSETS / "examples" / "pages.json"

OPENED: dict[str, Any] = {"queue": False, "show_progress": "hidden", "api_visibility": "private"}
"""Settings of what fills a page when it is opened: what takes torch is not there before."""

Values = Mapping[str, Mapping[str, str]]
"""By the path of a page, and by the name of a component: HTML, or a chart as JSON."""

_COMPUTED: dict[tuple[str, str], tuple[Sequence[Any], Callable[[], Any]]] = {}
"""What `begin` was told, by page and first component: laid out once more, it is the same again."""


def begin(blocks: gr.Blocks, shown: Sequence[Any], compute: Callable[[], Any]) -> None:
    """Have `shown` begin with what `compute` answers: a value for each, or the one value of one.

    Where all of it was computed earlier, the components have it from when they were made. Else it
    is computed when the page is opened, and the page changes under the eyes of who reads it.
    """
    _COMPUTED[insides.page(), shown[0].elem_id] = shown, compute
    if all(earlier(one.elem_id) is not None for one in shown if _is_kept(one)):
        return
    blocks.load(compute, None, list(shown), **OPENED)


def earlier(name: str | None) -> str | None:
    """The value of a component of the page that is being laid out; None if there is none."""
    return _kept().get(insides.page(), {}).get(name or "")


@cache
def _kept() -> Values:
    """What was computed earlier, unless it speaks another language than the page."""
    if not FILE.exists():
        return {}
    found = json.loads(FILE.read_text(encoding="utf-8"))
    pages: Values = found["pages"] if found["language"] == language() else {}
    return pages


def computed() -> Values:
    """The same for the pages that were laid out last, computed now."""
    found: dict[str, dict[str, str]] = {}
    for (page, _), (shown, compute) in sorted(_COMPUTED.items(), key=lambda item: item[0]):
        answer = compute()
        values = answer if isinstance(answer, tuple) else (answer,)
        for one, value in zip(shown, values, strict=True):
            if _is_kept(one) and (text := _text(value)) is not None:
                found.setdefault(page, {})[one.elem_id] = text
    return found


def as_text(pages: Values) -> str:
    """As `FILE` has it, a component a line."""
    return json.dumps({"language": language(), "pages": pages}, indent=1, ensure_ascii=False) + "\n"


def _is_kept(component: Any) -> bool:
    return isinstance(component, gr.HTML | gr.Plot) and bool(component.elem_id)


def _text(value: Any) -> str | None:
    """None where nothing is shown."""
    if isinstance(value, str):
        return value
    return str(value.plot) if isinstance(value, insides.PlotData) else None
