"""What an assistant finds here that speaks the Model Context Protocol: four tools that only look.

gradio serves them where GRADIO_MCP_SERVER is True and its `mcp` extra is installed.
"""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr

from qdemo.engine.asking import ask
from qdemo.engine.engine import ENGINE
from qdemo.engine.turns import Waiting, begun
from qdemo.spec.decoding import GREEDY
from qdemo.spec.report import Report
from qdemo.spec.request import DEFAULT_TOKENS, Request
from qdemo.ui.api import refusing
from qdemo.ui.link import address_of
from qdemo.views.brief import as_text, brief

TOOLS = {
    "compare": "/compare_briefly",
    "evaluate": "/evaluate_briefly",
    "footprint": "/footprint",
    "models": "/models",
}
"""Each with the endpoint of the HTTP API behind it. What writes, a download, is none."""


def build() -> None:
    """Register what is for assistants alone; the caller is inside a Blocks."""
    gr.api(compare, api_name="compare_briefly", concurrency_limit=None)


def compare(
    model: str,
    formats: list[str],
    prompt: str = "",
    picture_name: str = "",
    max_tokens: int = DEFAULT_TOKENS,
    read_as: str = GREEDY.read_as,
    temperature: float = GREEDY.temperature,
    seed: int = GREEDY.seed,
    request: gr.Request = None,  # gradio gives it by its type
) -> Iterator[str]:
    """Compare what a model answers, and what it holds, in several number formats beside fp32.

    KL, and the share of positions with the same top token (with its Wilson 95% interval), are
    against fp32, both fed fp32's own answer; the first token in which the answers diverge counts
    from 1. Answers with two or three kilobytes of JSON.

    Args:
        model: a model's name, as the tool `models` lists it, such as t5-tiny
        formats: up to twelve formats beside fp32, such as fp16, bf16, int8, nf4-g64, int4-g64-gptq
        prompt: what a model that reads is asked; leave it out for one that looks at a picture
        picture_name: for a model that looks at a picture, scene:NUMBER, or gallery:NAME
        max_tokens: how many tokens an answer may have, 1 to 128
        read_as: of a language model, chat to have the prompt answered, text to have it gone on
            with, score to measure the perplexity of it
        temperature: 0 takes the likeliest token, above it tokens are drawn, up to 5
        seed: what they are drawn by, the same for every format
    """
    given = {"prompt": prompt, "picture": picture_name}
    decoding = {"read_as": read_as, "temperature": temperature, "seed": seed}
    with refusing():
        asked = ask(model, formats, given, max_tokens, decoding=decoding)
        link = _link(asked, request)
        with begun() as run:
            for told in ENGINE.told(asked, run):  # by telling it is found out who has left
                yield _plain(told, link)


def _plain(told: Waiting | Report, link: str | None) -> str:
    """How many are before, how many formats are through, and last all of it."""
    if isinstance(told, Waiting):
        return as_text({"ahead": told.ahead})
    if told.finished:
        return as_text(brief(told, link))
    return as_text({"through": len(told.results), "of": len(told.formats)})


def _link(asked: Request, request: gr.Request | None) -> str | None:
    """A link to the same comparison, as far as the address is known by which this was asked."""
    state, http = address_of(asked), request and request.request
    if state is None or not http:
        return None
    root = http.scope.get("root_path", "")
    if "://" not in root:
        host = http.headers.get("x-forwarded-host") or http.headers.get("host", "")
        root = f"{http.headers.get('x-forwarded-proto', http.url.scheme)}://{host}{root}"
    return f"{root}/#{state}"
