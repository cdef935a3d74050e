"""The HTTP API, for gradio_client and anyone who speaks HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from inspect import Parameter, Signature
from typing import Any

import gradio as gr

from qdemo.engine.asking import ask, parse_model
from qdemo.engine.engine import ENGINE
from qdemo.engine.shelf import sizes as sizes_of
from qdemo.engine.turns import FullError, Waiting, begun
from qdemo.models.availability import UnavailableError, commit_of, offered, where
from qdemo.models.families import fields
from qdemo.spec.decoding import GREEDY
from qdemo.spec.document import Json, as_json
from qdemo.spec.given import Field
from qdemo.spec.report import Report
from qdemo.spec.request import DEFAULT_TOKENS, InputError, parse_formats
from qdemo.ui.insides import Api, Document, DocumentOutput, uploaded

_TEXT: dict[str, Any] = {"type": "string"}
_TEXTS: dict[str, Any] = {"type": "array", "items": _TEXT}


def build() -> None:
    """Register the endpoints; the caller is inside a Blocks. Nothing of it is seen on the page."""
    with gr.Column(visible=False):
        asked = [
            Api("t5-tiny", _TEXT, "model"),
            Api(["fp16", "bf16", "int8"], _TEXTS, "formats"),
            *(part for field in fields().values() for part in _parts(field)),
            Api(DEFAULT_TOKENS, {"type": "integer"}, "max_tokens"),
            Api(False, {"type": "boolean"}, "fresh"),
            Api(GREEDY.read_as, _TEXT, "read_as"),
            Api(GREEDY.temperature, {"type": "number"}, "temperature"),
            Api(GREEDY.seed, {"type": "integer"}, "seed"),
        ]
        compare.__signature__ = _of_arguments(asked)  # type: ignore[attr-defined]
        gr.Button().click(
            compare, asked, DocumentOutput(label="report"), api_name="compare",
            show_progress="hidden", concurrency_limit=None,  # they wait in a line of ours
        )  # fmt: skip
    gr.api(models, api_name="models", queue=False)
    gr.api(download, api_name="download", concurrency_limit=None)
    gr.api(footprint, api_name="footprint")


def _parts(field: Field) -> list[Api]:
    """The arguments that bring a field: a text, or a picture as a file and as a name."""
    if field.kind == "text":
        return [Api("", _TEXT, field.name)]
    file = gr.Image(render=False).api_info()
    return [Api(None, file, field.name), Api("", _TEXT, f"{field.name}_name")]


def _of_arguments(asked: list[Api]) -> Signature:
    """A signature, from which gradio takes the arguments' names; the parts have their defaults."""
    either = Parameter.POSITIONAL_OR_KEYWORD
    return Signature([Parameter(str(part.label), either, default=None) for part in asked])


def compare(model: str, formats: list[str], *rest: object) -> Iterator[Json | Document]:
    """Compare a model's formats; yields {"ahead": …} while it waits for its turn, {"running": …}
    while it runs, and last the whole report.

    `picture` is a file, `picture_name` one that is made here: `scene:NUMBER` or `gallery:NAME`.
    `fresh` computes also what an earlier comparison of the same input computed and was kept.
    `read_as`: "chat" answers the prompt as a message, "text" goes on with it, "score" measures what
    a language model makes of its tokens. `temperature` above 0 draws tokens, by `seed`.
    """
    *given, max_tokens, fresh, read_as, temperature, seed = rest
    decoding = {"read_as": read_as, "temperature": temperature, "seed": seed}
    with refusing():
        request = ask(model, formats, _given(given), max_tokens, fresh, decoding)
        with begun() as run:
            for told in ENGINE.told(request, run):
                yield _plain(told)


def _given(values: list[object]) -> dict[str, object]:
    """By the names of fields; of a picture its name, where it is not brought as a file."""
    found: dict[str, object] = {}
    for field in fields().values():
        value = values.pop(0)
        if field.kind == "picture":
            name = values.pop(0)
            value = name if value is None else uploaded(value)
        found[field.name] = value
    return found


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


def _plain(told: Waiting | Report) -> Json | Document:
    if isinstance(told, Waiting):
        return {"ahead": told.ahead}
    return Document(as_json(told)) if told.finished else {"running": dict(told.running)}


def models() -> list[Json]:
    """The models that can be compared, with their task, size, licence and where their weights are.

    `dtype` is what their file holds, of `bytes_stored`; `commit` is null before the first download
    has found it out, and of what is not on the Hub.
    """
    return [
        {
            "name": entry.name,
            "task": entry.task,
            "parameters": entry.parameters,
            "bytes_fp32": 4 * entry.parameters,
            "bytes_stored": entry.stored_bytes,
            "dtype": entry.dtype,
            "licence": entry.licence,
            "commit": commit_of(entry),
            "where": where(entry),
        }
        for entry in offered()
    ]


def download(model: str) -> Iterator[Json]:
    """Bring a model from the Hub to this server; yields how far it is, last that it is here."""
    with refusing():
        entry = parse_model(model)
        with begun() as run:
            for told in ENGINE.download(entry, run):
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
    """The bytes that a model holds in each format, by kind, and how much of it is quantized; found
    without its weights.

    Args:
        model: a model's name, as `models` lists it, such as google/flan-t5-small
        formats: up to twelve formats, such as fp32, bf16, int8, int8+emb, int4-g64
    """
    with refusing():
        entry, variants = parse_model(model), parse_formats(formats)
        try:
            sizes = list(sizes_of(entry.name, variants))
        except ValueError as error:
            raise InputError("formats", str(error)) from None
    return [
        {
            "format": size.format,
            "bytes": size.footprint.total,
            "by_kind": size.footprint.by_kind,
            "bits_per_weight": size.bits_per_weight,
            "coverage": asdict(size.coverage),
        }
        for size in sizes
    ]
