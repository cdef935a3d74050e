"""The HTTP API, for gradio_client and anyone who speaks HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.components.api_component import Api

from qdemo.request import DEFAULT_TOKENS, InputError, Request, parse_formats, parse_model
from qdemo.ui import jobs
from qdemo.ui.picture_input import is_upload
from qdemo.zoo.access import skeleton
from qdemo.zoo.availability import UnavailableError, offered, where

Json = dict[str, Any]

_TEXTS: Json = {"type": "array", "items": {"type": "string"}}


def build() -> None:
    """Register the endpoints; the caller is inside a Blocks. Nothing of it is seen on the page."""
    with gr.Column(visible=False):
        asked = [
            Api("t5-tiny", {"type": "string"}, "model"),
            Api(["fp16", "bf16", "int8"], _TEXTS, "formats"),
            Api("", {"type": "string"}, "prompt"),
            Api(None, gr.Image(render=False).api_info(), "picture"),
            Api("", {"type": "string"}, "picture_name"),
            Api(DEFAULT_TOKENS, {"type": "integer"}, "max_tokens"),
            Api(False, {"type": "boolean"}, "fresh"),
        ]
        gr.Button().click(
            compare, asked, gr.JSON(label="report"), api_name="compare", concurrency_id="model",
            show_progress="hidden",
        )  # fmt: skip
    gr.api(models, api_name="models", queue=False)
    gr.api(download, api_name="download", concurrency_id="download", concurrency_limit=1)
    gr.api(footprint, api_name="footprint", concurrency_id="model")


def compare(
    model: str,
    formats: list[str],
    prompt: str = "",
    picture: Json | None = None,
    picture_name: str = "",
    max_tokens: int = DEFAULT_TOKENS,
    fresh: bool = False,
) -> Iterator[Json]:
    """Compare a model's formats; yields {"running": …} while it runs, and last the whole report.

    `picture` is a file, `picture_name` one that is made here: `scene:NUMBER` or `gallery:NAME`.
    `fresh` computes also what an earlier comparison of the same input computed and was kept.
    """
    try:
        given = picture_name if picture is None else _uploaded(picture)
        request = Request.parse(model, formats, prompt, given, max_tokens, fresh)
        for progress in jobs.progress(request):
            yield progress.document() if progress.finished else {"running": dict(progress.running)}
    except InputError as error:
        raise gr.Error(f"{error.field}: {error}", print_exception=False) from None


def _uploaded(picture: Any) -> Path:
    """The file that a client has uploaded.

    Raises:
        InputError: it is anything else.
    """
    path = picture.get("path") if isinstance(picture, dict) else None
    if not isinstance(path, str) or not is_upload(path):
        raise InputError("picture", "expected a file that was uploaded (handle_file), or none")
    return Path(path)


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


def download(model: str) -> Iterator[Json]:
    """Bring a model from the Hub to this server; yields how far it is, last that it is here."""
    try:
        entry = parse_model(model)
        for known in jobs.download(entry):
            yield {"bytes": known.done, "of": known.total, "per_second": known.bytes_per_second}
    except InputError as error:
        raise gr.Error(f"{error.field}: {error}", print_exception=False) from None
    yield {"model": entry.name, "where": where(entry)}


def footprint(model: str, formats: list[str]) -> list[Json]:
    """The bytes that a model holds in each format, by kind; found without weights."""
    try:
        shapes = skeleton(parse_model(model))  # torch is here from now on
        from qdemo.modeling.footprint import footprint as measure

        variants = parse_formats(formats)
        held = [(str(variant), measure(variant.build(shapes))) for variant in variants]
    except InputError as error:
        raise gr.Error(f"{error.field}: {error}", print_exception=False) from None
    except UnavailableError as error:
        raise gr.Error(f"model: {error}", print_exception=False) from None
    except ValueError as error:
        raise gr.Error(f"formats: {error}", print_exception=False) from None
    return [{"format": name, "bytes": size.total, "by_kind": size.by_kind} for name, size in held]
