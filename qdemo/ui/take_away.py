"""Take it away: the report as a file, and a link that asks for the same again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache

from qdemo.document import Document
from qdemo.request import Request, as_query
from qdemo.ui import example, parts
from qdemo.views import files
from qdemo.views.templates import fill

_LABELS = {"json": "JSON", "csv": "CSV", "html": "One HTML page"}
_PRESS = "() => document.querySelector('#file').click()"
_COPY = "() => navigator.clipboard?.writeText(document.querySelector('#again')?.href ?? '')"


@dataclass(frozen=True, eq=False)
class TakeAway:
    """A button a kind of file, the button that the browser downloads by, and the link."""

    buttons: dict[str, gr.Button]
    file: gr.DownloadButton
    link: gr.HTML
    copy: gr.Button


def build() -> TakeAway:
    """Lay it out; the caller is inside a Blocks."""
    text = "All figures of this comparison, with the machine and the versions it was computed on."
    parts.section("Take it away", text)
    with gr.Row(elem_id="take-away"):
        buttons = {
            ending: gr.Button(label, elem_id=f"take-{ending}", min_width=120)
            for ending, label in _LABELS.items()
        }
        copy = gr.Button("Copy the link", elem_id="copy-link", min_width=120)
    # Pressed by a script once its file is written: files are made when asked for, not before.
    file = gr.DownloadButton("The file", elem_id="file", elem_classes="for-script")
    link = parts.html(example_link(), "link")
    return TakeAway(buttons, file, link, copy)


def connect(
    part: TakeAway, document: gr.State, shown: Callable[[Document | None], Document]
) -> None:
    """Make each button write its file of the document that is shown, and download it."""
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    for ending, button in part.buttons.items():
        button.click(
            partial(_write, ending, part.file.GRADIO_CACHE, shown),
            document,
            part.file,
            queue=False,
            **quiet,
        ).then(None, None, None, js=_PRESS, **quiet)
    part.copy.click(None, None, None, js=_COPY, **quiet)


def link_html(request: Request) -> str:
    """The link, or why there is none."""
    return _link(request.query())


def example_link() -> str:
    """The link of the example."""
    document = example.example()
    return _link(as_query(document["model"], document["formats"][1:], document["input"]))


def _link(query: str | None) -> str:
    reason = "A link can't carry your own picture; keep the file to compare it again."
    text = "A link that opens this comparison again"
    return fill("link", page="", query=query, text=text, reason=reason)


def _write(
    ending: str,
    cache: str,
    shown: Callable[[Document | None], Document],
    document: Document | None,
) -> str:
    """Write it into the cache that gradio empties; the path."""
    whole = shown(document)
    text = files.WRITERS[ending](whole)
    return str(save_bytes_to_cache(text.encode(), files.file_name(whole, ending), cache))
