"""The HTTP API, for gradio_client and anyone who speaks HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.components.api_component import Api

from qdemo.request import DEFAULT_TOKENS, InputError, Request, parse_formats, parse_model
from qdemo.ui import jobs, runs
from qdemo.ui.line import FullError
from qdemo.ui.picture_input import uploaded
from qdemo.ui.runs import Waiting
from qdemo.models.access import skeleton
from qdemo.models.availability import UnavailableError, offered, where

if TYPE_CHECKING:
    from qdemo.progress import Progress

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
            compare, asked, gr.JSON(label="report"), api_name="compare", show_progress="hidden",
            concurrency_limit=None,  # they wait in a line of ours
        )  # fmt: skip
    gr.api(models, api_name="models", queue=False)
    gr.api(download, api_name="download", concurrency_limit=None)
    gr.api(footprint, api_name="footprint")


def compare(
    model: str,
    formats: list[str],
    prompt: str = "",
    picture: Json | None = None,
    picture_name: str = "",
    max_tokens: int = DEFAULT_TOKENS,
    fresh: bool = False,
) -> Iterator[Json]:
    """Compare a model's formats; yields {"ahead": …} while it waits for its turn, {"running": …}
    while it runs, and last the whole report.

    `picture` is a file, `picture_name` one that is made here: `scene:NUMBER` or `gallery:NAME`.
    `fresh` computes also what an earlier comparison of the same input computed and was kept.
    """
    with refusing():
        given = picture_name if picture is None else uploaded(picture)
        request = Request.parse(model, formats, prompt, given, max_tokens, fresh)
        with runs.begun() as run:
            for told in jobs.progress(request, run):
                yield _plain(told)


@contextmanager
def refusing() -> Iterator[None]:
    """What is refused is answered in a sentence, and logged nowhere.

    Raises:
        gr.Error: the input is wrong, the model can't be had, or too many wait.
    """
    try:
        yield
    except InputError as error:
        raise gr.Error(f"{error.field}: {error}", print_exception=False) from None
    except UnavailableError as error:
        raise gr.Error(f"model: {error}", print_exception=False) from None
    except FullError as error:
        raise gr.Error(str(error), print_exception=False) from None


def _plain(told: Waiting | Progress) -> Json:
    if isinstance(told, Waiting):
        return {"ahead": told.ahead}
    return told.document() if told.finished else {"running": dict(told.running)}


def models() -> list[Json]:
    """The models that can be compared, with their task, size and where their weights are."""
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
    with refusing():
        entry = parse_model(model)
        with runs.begun() as run:
            for told in jobs.download(entry, run):
                if isinstance(told, Waiting):
                    yield {"ahead": told.ahead}
                else:
                    yield {
                        "bytes": told.done,
                        "of": told.total,
                        "per_second": told.bytes_per_second,
                    }
    yield {"model": entry.name, "where": where(entry)}


def footprint(model: str, formats: list[str]) -> list[Json]:
    """The bytes that a model holds in each format, by kind; found without its weights.

    Args:
        model: a model's name, as `models` lists it, such as google/flan-t5-small
        formats: up to eight formats, such as fp32, bf16, int8, int8+emb, int4-g64
    """
    with refusing():
        entry, variants = parse_model(model), parse_formats(formats)
        try:
            shapes = skeleton(entry)  # torch is here from now on
            from qdemo.compress.footprint import footprint as measure

            held = [(str(variant), measure(variant.build(shapes))) for variant in variants]
        except ValueError as error:
            raise InputError("formats", str(error)) from None
    return [{"format": name, "bytes": size.total, "by_kind": size.by_kind} for name, size in held]
