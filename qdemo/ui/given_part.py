"""What a family asks a person for: the control of each field, and examples that can be taken."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from qdemo.models.families import FAMILIES
from qdemo.models.pictures import gallery, named_picture
from qdemo.spec.decoding import ReadAs
from qdemo.spec.given import Field
from qdemo.spec.messages import say
from qdemo.spec.request import MAX_CHARACTERS
from qdemo.ui import parts
from qdemo.ui.insides import PictureInput, uploaded

_QUIET: dict[str, Any] = {
    "queue": False,
    "show_progress": "hidden",
    "api_visibility": "private",
}


@dataclass(frozen=True, eq=False)
class Input:
    """The control of a field: `parts` have its values, the last of which an address carries.

    A picture has its name beside it; that of an upload is the browser's, which keeps it in its tab.
    What is in `late` is hidden along with the column, as gradio brings the scripts of all that is
    not hidden itself. `examples` are lines of them, of which one is shown: families have their own.
    """

    field: Field
    column: gr.Column
    parts: tuple[Any, ...]
    late: tuple[Any, ...]
    examples: Mapping[tuple[str, ...], gr.Dataset]

    def read(self, values: Sequence[Any]) -> object:
        """What is given, of the values of `parts`; a picture made here goes by its name.

        Raises:
            InputError: the picture is no upload.
        """
        *first, last = values
        if self.field.kind == "text":
            return last
        own = str(last).startswith("upload:")
        return uploaded(first[0]) if own and first[0] else None if own else last

    def shown_for(self, field: Field | None, read_as: ReadAs) -> dict[Any, Any]:
        """What is seen where a family asks for `field`, None where it asks for something else."""
        seen = gr.update(visible=field is not None)
        wanted = field.examples_for(read_as) if field else ()
        return {
            **dict.fromkeys((self.column, *self.late), seen),
            **{line: gr.update(visible=own == wanted) for own, line in self.examples.items()},
        }

    @property
    def components(self) -> list[Any]:
        """What `shown_for` changes."""
        return [self.column, *self.late, *self.examples.values()]


def picture_file(name: str) -> Any:
    """What a picture component shows for a picture's name."""
    return str(gallery()[name]) if name in gallery() else named_picture(name).image


def build(field: Field, given: str | None, problems: dict[str, gr.HTML]) -> Input:
    """The control of a field, which begins with what is given; unseen where nothing is."""
    with gr.Column(visible=given is not None) as column:
        first = field.first if given is None else given
        made, late, examples = _CONTROLS[field.kind](field, first, problems)
    for part in late:
        part.visible = given is not None
    return Input(field, column, made, late, examples)


_Parts = tuple[tuple[Any, ...], tuple[Any, ...], Mapping[tuple[str, ...], gr.Dataset]]
"""The `parts`, the `late` and the `examples` of an `Input`."""


def _text(field: Field, first: str, problems: dict[str, gr.HTML]) -> _Parts:
    text = gr.Textbox(
        first, label=say(field.label), lines=2, max_lines=8, elem_id=field.name,
        max_length=MAX_CHARACTERS + 1000, placeholder=say(field.placeholder),
    )  # fmt: skip
    problems[field.name] = parts.problem(field.name)
    first_line, *others = _lines(field)
    lines = {first_line: _examples(text, first_line, f"{field.name}s", visible=True)}
    for i, line in enumerate(others):
        lines[line] = _examples(text, line, f"{field.name}s-{i}", visible=False)
    return (text,), (), lines


def _lines(field: Field) -> list[tuple[str, ...]]:
    """The examples of each family that asks for a field, and of each of its ways to read it."""
    own = [one for f in FAMILIES.values() for one in f.fields if one == field]
    return list(dict.fromkeys(line for f in own for line in (f.examples, *f.examples_as.values())))


def _examples(text: gr.Textbox, line: Sequence[str], name: str, visible: bool) -> gr.Dataset:
    """Examples in a line; a click compares."""
    shown = gr.Examples(
        [[example] for example in line], text, label=say("Examples"), elem_id=name, visible=visible
    )
    shown.dataset.elem_classes = ["in-a-line"]
    run = "() => { document.querySelector('#compare').click(); }"
    shown.load_input_event.then(None, None, None, js=run, **_QUIET)
    return shown.dataset


def _picture(field: Field, first: str, problems: dict[str, gr.HTML]) -> _Parts:
    source = parts.unseen("source", first)
    with gr.Row(equal_height=False):
        with gr.Column(min_width=200):
            picture = PictureInput(
                picture_file(first), label=say(field.label), sources=["upload", "clipboard"],
                elem_id=field.name, height=260, buttons=[], interactive=True,
            )  # fmt: skip
            problems[field.name] = parts.problem(field.name)
            scene = gr.Button(say("New scene"), elem_id="scene")
        shown = gr.Gallery(
            [(str(path), path.stem.replace("-", " ")) for path in gallery().values()],
            label=say("Pick a scene"), columns=5, height=310, allow_preview=False,
            elem_id="gallery", buttons=[], object_fit="cover", min_width=240,
        )  # fmt: skip
    picture.upload(None, picture, source, js="qdemo.picked", **_QUIET)
    picture.clear(None, None, source, js="() => ['']", **_QUIET)
    scene.click(_new_scene, None, [picture, source], **_QUIET)
    # Not the last alone: gradio would answer it with the place of the first.
    shown.select(_from_gallery, None, [picture, source], **_QUIET | {"trigger_mode": "multiple"})
    return (picture, source), (shown,), {}


_CONTROLS: dict[str, Any] = {"text": _text, "picture": _picture}


def _new_scene() -> tuple[Any, str]:
    name = f"scene:{secrets.randbelow(1_000_000)}"
    return picture_file(name), name


def _from_gallery(event: gr.SelectData) -> tuple[Any, str]:
    name = list(gallery())[event.index]
    return picture_file(name), name
