"""What a person chooses, and the line under each control that says what is wrong with it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from qdemo.request import DEFAULT_TOKENS, FIELDS, MAX_CHARACTERS, MAX_TOKENS
from qdemo.ui import own_format, parts
from qdemo.ui.picture_input import PictureInput, uploaded
from qdemo.models.availability import MODELS, get_entry, offered, where
from qdemo.models.pictures import gallery, named_picture

PROMPTS = (
    "Sort these words: pig, onion, river, wolf",
    "Please say goodbye to Hugo.",
    "Translate to German: Tuesday",
    "Hello, my name is ",
    "What is 59 + 64?",
    "What is the capital of France?",
)
FIRST_PICTURE = "gallery:a-woman-and-a-dog-on-the-beach"
_QUIET: dict[str, Any] = {
    "queue": False,
    "show_progress": "hidden",
    "api_visibility": "private",
}
_TASKS = {"text2text": "text to text", "captioning": "picture to text"}


@dataclass(frozen=True, eq=False)
class Controls:
    """The components; `asked` are those that a request is read from, in their order."""

    model: gr.Dropdown
    formats: gr.CheckboxGroup
    prompt: gr.Textbox
    picture: gr.Image
    source: gr.Textbox
    max_tokens: gr.Slider
    fresh: gr.Checkbox
    text_part: gr.Column
    picture_part: gr.Column
    compare: gr.Button
    stop: gr.Button
    problems: Mapping[str, gr.HTML]

    @property
    def asked(self) -> list[Any]:
        """What `read` takes."""
        return [
            self.model, self.formats, self.prompt, self.picture, self.source, self.max_tokens,
            self.fresh,
        ]  # fmt: skip


def read(
    model: str,
    formats: list[str],
    prompt: str,
    picture: Any,
    source: str,
    max_tokens: float,
    fresh: bool,
) -> dict[str, Any]:
    """The controls' values as arguments of `Request.parse`; a picture made here goes by name.

    Raises:
        InputError: the picture is no upload.
    """
    own = str(source).startswith("upload:")
    return {
        "model": model,
        "formats": formats,
        "prompt": prompt,
        "picture": uploaded(picture) if own and picture else None if own else source,
        "max_tokens": max_tokens,
        "fresh": fresh,
    }


def question(
    model: Any, formats: Any, prompt: Any, picture: Any, source: Any, *_: Any
) -> dict[str, str]:
    """What tells a question from others: the model and its input."""
    looks = model in MODELS and is_captioning(model)
    return {"model": str(model), "input": str(source if looks else prompt)}


def model_choices() -> list[tuple[str, str]]:
    """Every model that is offered, with its task and where its weights are."""
    return [(f"{e.name} · {_TASKS[e.task]} · {where(e)}", e.name) for e in offered()]


def is_captioning(model: str) -> bool:
    """Whether that model looks at a picture."""
    return get_entry(model).task == "captioning"


def picture_file(name: str) -> Any:
    """What a picture component shows for a picture's name."""
    return str(gallery()[name]) if name in gallery() else named_picture(name).image


def build(model: str, prompt: str, ticked: list[str]) -> Controls:
    """Lay the controls out; the caller is inside a Blocks."""
    problems: dict[str, gr.HTML] = {}
    with gr.Row(equal_height=False, elem_id="controls"):
        with gr.Column(scale=3, min_width=300):
            chosen = gr.Dropdown(
                model_choices(), value=model, label="Model", elem_id="model", filterable=False
            )
            problems["model"] = parts.problem("model")
            with gr.Accordion("More: length and formats of your own", open=False, elem_id="more"):
                max_tokens = gr.Slider(
                    1, MAX_TOKENS, DEFAULT_TOKENS, step=1, label="Longest answer, tokens",
                    elem_id="max_tokens",
                )  # fmt: skip
                fresh = gr.Checkbox(
                    False, label="Compute again what was computed before", elem_id="fresh",
                    container=False,
                )  # fmt: skip
                choices, add = own_format.build()
            problems["max_tokens"] = parts.problem("max_tokens")  # seen while "More" is closed
        with gr.Column(scale=5, min_width=320):
            with gr.Column(visible=not is_captioning(model)) as text_part:
                text = gr.Textbox(
                    prompt, label="Prompt", lines=3, max_lines=8, elem_id="prompt",
                    max_length=MAX_CHARACTERS + 1000, placeholder="Ask something",
                )  # fmt: skip
                problems["prompt"] = parts.problem("prompt")
                gr.Examples([[text] for text in PROMPTS], text, label="Examples", elem_id="prompts")
            with gr.Column(visible=is_captioning(model)) as picture_part:
                picture, source = _picture(problems)
        with gr.Column(scale=4, min_width=300):
            formats = gr.CheckboxGroup(
                list(own_format.FORMATS), value=ticked, label="Formats", elem_id="formats",
                info="fp32 is the reference and always runs",
            )  # fmt: skip
            problems["formats"] = parts.problem("formats")
            with gr.Row():
                compare = gr.Button("Compare", variant="primary", elem_id="compare", size="lg")
                stop = gr.Button("Stop", interactive=False, elem_id="stop", size="lg")
    controls = Controls(
        chosen, formats, text, picture, source, max_tokens, fresh, text_part, picture_part,
        compare, stop,
        {field: problems[field] for field in FIELDS},
    )  # fmt: skip
    add.click(_add, [formats, *choices], [formats, problems["formats"]], **_QUIET)
    chosen.input(parts_of, chosen, [text_part, picture_part], **_QUIET)
    return controls


def parts_of(model: str) -> tuple[Any, Any]:
    """The prompt for a model that reads, the picture for one that looks."""
    looks = is_captioning(model)
    return gr.update(visible=not looks), gr.update(visible=looks)


def _add(formats: list[str], *choices: Any) -> tuple[Any, str]:
    try:
        return own_format.ticked([*formats, str(own_format.variant(*choices))]), ""
    except ValueError as error:
        return gr.skip(), parts.problem_html(str(error))


def _picture(problems: dict[str, gr.HTML]) -> tuple[gr.Image, gr.Textbox]:
    """The picture, and its name; that of an upload is the browser's, which keeps it in its tab."""
    source = parts.unseen("source", FIRST_PICTURE)
    with gr.Row(equal_height=False):
        with gr.Column(min_width=200):
            picture = PictureInput(
                picture_file(FIRST_PICTURE), label="Picture", sources=["upload", "clipboard"],
                elem_id="picture", height=260, buttons=[], interactive=True,
            )  # fmt: skip
            problems["picture"] = parts.problem("picture")
            scene = gr.Button("New scene", elem_id="scene")
        shown = gr.Gallery(
            [(str(path), path.stem.replace("-", " ")) for path in gallery().values()],
            label="Scenes to take", columns=5, height=310, allow_preview=False,
            elem_id="gallery", buttons=[], object_fit="cover", min_width=240,
        )  # fmt: skip
    picture.upload(None, picture, source, js="qdemo.picked", **_QUIET)
    picture.clear(None, None, source, js="() => ['']", **_QUIET)
    scene.click(_new_scene, None, [picture, source], **_QUIET)
    shown.select(_from_gallery, None, [picture, source], **_QUIET)
    return picture, source


def _new_scene() -> tuple[Any, str]:
    name = f"scene:{secrets.randbelow(1_000_000)}"
    return picture_file(name), name


def _from_gallery(event: gr.SelectData) -> tuple[Any, str]:
    name = list(gallery())[event.index]
    return picture_file(name), name
