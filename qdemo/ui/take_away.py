"""Take it away: the report as a file, and a link that asks for the same again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import gradio as gr

from qdemo.spec.messages import say
from qdemo.ui import held, parts
from qdemo.ui.held import Held
from qdemo.ui.insides import save_bytes_to_cache
from qdemo.views import files
from qdemo.views.templates import fill

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


def build(text: str, link: str) -> TakeAway:
    """Lay it out under a sentence of what it is, with the link to begin with; the caller is inside
    a Blocks."""
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
    shown = parts.html(link, "link")
    now, later = parts.unseen("press-now"), parts.unseen("press-later")
    return TakeAway(buttons, file, shown, copy, lost, now, later)


def of_comparison() -> TakeAway:
    """The same of a comparison, that which a page begins with."""
    text = say(
        "All figures of this comparison, with the machine and the versions it was computed on."
    )
    return build(text, _link(held.of_example().address))


def connect(
    part: TakeAway, shown: gr.Textbox, write: Callable[[str, str], Updates], components: list[Any]
) -> None:
    """Make each button write its file of what is shown, and download it.

    `write` answers, of the ending and of what `shown` has, what becomes of the part and, where what
    was shown had to be put together again, of `components`, of which `told` are some.
    """
    pending = f"<p class='pending' role='status'>{escape(say('Writing the file …'))}</p>"
    for ending, button in part.buttons.items():
        button.click(None, None, part.lost, js=f"() => {json.dumps(pending)}", **parts.QUICK)
        button.click(
            partial(write, ending), shown, [part.file, part.now, part.later, *components],
            **parts.QUICK,
        ).then(None, part.now, part.now, js="qdemo.press", **parts.QUICK)  # fmt: skip
    words = json.dumps([say("Copied"), say("Not copied: it is below")])
    copy = f"() => qdemo.copy('#copy-link', document.querySelector('#again')?.href, ...{words})"
    part.copy.click(None, None, None, js=copy, **parts.QUICK)


def updates(part: TakeAway, address: str) -> Updates:
    """What changes for a new comparison."""
    return {part.link: _link(address), part.lost: ""}


def _link(address: str) -> str:
    reason = say("A link can't carry your own picture; keep the file to compare it again.")
    text = say("A link that opens this comparison again")
    is_own = "input=upload:" in address
    return fill("link", page="./", state="" if is_own else address, text=text, reason=reason)


def write(
    part: TakeAway, shown: gr.Textbox, again: Callable[[Held], Updates], ending: str, text: str
) -> Updates:
    """The file of the comparison that is shown, to be pressed; or that it is no longer held.

    `again` puts together what is no longer held, where that can be done at once.
    """
    changes: Updates = {}
    found = Held.read(text).shown()
    if found is None:
        changes = again(Held.read(text))
        found = Held.read(changes.get(shown)).shown()
    if found is None:
        return gone(part, ending, parts.lost())
    name = files.file_name(found.report, ending)
    return changes | written(part, name, files.written(found.report, ending, found.picture))


def gone(part: TakeAway, ending: str, why: str) -> Updates:
    """There is no file; that button is pressed again once there can be one."""
    return {part.lost: why, part.later: f"#take-{ending}", part.now: ""}


def written(part: TakeAway, name: str, text: str) -> Updates:
    """A file of that text, which the browser is to press; it lies in the cache that gradio
    empties."""
    file = str(save_bytes_to_cache(text.encode(), name, part.file.GRADIO_CACHE))
    return {part.file: file, part.now: "#file", part.lost: ""}
