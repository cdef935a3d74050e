"""What an address asks for, put into the controls when the page opens, or Back leads to it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import gradio as gr

from qdemo.engine.asking import ask, check_reads, field_of, name_of, parse_model, read
from qdemo.models.availability import offered
from qdemo.spec.messages import say
from qdemo.spec.request import (
    DEFAULT_TOKENS,
    InputError,
    Query,
    Request,
    parse_decoding,
    parse_formats,
    parse_max_tokens,
)
from qdemo.ui import beginning, own_format, parts
from qdemo.ui.controls import Controls, asked_by, fields_of, model_choices
from qdemo.ui.given_part import Input, picture_file
from qdemo.ui.insides import uploaded

Updates = dict[Any, Any]
FIELDS = (
    "model", "formats", "input", "max_tokens", "read_as", "temperature", "seed", "run", "shown",
)  # fmt: skip
"""What an address of the Compare page has; `shown` is the address of what is on screen, where that
is another question than the one in the controls."""


def connect(
    blocks: gr.Blocks,
    controls: Controls,
    held: gr.Textbox,
    carriers: tuple[gr.Textbox, gr.Textbox],
    example: Callable[[], Updates],
) -> None:
    """Read the address when the page opens, or Back is pressed; and have the page write it.

    `carriers` bring the address, and where a picture lies that the browser has brought again.
    `example` are the updates that show what a page begins with.
    """
    press = parts.unseen("press-restored")
    restored = [*controls.asked, *controls.columns, *controls.problems.values(), press]
    outputs = [part for part in restored if part is not controls.fresh]

    def restore(text: str, upload: str) -> Updates:
        return _restored(controls, press, text, upload)

    def back(text: str, upload: str) -> Updates:
        return restore(text, upload) if text else {**_begun(controls), **example(), press: ""}

    opened = f"() => (qdemo.page({_told_once(controls)}), qdemo.opened())"
    led_back = gr.Button(elem_id="restore", elem_classes="for-script")
    also = [part for part in example() if part not in outputs]
    for event in (
        blocks.load(restore, carriers, outputs, js=opened, **beginning.OPENED),
        led_back.click(back, carriers, [*outputs, *also], js="qdemo.opened", **beginning.OPENED),
    ):
        event.then(None, [press, *controls.asked, held], press, js="qdemo.restored", **parts.QUICK)
    carried = [one.parts[-1] for one in controls.inputs.values()]
    chosen = (controls.max_tokens, *controls.decoding.parts)
    moving = [controls.model, controls.formats, *carried, held, *chosen]
    gr.on(
        [part.change for part in moving],
        None, [*controls.asked, held], None, js="qdemo.moved", **parts.QUICK,
    )  # fmt: skip


def _told_once(controls: Controls) -> str:
    """What the page's script has to know: an address's fields, the controls of inputs in their
    order, and which of them each model asks for."""
    kinds = [(name, one.field.kind) for name, one in controls.inputs.items()]
    asks = {entry.name: field_of(entry).name for entry in offered()}
    return ", ".join(map(json.dumps, (FIELDS, kinds, asks)))


def request(address: str, upload: str = "") -> Request:
    """What an address asks for; `upload` is where a picture lies that it can't carry.

    Raises:
        InputError: says in a sentence what is wrong.
    """
    query = Query.read(dict(parse_qsl(address, keep_blank_values=True)))
    name = next(iter(asked_by(query.model)), "prompt")
    given: object = query.input
    if query.input is not None and query.input.startswith("upload:") and _looks(query.model):
        given = _brought(upload)
    most = DEFAULT_TOKENS if query.max_tokens is None else query.max_tokens
    return ask(query.model, query.formats, {name: given}, most, decoding=query.decoding)


def address_of(request: Request) -> str | None:
    """What asks the same again; None where it needs a file that one has."""
    return request.query(name_of(request.given))


def with_format(address: str, format: str) -> str:
    """What asks for one format more than an address does.

    >>> with_format("model=t5-tiny&formats=int8&input=Hi&run=1", "int2~lm_head=fp32")
    'model=t5-tiny&formats=int8,int2~lm_head=fp32&input=Hi&run=1'
    """
    asked = dict(parse_qsl(address, keep_blank_values=True))
    formats = dict.fromkeys([*(Query.read(asked).formats or ()), format])
    return urlencode(asked | {"formats": ",".join(formats)}, safe=":,@~=")


def _looks(model: str | None) -> bool:
    """Whether a model is given a picture."""
    return any(field.kind == "picture" for field in fields_of(model).values())


def _brought(upload: str) -> Path:
    if not upload:
        raise InputError(
            "picture",
            say("your own picture was kept in the tab that it was chosen in; choose it again"),
        )
    return uploaded({"path": upload})


def _begun(controls: Controls) -> Updates:
    """What the controls begin with."""
    texts = [one.parts[-1] for one in controls.inputs.values() if one.field.kind == "text"]
    usual = (controls.model, controls.formats, controls.max_tokens, *texts)
    updates: Updates = {part: gr.update(value=part.value) for part in usual}
    return updates | controls.decoding.shown() | controls.shown_for(controls.model.value)


def _restored(controls: Controls, press: gr.Textbox, text: str, upload: str) -> Updates:
    """What is wrong with an address is said at the control that it is about; the rest is taken.

    What was on screen is asked for again: that of the question itself, or of another.
    """
    address = dict(parse_qsl(text, keep_blank_values=True))
    query = Query.read(address)
    updates: Updates = {press: ""}
    problems: dict[str, str] = {}
    for take in (_model, _formats, _given, _max_tokens, _decoding):
        try:
            updates |= take(controls, query, upload)
        except InputError as error:
            problems[error.field] = str(error)
            updates |= _kept_text(controls, query, error)
    # The list is made anew: a model may have been downloaded since the page was built.
    chosen = {"value": updates[controls.model]} if controls.model in updates else {}
    updates[controls.model] = gr.update(choices=model_choices(), **chosen)
    updates |= {controls.problems[name]: parts.problem_html(why) for name, why in problems.items()}
    if address.get("run") == "1" and not problems:
        return updates | {press: "#compare"}
    return updates | {press: "#recompute"} if address.get("shown") else updates


def _kept_text(controls: Controls, query: Query, error: InputError) -> Updates:
    """A text that is refused stands in its place all the same: one goes on from there."""
    refused = controls.inputs.get(error.field)
    if refused is None or refused.field.kind != "text" or query.input is None:
        return {}
    return {refused.parts[-1]: query.input[: refused.parts[-1].max_length]}


def _model(controls: Controls, query: Query, _: str) -> Updates:
    if query.model is None:
        return {}
    name = parse_model(query.model).name
    return {controls.model: name, **controls.shown_for(name)}


def _formats(controls: Controls, query: Query, _: str) -> Updates:
    if query.formats is None:
        return {}
    return {controls.formats: own_format.ticked(map(str, parse_formats(query.formats)))}


def _given(controls: Controls, query: Query, upload: str) -> Updates:
    """What the model's family asks for; where there is no such model, what the first one does."""
    if query.input is None:
        return {}
    names = asked_by(query.model) or list(controls.inputs)
    control: Input = controls.inputs[names[0]]
    *first, carried = control.parts
    if control.field.kind == "picture" and query.input.startswith("upload:"):
        return {first[0]: str(_brought(upload)), carried: query.input}
    name = name_of(read(control.field, query.input)) or query.input
    return {carried: name, **({first[0]: picture_file(name)} if first else {})}


def _max_tokens(controls: Controls, query: Query, _: str) -> Updates:
    if query.max_tokens is None:  # the usual ones of a whole question
        return {controls.max_tokens: DEFAULT_TOKENS} if query.model else {}
    return {controls.max_tokens: parse_max_tokens(query.max_tokens)}


def _decoding(controls: Controls, query: Query, _: str) -> Updates:
    """How the prompt is read and tokens are chosen: of a model as it reads them."""
    if not query.model and not any(query.decoding.values()):
        return {}
    try:
        entry = parse_model(query.model or controls.model.value)
    except InputError:  # which is said where the model is chosen
        return {}
    found = parse_decoding(query.decoding)
    check_reads(entry, found)
    return controls.decoding.shown(found) | controls.shown_for(entry.name, found.read_as)
