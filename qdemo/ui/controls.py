"""What a person chooses, and the line under each control that says what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from qdemo.models.availability import family_asked, offered, where
from qdemo.models.families import fields
from qdemo.spec.decoding import ReadAs
from qdemo.spec.given import Field
from qdemo.spec.messages import say
from qdemo.spec.request import DEFAULT_TOKENS, MAX_TOKENS
from qdemo.ui import another_part, decoding_part, given_part, own_edit, own_format, parts
from qdemo.ui.given_part import Input
from qdemo.views.panels import trained_html


@dataclass(frozen=True, eq=False)
class Controls:
    """The components; `asked` are those that a request is read from, in their order."""

    model: gr.Dropdown
    formats: gr.CheckboxGroup
    max_tokens: gr.Slider
    fresh: gr.Checkbox
    decoding: decoding_part.Chosen
    inputs: Mapping[str, Input]
    trained: gr.HTML  # what the model was trained for
    compare: gr.Button
    stop: gr.Button
    problems: Mapping[str, gr.HTML]

    @property
    def asked(self) -> list[Any]:
        """What `read` takes."""
        first = [self.model, self.formats, self.max_tokens, self.fresh, *self.decoding.parts]
        return [*first, *(part for one in self.inputs.values() for part in one.parts)]

    @property
    def columns(self) -> list[Any]:
        """What is shown for some models, and not for others."""
        of_inputs = [part for one in self.inputs.values() for part in one.components]
        return [self.trained, self.decoding.read_as, *of_inputs]

    def read(self, values: Sequence[Any]) -> Asked:
        """The values of `asked`, by what they are."""
        model, formats, max_tokens, fresh, read_as, temperature, seed, *rest = values
        given = {}
        for name, one in self.inputs.items():
            given[name], rest = rest[: len(one.parts)], rest[len(one.parts) :]
        decoding = self.decoding.read((read_as, temperature, seed))
        return Asked(model, formats, max_tokens, fresh, decoding, given)

    def given(self, asked: Asked) -> dict[str, object]:
        """What was given for each field.

        Raises:
            InputError: a picture is no upload.
        """
        return {name: one.read(asked.inputs[name]) for name, one in self.inputs.items()}

    def shown_for(self, model: str, read_as: ReadAs = "chat") -> dict[Any, Any]:
        """The fields that a model's family asks for, and no others, with their examples; whether
        one can choose how they are read; and what the model was made for."""
        fields, ways = fields_of(model), decoding_part.ways(model)
        as_read = read_as if read_as in ways else "chat"
        updates = {
            self.trained: gr.update(value=trained_html(model), visible=True),
            self.decoding.read_as: gr.update(value=as_read, visible=len(ways) > 1),
        }
        for name, one in self.inputs.items():
            updates |= one.shown_for(fields.get(name), as_read)
        return updates

    def chosen(self, model: str) -> dict[Any, Any]:
        """A model that is chosen, of a list that may have it only since now."""
        listed = gr.update(choices=model_choices(), value=model)
        return {self.model: listed, self.problems["model"]: "", **self.shown_for(model)}


@dataclass(frozen=True, eq=False)
class Asked:
    """What the controls have; `inputs` are the values of each field's parts, by its name."""

    model: Any
    formats: Any
    max_tokens: Any
    fresh: Any
    decoding: Mapping[str, object]
    inputs: Mapping[str, Sequence[Any]]

    @property
    def question(self) -> tuple[str, str]:
        """What tells a question from others: the model, and its input as an address has it."""
        names = asked_by(self.model) or list(self.inputs)[:1]
        return str(self.model), str(self.inputs[names[0]][-1])


def fields_of(model: Any) -> dict[str, Field]:
    """What a model's family asks for, by name; nothing where there is no such model."""
    family = family_asked(model)
    return {} if family is None else {field.name: field for field in family.fields}


def asked_by(model: Any) -> list[str]:
    """The names of the fields that a model's family asks for; none where there is no such model."""
    return list(fields_of(model))


def model_choices() -> list[tuple[str, str]]:
    """Every model that is offered, with its task and where its weights are."""
    return [(f"{e.name} · {say(e.family.label)} · {where(e)}", e.name) for e in offered()]


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
            another = another_part.build(problems)
            more = say("More: tokens, own formats")
            with gr.Accordion(more, open=False, elem_id="more"):
                max_tokens, temperature, seed, fresh = _seldom()
                composer = own_format.build(model)
            for name in ("max_tokens", "temperature", "seed"):  # seen while "More" is closed
                problems[name] = parts.problem(name)
        with gr.Column(scale=7, min_width=320, elem_id="given"):
            read_as = decoding_part.read_as(model)
            inputs = {
                field.name: given_part.build(
                    field, given if field.name in asked_by(model) else None, problems
                )
                for field in fields().values()
            }
            problems["read_as"] = parts.problem("read_as")
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
    decoding = decoding_part.Chosen(read_as, temperature, seed)
    controls = Controls(
        chosen, formats, max_tokens, fresh, decoding, inputs, trained, compare, stop, problems
    )
    own_edit.connect(composer, chosen, formats, problems["formats"])
    _follow(controls)
    another_part.connect(another, chosen, [problems["model"], *controls.columns], controls.chosen)
    return controls


def _seldom() -> tuple[gr.Slider, gr.Slider, gr.Textbox, gr.Checkbox]:
    """What is chosen seldom: the longest answer, temperature and seed, and whether to compute
    anew."""
    with gr.Row(elem_id="how-far"):
        max_tokens = gr.Slider(
            1, MAX_TOKENS, DEFAULT_TOKENS, step=1, label=say("Longest answer, tokens"),
            elem_id="max_tokens", scale=2,
        )  # fmt: skip
        temperature, seed = decoding_part.choosing()
    fresh = gr.Checkbox(
        False, label=say("Compute again what was computed before"), elem_id="fresh",
        container=False,
    )  # fmt: skip
    return max_tokens, temperature, seed, fresh


def _follow(controls: Controls) -> None:
    """Have what is seen follow the model, and how its prompt is read: that itself stays as it is
    by then, where the model reads prompts so."""
    line, read_as = controls.problems["model"], controls.decoding.read_as
    wanted, shown = [controls.model, read_as], [line, *controls.columns]

    def follow(model: str, way: ReadAs) -> dict[Any, Any]:
        updates = controls.shown_for(model, way)
        if updates[read_as]["value"] == way:
            updates[read_as] = gr.update(visible=updates[read_as]["visible"])
        return {line: "", **updates}

    for part in wanted:
        part.input(follow, wanted, shown, **parts.QUICK)
