"""What an address asks for, put into the controls when the page opens, or Back leads to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import gradio as gr

from qdemo.request import (
    InputError,
    Request,
    from_query,
    parse_formats,
    parse_max_tokens,
    parse_model,
    parse_picture,
    parse_prompt,
)
from qdemo.ui import own_format, parts
from qdemo.ui.controls import Controls, is_captioning, model_choices, parts_of, picture_file
from qdemo.ui.picture_input import uploaded
from qdemo.models.availability import offered

Updates = dict[Any, Any]
FIELDS = ("model", "formats", "input", "max_tokens", "run", "shown")
"""What an address of the Compare page has; `shown` is the address of what is on screen, where that
is another question than the one in the controls."""

_GONE = "your own picture was kept in the tab that it was chosen in; choose it again"


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
    outputs = [
        controls.model, controls.formats, controls.prompt, controls.picture, controls.source,
        controls.max_tokens, controls.text_part, controls.picture_part,
        *controls.problems.values(), press,
    ]  # fmt: skip

    def restore(text: str, upload: str) -> Updates:
        return _restored(controls, press, text, upload)

    def back(text: str, upload: str) -> Updates:
        return restore(text, upload) if text else {**_begun(controls), **example(), press: ""}

    looking = [entry.name for entry in offered() if entry.task == "captioning"]
    opened = f"() => (qdemo.page({json.dumps(FIELDS)}, {json.dumps(looking)}), qdemo.opened())"
    led_back = gr.Button(elem_id="restore", elem_classes="for-script")
    also = [part for part in example() if part not in outputs]
    for event in (
        blocks.load(restore, carriers, outputs, js=opened, **parts.OPENED),
        led_back.click(back, carriers, [*outputs, *also], js="qdemo.opened", **parts.OPENED),
    ):
        event.then(None, [press, *controls.asked, held], press, js="qdemo.restored", **parts.QUICK)
    moving = [controls.model, controls.formats, controls.prompt, controls.source, held]
    gr.on(
        [part.change for part in (*moving, controls.max_tokens)],
        None, [*controls.asked, held], None, js="qdemo.moved", **parts.QUICK,
    )  # fmt: skip


def request(address: str, upload: str = "") -> Request:
    """What an address asks for; `upload` is where a picture lies that it can't carry.

    Raises:
        InputError: says in a sentence what is wrong.
    """
    asked = from_query(dict(parse_qsl(address, keep_blank_values=True)))
    if asked.get("picture", "").startswith("upload:"):
        asked["picture"] = _brought(upload)
    return Request.parse(**{"model": None, "formats": None} | asked)


def _brought(upload: str) -> Path:
    if not upload:
        raise InputError("picture", _GONE)
    return uploaded({"path": upload})


def _begun(controls: Controls) -> Updates:
    """What the controls begin with."""
    return {
        part: gr.update(value=part.value)
        for part in (controls.model, controls.formats, controls.prompt, controls.max_tokens)
    } | dict(
        zip(
            (controls.text_part, controls.picture_part), parts_of(controls.model.value), strict=True
        )
    )


def _restored(controls: Controls, press: gr.Textbox, text: str, upload: str) -> Updates:
    """What is wrong with an address is said at the control that it is about; the rest is taken.

    What was on screen is asked for again: that of the question itself, or of another.
    """
    query = dict(parse_qsl(text, keep_blank_values=True))
    asked = from_query(query)
    updates: Updates = {press: ""}
    problems: dict[str, str] = {}
    for field in _fields(asked):
        try:
            updates |= _TAKE[field](controls, asked[field], upload)
        except InputError as error:
            problems[error.field] = str(error)
            if field == "prompt":  # one goes on from there
                updates[controls.prompt] = asked[field][: controls.prompt.max_length]
    # The list is made anew: a model may have been downloaded since the page was built.
    chosen = {"value": updates[controls.model]} if controls.model in updates else {}
    updates[controls.model] = gr.update(choices=model_choices(), **chosen)
    updates |= {controls.problems[name]: parts.problem_html(why) for name, why in problems.items()}
    if query.get("run") == "1" and not problems:
        return updates | {press: "#compare"}
    return updates | {press: "#recompute"} if query.get("shown") else updates


def _fields(asked: Mapping[str, Any]) -> list[str]:
    """The fields to take over; of prompt and picture the one that the model wants."""
    try:
        looks = is_captioning(parse_model(asked["model"]).name) if "model" in asked else False
    except InputError:
        looks = False
    return [field for field in asked if field != ("prompt" if looks else "picture")]


def _model(controls: Controls, name: str, _: str) -> Updates:
    entry = parse_model(name)
    text, picture = parts_of(entry.name)
    return {controls.model: entry.name, controls.text_part: text, controls.picture_part: picture}


def _formats(controls: Controls, texts: list[str], _: str) -> Updates:
    return {controls.formats: own_format.ticked(map(str, parse_formats(texts)))}


def _prompt(controls: Controls, text: str, _: str) -> Updates:
    return {controls.prompt: parse_prompt(text)}


def _picture(controls: Controls, name: str, upload: str) -> Updates:
    if name.startswith("upload:"):
        return {controls.picture: str(_brought(upload)), controls.source: name}
    found = parse_picture(name).name
    return {controls.picture: picture_file(found), controls.source: found}


def _max_tokens(controls: Controls, number: str, _: str) -> Updates:
    return {controls.max_tokens: parse_max_tokens(number)}


_TAKE: dict[str, Callable[[Controls, Any, str], Updates]] = {
    "model": _model,
    "formats": _formats,
    "prompt": _prompt,
    "picture": _picture,
    "max_tokens": _max_tokens,
}
