"""Take it away: the report as a file, and a link that asks for the same again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from qdemo.engine.keeping import Shown
from qdemo.spec.messages import say
from qdemo.ui import held, parts
from qdemo.ui.held import Held
from qdemo.ui.insides import save_bytes_to_cache
from qdemo.views import files
from qdemo.views.templates import fill

_COPY = "() => navigator.clipboard?.writeText(document.querySelector('#again')?.href ?? '')"
Updates = dict[Any, Any]


@dataclass(frozen=True, eq=False)
class TakeAway:
    """A button a kind of file, the button that the browser downloads by, and the link.

    `lost` says so where a comparison is no longer held. `now` is what the browser presses once a
    file is written, `later` once what was lost is computed again.
    """

    buttons: dict[str, gr.Button]
    file: gr.DownloadButton
    link: gr.HTML
    copy: gr.Button
    lost: gr.HTML
    now: gr.Textbox
    later: gr.Textbox

    @property
    def told(self) -> list[Any]:
        """What a new comparison changes."""
        return [self.link, self.lost]


def build() -> TakeAway:
    """Lay it out; the caller is inside a Blocks."""
    text = say(
        "All figures of this comparison, with the machine and the versions it was computed on."
    )
    parts.section(say("Take it away"), text)
    labels = {"json": "JSON", "csv": "CSV", "html": say("One HTML page")}
    with gr.Row(elem_id="take-away"):
        buttons = {
            ending: gr.Button(label, elem_id=f"take-{ending}", min_width=120)
            for ending, label in labels.items()
        }
        copy = gr.Button(say("Copy the link"), elem_id="copy-link", min_width=120)
    lost = parts.html("", "lost")
    # Pressed by a script once its file is written: files are made when asked for, not before.
    file = gr.DownloadButton(say("The file"), elem_id="file", elem_classes="for-script")
    link = parts.html(_link(held.of_example().address), "link")
    now, later = parts.unseen("press-now"), parts.unseen("press-later")
    return TakeAway(buttons, file, link, copy, lost, now, later)


def connect(
    part: TakeAway, shown: gr.Textbox, again: Callable[[Held], Updates], components: list[Any]
) -> None:
    """Make each button write its file of what is shown, and download it.

    `again` puts together what is no longer held, where that can be done at once, as updates of
    `components`.
    """
    pending = f"<p class='pending' role='status'>{escape(say('Writing the file …'))}</p>"
    for ending, button in part.buttons.items():
        button.click(None, None, part.lost, js=f"() => {json.dumps(pending)}", **parts.QUICK)
        button.click(
            partial(_write, part, shown, again, ending), shown,
            [part.file, part.now, part.later, *components], **parts.QUICK,
        ).then(None, part.now, part.now, js="qdemo.press", **parts.QUICK)  # fmt: skip
    part.copy.click(None, None, None, js=_COPY, **parts.QUICK)


def updates(part: TakeAway, address: str) -> Updates:
    """What changes for a new comparison."""
    return {part.link: _link(address), part.lost: ""}


def _link(address: str) -> str:
    reason = say("A link can't carry your own picture; keep the file to compare it again.")
    text = say("A link that opens this comparison again")
    is_own = "input=upload:" in address
    return fill("link", page="./", state="" if is_own else address, text=text, reason=reason)


def _write(
    part: TakeAway, shown: gr.Textbox, again: Callable[[Held], Updates], ending: str, text: str
) -> Updates:
    """The file of what is shown, to be pressed; or that it is no longer held."""
    changes: Updates = {}
    found = Held.read(text).shown()
    if found is None:
        changes = again(Held.read(text))
        found = Held.read(changes.get(shown)).shown()
    if found is None:
        return {part.lost: parts.lost(), part.later: f"#take-{ending}", part.now: ""}
    file = _file(part.file.GRADIO_CACHE, ending, found)
    return changes | {part.file: file, part.now: "#file", part.lost: ""}


def _file(cache: str, ending: str, shown: Shown) -> str:
    """Write it into the cache that gradio empties; the path."""
    written = files.written(shown.report, ending, shown.picture)
    return str(save_bytes_to_cache(written.encode(), files.file_name(shown.report, ending), cache))
