"""A model that is in no list: typed, looked up, and chosen, once it is told what it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from qdemo.engine.engine import ENGINE
from qdemo.engine.looking import Look
from qdemo.models.availability import get_entry
from qdemo.models.catalogue import EMBEDDED
from qdemo.settings import SETTINGS
from qdemo.spec.messages import say
from qdemo.spec.request import InputError
from qdemo.ui import parts
from qdemo.views.covering import covers
from qdemo.views.numbers import megabytes, percent, stored_as, times
from qdemo.views.templates import fill

_LONGEST = 1000
"""Characters of a path."""

Updates = dict[Any, Any]


@dataclass(frozen=True, eq=False)
class Another:
    """The line in which a model is typed, what looks it up, and what was found."""

    text: gr.Textbox
    look: gr.Button
    problem: gr.HTML
    told: gr.HTML


def build(problems: dict[str, gr.HTML]) -> Another | None:
    """Lay it out; nothing where the host takes listed models alone. What is clicked stands above
    what comes: a click on what moves is lost."""
    if SETTINGS.hub != "any":
        return None
    with gr.Accordion(say("Another model"), open=False, elem_id="another"):
        with gr.Row(elem_id="another-typed", equal_height=True):
            text = gr.Textbox(
                label=say("An id of the Hub, or the path of a folder"), max_lines=1,
                placeholder="HuggingFaceTB/SmolLM2-135M-Instruct", max_length=_LONGEST,
                elem_id="another-text", scale=4, min_width=200,
            )  # fmt: skip
            look = gr.Button(say("Look it up"), size="md", scale=1, min_width=110)
        problems["another"] = parts.problem("another")
        told = parts.html("", "another-told")
    return Another(text, look, problems["another"], told)


def connect(
    another: Another | None,
    model: gr.Dropdown,
    shown: Sequence[Any],
    chosen: Callable[[str], Updates],
) -> None:
    """Have what is typed looked up: `chosen` are the updates of `shown` that choose a model."""
    if another is None:
        return

    def looked(text: str) -> Iterator[Updates]:
        yield {another.look: gr.update(interactive=False), another.told: looking(), problem: ""}
        try:
            found = ENGINE.look(text or "")
            yield {another.told: look_html(found), **chosen(found.name)}
        except InputError as error:
            yield {another.told: "", problem: parts.problem_html(str(error))}
        finally:
            yield {another.look: gr.update(interactive=True)}

    problem = another.problem
    mine = [another.look, another.told, problem]
    gr.on(
        [another.look.click, another.text.submit], looked, another.text, [*mine, model, *shown],
        concurrency_limit=None, show_progress="hidden", api_visibility="private",
        trigger_mode="once",
    )  # fmt: skip


def looking() -> str:
    """That it is looked up now."""
    return parts.changed_html(say("Looking it up; nothing is downloaded yet …"))


def look_html(look: Look) -> str:
    """What a model is and costs, to be read before it is downloaded."""
    return fill("look", name=look.name, facts=_facts(look), warnings=_warned(look))


def _facts(look: Look) -> list[tuple[str, str]]:
    """Each with its name."""
    e = get_entry(look.name)
    task, size = say(e.family.label), say("{count:,}", count=look.parameters)
    memory = say("about {needed}", needed=_size(look.needed))
    if look.free is not None:
        memory = say("{memory}; {free} are free", memory=memory, free=_size(look.free))
    return [
        (say("what it is"), say("{task}, {kind}", task=task, kind=look.architecture)),
        (say("parameters"), size),
        (say("download"), _download(look)),
        (say("file"), stored_as(look.dtype, look.stored)),
        (say("as fp32, to compute"), _size(look.fp32)),
        (say("memory to compare"), memory),
        (say("as int8"), _int8(look)),
        (say("licence"), look.licence or say("none is named")),
        *([(say("commit"), look.commit[:12])] if look.commit else []),
    ]


def _download(look: Look) -> str:
    if look.download:
        return say("{size}, when you press Compare", size=_size(look.download))
    return say("none: it comes with qdemo") if look.name in EMBEDDED else say("none: it is here")


def _int8(look: Look) -> str:
    held = look.int8.footprint.total
    return say(
        "{size}, {times} smaller than fp32; {share} of it quantized",
        size=_size(held),
        times=times(look.fp32 / held),
        share=percent(look.int8.coverage.share),
    )


def _size(n_bytes: float) -> str:
    """In GB where that reads better."""
    if n_bytes < 1e9:
        return megabytes(n_bytes)
    return say("{size:,.2f} GB", size=n_bytes / 1e9)


def _warned(look: Look) -> list[str]:
    return [*look.warnings, *covers(look.int8.footprint, look.int8.coverage)]
