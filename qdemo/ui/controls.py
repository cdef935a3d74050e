"""What a person chooses, and the line under each control that says what is wrong with it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from qdemo.models.availability import get_entry, offered, where
from qdemo.models.families import fields
from qdemo.models.pictures import gallery, named_picture
from qdemo.spec.given import Field
from qdemo.spec.messages import say
from qdemo.spec.request import DEFAULT_TOKENS, MAX_CHARACTERS, MAX_TOKENS
from qdemo.ui import own_edit, own_format, parts
from qdemo.ui.insides import PictureInput, uploaded
from qdemo.views.panels import trained_html

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
    not hidden itself.
    """

    field: Field
    column: gr.Column
    parts: tuple[Any, ...]
    late: tuple[Any, ...]

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


@dataclass(frozen=True, eq=False)
class Controls:
    """The components; `asked` are those that a request is read from, in their order."""

    model: gr.Dropdown
    formats: gr.CheckboxGroup
    max_tokens: gr.Slider
    fresh: gr.Checkbox
    inputs: Mapping[str, Input]
    trained: gr.HTML  # what the model was trained for
    compare: gr.Button
    stop: gr.Button
    problems: Mapping[str, gr.HTML]

    @property
    def asked(self) -> list[Any]:
        """What `read` takes."""
        first = [self.model, self.formats, self.max_tokens, self.fresh]
        return [*first, *(part for one in self.inputs.values() for part in one.parts)]

    @property
    def columns(self) -> list[Any]:
        """What is shown for some models, and not for others."""
        inputs = self.inputs.values()
        return [self.trained, *(part for one in inputs for part in (one.column, *one.late))]

    def read(self, values: Sequence[Any]) -> Asked:
        """The values of `asked`, by what they are."""
        model, formats, max_tokens, fresh, *rest = values
        given = {}
        for name, one in self.inputs.items():
            given[name], rest = rest[: len(one.parts)], rest[len(one.parts) :]
        return Asked(model, formats, max_tokens, fresh, given)

    def given(self, asked: Asked) -> dict[str, object]:
        """What was given for each field.

        Raises:
            InputError: a picture is no upload.
        """
        return {name: one.read(asked.inputs[name]) for name, one in self.inputs.items()}

    def shown_for(self, model: str) -> dict[Any, Any]:
        """The fields that a model's family asks for, and no others; and what it was made for."""
        names = asked_by(model)
        trained = gr.update(value=trained_html(model), visible=True)
        return {self.trained: trained} | {
            part: gr.update(visible=name in names)
            for name, one in self.inputs.items()
            for part in (one.column, *one.late)
        }


@dataclass(frozen=True, eq=False)
class Asked:
    """What the controls have; `inputs` are the values of each field's parts, by its name."""

    model: Any
    formats: Any
    max_tokens: Any
    fresh: Any
    inputs: Mapping[str, Sequence[Any]]

    @property
    def question(self) -> tuple[str, str]:
        """What tells a question from others: the model, and its input as an address has it."""
        names = asked_by(self.model) or list(self.inputs)[:1]
        return str(self.model), str(self.inputs[names[0]][-1])


def asked_by(model: Any) -> list[str]:
    """The names of the fields that a model's family asks for; none where there is no such model."""
    try:
        return [field.name for field in get_entry(model).family.fields]
    except (ValueError, TypeError):
        return []


def model_choices() -> list[tuple[str, str]]:
    """Every model that is offered, with its task and where its weights are."""
    return [(f"{e.name} · {say(e.family.label)} · {where(e)}", e.name) for e in offered()]


def picture_file(name: str) -> Any:
    """What a picture component shows for a picture's name."""
    return str(gallery()[name]) if name in gallery() else named_picture(name).image


def build(model: str, given: str, ticked: list[str]) -> Controls:
    """Lay the controls out; the caller is inside a Blocks, and renders `trained` where there is
    room."""
    problems: dict[str, gr.HTML] = {}
    with gr.Row(equal_height=False, elem_id="controls"):
        with gr.Column(scale=3, min_width=250):
            chosen = gr.Dropdown(
                model_choices(), value=model, label=say("Model"), elem_id="model", filterable=False
            )
            problems["model"] = parts.problem("model")
            more = say("More: length, own formats")
            with gr.Accordion(more, open=False, elem_id="more"):
                with gr.Row(elem_id="how-far"):
                    max_tokens = gr.Slider(
                        1, MAX_TOKENS, DEFAULT_TOKENS, step=1, label=say("Longest answer, tokens"),
                        elem_id="max_tokens",
                    )  # fmt: skip
                    fresh = gr.Checkbox(
                        False, label=say("Compute again what was computed before"), elem_id="fresh",
                        container=False,
                    )  # fmt: skip
                composer = own_format.build(model)
            problems["max_tokens"] = parts.problem("max_tokens")  # seen while "More" is closed
        with gr.Column(scale=7, min_width=320):
            inputs = {
                field.name: _input(
                    field, given if field.name in asked_by(model) else None, problems
                )
                for field in fields().values()
            }
        with gr.Column(scale=6, min_width=320):
            formats = gr.CheckboxGroup(
                list(own_format.FORMATS), value=ticked, elem_id="formats",
                label=say("Formats, beside fp32, the reference"),
            )  # fmt: skip
            problems["formats"] = parts.problem("formats")
        with gr.Column(scale=2, min_width=130), gr.Row(elem_id="run"):
            compare = gr.Button(say("Compare"), variant="primary", elem_id="compare", size="lg")
            stop = gr.Button(say("Stop"), interactive=False, elem_id="stop", size="lg")
    trained = parts.html(trained_html(model), "trained", "trained-line", render=False)
    controls = Controls(
        chosen, formats, max_tokens, fresh, inputs, trained, compare, stop, problems
    )
    own_edit.connect(composer, chosen, formats, problems["formats"])
    line = problems["model"]
    shown = [line, *controls.columns]
    chosen.input(lambda name: {line: "", **controls.shown_for(name)}, chosen, shown, **parts.QUICK)
    return controls


def _input(field: Field, given: str | None, problems: dict[str, gr.HTML]) -> Input:
    """The control of a field, which begins with what is given; unseen where nothing is."""
    with gr.Column(visible=given is not None) as column:
        first = field.first if given is None else given
        made, late = _CONTROLS[field.kind](field, first, problems)
    for part in late:
        part.visible = given is not None
    return Input(field, column, made, late)


_Parts = tuple[tuple[Any, ...], tuple[Any, ...]]
"""The `parts` and the `late` of an `Input`."""


def _text(field: Field, first: str, problems: dict[str, gr.HTML]) -> _Parts:
    text = gr.Textbox(
        first, label=say(field.label), lines=2, max_lines=8, elem_id=field.name,
        max_length=MAX_CHARACTERS + 1000, placeholder=say(field.placeholder),
    )  # fmt: skip
    problems[field.name] = parts.problem(field.name)
    examples = [[example] for example in field.examples]
    shown = gr.Examples(examples, text, label=say("Examples"), elem_id=f"{field.name}s")
    run = "() => { document.querySelector('#compare').click(); }"
    shown.load_input_event.then(None, None, None, js=run, **_QUIET)  # a click compares
    return (text,), ()


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
    return (picture, source), (shown,)


_CONTROLS: dict[str, Any] = {"text": _text, "picture": _picture}


def _new_scene() -> tuple[Any, str]:
    name = f"scene:{secrets.randbelow(1_000_000)}"
    return picture_file(name), name


def _from_gallery(event: gr.SelectData) -> tuple[Any, str]:
    name = list(gallery())[event.index]
    return picture_file(name), name
