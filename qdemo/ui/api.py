"""The HTTP API: /compare, /models and /footprint, for gradio_client and anyone who speaks HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from qdemo.modeling.footprint import footprint as measure
from qdemo.request import DEFAULT_TOKENS, InputError, Request, parse_formats, parse_model
from qdemo.ui import jobs
from qdemo.ui.picture_input import PictureInput
from qdemo.zoo.availability import offered, where

Json = dict[str, Any]


def build() -> None:
    """Register the endpoints; the caller is inside a Blocks. Nothing of it is seen on the page."""
    with gr.Column(visible=False):
        asked = [
            gr.Textbox("t5-tiny", label="model"),
            gr.JSON(["fp16", "bf16", "int8"], label="formats"),
            gr.Textbox("", label="prompt"),
            PictureInput(None, label="picture", interactive=True),
            gr.Textbox("", label="picture_name"),
            gr.Number(DEFAULT_TOKENS, label="max_tokens", precision=0),
        ]
        gr.Button().click(
            compare, asked, gr.JSON(label="report"), api_name="compare", concurrency_id="model",
            show_progress="hidden",
        )  # fmt: skip
    gr.api(models, api_name="models", queue=False)
    gr.api(footprint, api_name="footprint", concurrency_id="model")


def compare(
    model: str,
    formats: list[str],
    prompt: str = "",
    picture: str | None = None,
    picture_name: str = "",
    max_tokens: int = DEFAULT_TOKENS,
) -> Iterator[Json]:
    """Compare a model's formats; yields {"running": …} while it runs, and last the whole report.

    `picture` is a file, `picture_name` one that is made here: `scene:NUMBER` or `gallery:NAME`.
    """
    given = Path(picture) if picture else picture_name
    try:
        request = Request.parse(model, formats, prompt, given, max_tokens)
        for progress in jobs.progress(request):
            yield progress.document() if progress.finished else {"running": dict(progress.running)}
    except InputError as error:
        raise gr.Error(f"{error.field}: {error}", print_exception=False) from None


def models() -> list[Json]:
    """The models that can be compared, with their size and where their weights are."""
    return [
        {
            "name": entry.name,
            "task": entry.task,
            "parameters": entry.parameters,
            "bytes_fp32": 4 * entry.parameters,
            "where": where(entry),
        }
        for entry in offered()
    ]


def footprint(model: str, formats: list[str]) -> list[Json]:
    """The bytes that a model holds in each format, by kind; found without weights."""
    from qdemo.zoo.skeleton import skeleton  # transformers takes seconds: not before the page is up

    try:
        shapes = skeleton(parse_model(model))
        variants = parse_formats(formats)
        held = [(str(variant), measure(variant.build(shapes))) for variant in variants]
    except (InputError, ValueError) as error:
        raise gr.Error(str(error), print_exception=False) from None
    return [{"format": name, "bytes": size.total, "by_kind": size.by_kind} for name, size in held]
