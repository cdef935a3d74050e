"""The page on number formats: bits by hand, what formats can hold, what downcasting costs."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import gradio as gr

from qdemo.lab import bitstrip, spacing
from qdemo.spec.messages import say
from qdemo.ui import address, parts
from qdemo.views import lab as lab_html
from qdemo.views import lab_plots
from qdemo.views.panels import table_html
from qdemo.views.tables import Table
from qdemo.views.templates import asset

if TYPE_CHECKING:
    from qdemo.lab.dots import Dot

START = "70000"
"""What fp16 has no room for, bf16 only roughly, and e4m3 not nearly."""

_EXAMPLES = ("70000", "1/3", "pi", "0.1", "1e-7", "max", "smallest subnormal", "NaN", "bf16:0x3F80")


def build(blocks: gr.Blocks) -> None:
    """Lay the page out and connect it; the caller is inside its route."""
    parts.masthead(
        say("Number formats"),
        say(
            "One value in every format, bit by bit: what each can store of it, and how far that is "
            "from what you asked for."
        ),
    )
    named, strip = _strip()
    parts.section(
        say("What each format can hold"),
        say(
            "The step from one number to the next, beside its size: higher is finer, and a line "
            "ends where the format's numbers end. bf16 has fp32's range, fp16 eight times bf16's "
            "precision."
        ),
    )
    chart = parts.plot(None, "spacing-chart")
    formats = parts.html("", "formats-table")
    seed, vector = _downcasting()
    parts.section(
        say("The figures of the course"), say("Lesson 2, data types. A tick: ours are the same.")
    )
    figures = parts.html("", "course-formats")
    address.connect(
        blocks, {**named, "seed": seed}, [strip, chart, formats, *vector, figures], _first
    )


def _strip() -> tuple[dict[str, gr.Textbox], gr.HTML]:
    """What is asked, by name, and what shows its bits."""
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=300):
            told = say("a decimal, a fraction, a pattern such as 0x3C00 or bf16:0x3F80, or a word")
            value = gr.Textbox(
                START, label=say("Value"), elem_id="value", max_length=250, max_lines=1, info=told,
            )  # fmt: skip
            problem = parts.problem("value")
        with gr.Column(scale=1, min_width=200):
            told = say("adds a row: q = round(value / scale)")
            scale = gr.Textbox(
                "", label=say("Scale for {format}", format="int8"), elem_id="scale", max_lines=1,
                max_length=60, placeholder="0.01", info=told,
            )  # fmt: skip
    gr.Examples([[text] for text in _EXAMPLES], value, label=say("Try"), elem_id="values")
    strip = parts.html("", "strip", js=asset("cells.js"))
    parts.html(parts.link("formats"), "link")
    gr.on([value.change, scale.change], _rows, [value, scale], [strip, problem], **parts.QUICK)
    # A bit that is flipped while another is under way is passed over: it would undo the other.
    strip.select(_flip, [value, scale], [value, problem], **parts.QUICK | {"trigger_mode": "once"})
    return {"value": value, "scale": scale}, strip


@parts.computing
@cache
def _first() -> tuple[Any, ...]:
    from qdemo.lab import course

    lines = {name: spacing.relative_spacing(name) for name in spacing.SPACED}
    return (
        lab_html.bitstrip_html(bitstrip.rows(START), bitstrip.LATER),
        parts.drawn(lab_plots.spacing(lines)),
        lab_html.stacked_html(lab_html.formats_table(spacing.formats())),
        *_dots(0),
        lab_html.course_html(course.figures("formats", course.FORMATS)),
    )


def _rows(value: str, scale: str) -> tuple[Any, ...]:
    """The strip for what was typed; what can't be read leaves the last one as it was."""
    try:
        found = bitstrip.rows(value, scale)
    except ValueError as error:
        return gr.skip(), parts.problem_html(str(error))
    return lab_html.bitstrip_html(found, bitstrip.LATER), ""


def _flip(value: str, scale: str, event: gr.EventData) -> tuple[Any, str]:
    try:
        return bitstrip.flip(value, event.format, int(event.bit), scale), ""
    except ValueError as error:
        return gr.skip(), parts.problem_html(str(error))


def _downcasting() -> tuple[gr.Slider, list[Any]]:
    """The seed of a vector, and what shows it and its dot product."""
    parts.section(
        say("Downcasting a vector"),
        say(
            "1,000 numbers between 0 and 1, and their dot product with themselves. torch adds bf16 "
            "up in fp32 and rounds once; adding up in bf16 itself stops growing at 256."
        ),
    )
    seed = gr.Slider(0, 99, 0, step=1, label=say("Seed of the vector"), elem_id="seed")
    with gr.Row(equal_height=False):
        with gr.Column(scale=6, min_width=320):
            chart = parts.plot(None, "dots-chart")
        with gr.Column(scale=5, min_width=320):
            table = parts.html("", "dots-table")
            values = parts.html("", "values-table")
    shown = [chart, table, values]
    seed.change(_dots, seed, shown, **parts.QUICK)
    return seed, shown


@parts.computing
def _dots(seed: float) -> tuple[Any, str, str]:
    from qdemo.lab import dots

    return (
        parts.drawn(lab_plots.dot_errors(dots.LENGTHS, dots.errors(int(seed)))),
        _dots_table(dots.dots(dots.vector(1000, int(seed)))),
        _values_table(dots.first(int(seed))),
    )


def _dots_table(found: list[Dot]) -> str:
    rows: list[tuple[str, ...]] = [
        (say("exact ({format})", format="fp64"), f"{found[0].exact:.4f}", "–")
    ]
    rows += [(dot.way, f"{dot.value:.4f}", f"{dot.error:.2g}") for dot in found]
    head = (say("way"), "x · x", say("error"))
    return table_html(Table(say("x · x of 1,000 numbers"), head, tuple(rows)))


def _values_table(found: list[tuple[str, list[float]]]) -> str:
    rows = tuple((name, *(f"{value:.4f}" for value in numbers)) for name, numbers in found)
    head = (say("format"), say("1st"), say("2nd"), say("3rd"), say("4th"), say("5th"))
    return table_html(Table(say("The first five numbers, downcast"), head, rows))
