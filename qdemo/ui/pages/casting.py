"""The page on casting: the course's dummy model, and what a cast does to a real one."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import gradio as gr

from qdemo import lab
from qdemo.spec.messages import say
from qdemo.ui import address, beginning, headroom_part, parts
from qdemo.views import lab as lab_html
from qdemo.views.panels import table_html
from qdemo.views.tables import Table

if TYPE_CHECKING:
    from qdemo.lab.dummy import Cast

_START = "bf16"


def build(blocks: gr.Blocks) -> None:
    """Lay the page out and connect it; the caller is inside its route."""
    parts.masthead(
        say("Casting"),
        say(
            "A cast gives every float parameter another data type and leaves the rest alone. Here "
            "is what that does to a model of 30 numbers, and to a real one."
        ),
    )
    format = gr.Radio(
        list(lab.CASTS), value=_START, label=say("Cast the model to"), elem_id="cast-to"
    )
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            logits = parts.html("", "cast-logits", "wraps")
            default = parts.html("", "default-dtype", "wraps")
        with gr.Column(scale=1, min_width=320):
            types = parts.html("", "cast-dtypes", "wraps")
    format.change(_cast, format, [logits, types], **parts.QUICK)
    headroom = headroom_part.build(blocks)
    parts.html(parts.link("casting"), "link")
    parts.section(
        say("The figures of the course"), say("Lesson 3, models. A tick: ours are the same.")
    )
    figures = parts.html("", "course-casting")
    blip = parts.html("", "course-blip")
    named = {"cast": format, "model": headroom.model, "to": headroom.format}
    opened = address.connect(blocks, named, [logits, types, default, figures], _first)
    headroom_part.connect(headroom, opened)
    beginning.begin(blocks, [blip], _blip_figures)


@parts.computing
@cache
def _first() -> tuple[str, ...]:
    """What is there to begin with; of the figures, those that are computed at once."""
    from qdemo.lab import course

    figures = course.figures("casting", course.CASTING)
    return *_cast(_START), _default_dtype_table(), lab_html.course_html(figures)


@parts.computing
def _blip_figures() -> str:
    from qdemo.lab import course

    return lab_html.course_html(course.figures("casting", course.BLIP))


@parts.computing
def _cast(name: str) -> tuple[str, str]:
    found = _casts()
    return _logits_table(found["fp32"], found[name]), _dtypes_table(found[name])


@cache
def _casts() -> dict[str, Cast]:
    from qdemo.lab.dummy import casts

    return {cast.format: cast for cast in casts()}


def _logits_table(reference: Cast, cast: Cast) -> str:
    rows = [
        (f"{i // 2 + 1}, {i % 2 + 1}", *(f"{z:.7f}" for z in (*wanted, *got)))
        for i, (wanted, got) in enumerate(zip(reference.logits, cast.logits, strict=True))
    ]
    head = (
        say("sentence, token"),
        say("{format}, 1st", format=reference.format),
        say("{format}, 2nd", format=reference.format),
        say("{format}, 1st", format=cast.format),
        say("{format}, 2nd", format=cast.format),
    )
    logits = Table(say("Logits of the dummy model"), head, tuple(rows))
    return table_html(logits) + table_html(_difference_table(cast))


def _difference_table(cast: Cast) -> Table:
    rows = (
        (say("mean |Δ|"), f"{cast.difference.mean_abs:.10f}"),
        (say("max |Δ|"), f"{cast.difference.max_abs:.10f}"),
    )
    caption = say("How far {format} is from fp32", format=cast.format)
    return Table(caption, (say("over the eight logits"), say("difference")), rows)


def _dtypes_table(cast: Cast) -> str:
    rows = tuple(cast.dtypes.items())
    head = (say("parameter"), say("dtype"))
    return table_html(Table(say("Every parameter of it"), head, rows))


def _default_dtype_table() -> str:
    from qdemo.lab.dummy import DEFAULT_DTYPE

    under, before = DEFAULT_DTYPE
    rows = (
        (say("built under set_default_dtype(torch.bfloat16)"), under),
        (say("built before it, looked at under it"), before),
    )
    head = (say("model"), say("dtype"))
    return table_html(Table(say("torch.set_default_dtype, tried out beforehand"), head, rows))
