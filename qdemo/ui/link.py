"""What a link asks for, put into the controls when the page opens."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import gradio as gr

from qdemo.request import (
    InputError,
    from_query,
    parse_formats,
    parse_max_tokens,
    parse_model,
    parse_picture,
    parse_prompt,
)
from qdemo.ui import own_format
from qdemo.ui.controls import Controls, is_captioning, model_choices, parts_of, picture_file
from qdemo.ui.parts import problem_html

Updates = dict[Any, Any]


def connect(blocks: gr.Blocks, controls: Controls, start: gr.State) -> None:
    """Read the address when the page opens; `start` changes when it asks to run."""

    def restore(request: gr.Request) -> Updates:
        return _restore(controls, start, dict(request.query_params))

    outputs = [
        controls.model, controls.formats, controls.prompt, controls.picture, controls.source,
        controls.max_tokens, controls.text_part, controls.picture_part,
        *controls.problems.values(), start,
    ]  # fmt: skip
    blocks.load(restore, None, outputs, show_progress="hidden", api_visibility="private")


def _restore(controls: Controls, start: gr.State, query: Mapping[str, str]) -> Updates:
    """What is wrong with a link is said at the control that it is about; the rest is taken."""
    asked = from_query(query)
    updates: Updates = {}
    problems: dict[str, str] = {}
    for field in _fields(asked):
        try:
            updates |= _TAKE[field](controls, asked[field])
        except InputError as error:
            problems[error.field] = str(error)
    # What is downloaded may be more than when the page was built.
    chosen = {"value": updates[controls.model]} if controls.model in updates else {}
    updates[controls.model] = gr.update(choices=model_choices(), **chosen)
    updates |= {controls.problems[name]: problem_html(text) for name, text in problems.items()}
    return updates | {start: int(query.get("run") == "1" and not problems)}


def _fields(asked: Mapping[str, Any]) -> list[str]:
    """The fields to take over; of prompt and picture the one that the model wants."""
    try:
        looks = is_captioning(parse_model(asked["model"]).name) if "model" in asked else False
    except InputError:
        looks = False
    return [field for field in asked if field != ("prompt" if looks else "picture")]


def _model(controls: Controls, name: str) -> Updates:
    entry = parse_model(name)
    text, picture = parts_of(entry.name)
    return {controls.model: entry.name, controls.text_part: text, controls.picture_part: picture}


def _formats(controls: Controls, texts: list[str]) -> Updates:
    return {controls.formats: own_format.ticked(map(str, parse_formats(texts)))}


def _prompt(controls: Controls, text: str) -> Updates:
    return {controls.prompt: parse_prompt(text)}


def _picture(controls: Controls, name: str) -> Updates:
    found = parse_picture(name).name
    return {controls.picture: picture_file(found), controls.source: found}


def _max_tokens(controls: Controls, number: str) -> Updates:
    return {controls.max_tokens: parse_max_tokens(number)}


_TAKE: dict[str, Callable[[Controls, Any], Updates]] = {
    "model": _model,
    "formats": _formats,
    "prompt": _prompt,
    "picture": _picture,
    "max_tokens": _max_tokens,
}
