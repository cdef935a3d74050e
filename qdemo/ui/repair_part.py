"""The smallest repair of one answer, on the Evidence page."""

from __future__ import annotations

from collections.abc import Callable, Generator
from functools import cache
from typing import Any

import gradio as gr

from qdemo.engine.asking import field_of, read
from qdemo.engine.engine import ENGINE
from qdemo.models.availability import get_entry
from qdemo.settings import SETTINGS
from qdemo.spec import written
from qdemo.spec.messages import say
from qdemo.spec.repair import Repair
from qdemo.spec.step import Step
from qdemo.ui import parts
from qdemo.ui.layers_part import buttons, connect, given_for, told_by, variant_of
from qdemo.views.repairs import repair_html
from qdemo.views.templates import ASSETS

FILE = ASSETS / "examples" / "repair.json"
STEPS = ("fp32", "int8", "int4-g64")


@cache
def example() -> Repair:
    """What the section begins with; `python -m assets.examples` computes it anew."""
    return written.from_text(Repair, FILE.read_bytes())


def build(model: gr.Dropdown) -> None:
    """Lay the section out and connect it; the caller is inside a Blocks."""
    found = example()
    parts.section(
        say("Smallest repair"),
        say("The fewest layers which, put back, bring fp32's answer to one question back."),
    )
    with gr.Row(equal_height=False, elem_classes="choices"):
        given = gr.Textbox(
            found.input, label=say("Question, or a picture's name"), elem_id="repair-given",
            max_lines=2, max_length=4000, min_width=260, scale=3,
        )  # fmt: skip
        format = gr.Textbox(
            found.format, label=say("Format"), elem_id="repair-format", max_lines=1,
            max_length=4000, min_width=160, scale=1,
        )  # fmt: skip
        step = gr.Radio(
            list(STEPS), value=found.step, label=say("Put back to"), elem_id="repair-step",
            min_width=220, scale=2,
        )  # fmt: skip
        begin, stop = buttons(say("Repair"), "repair")
    search = told_by(begin, stop, repair_html(found, found.input), "repair")
    connect(search, _repair, [model, given, format, step])
    model.input(given_for, model, given, **parts.QUICK)


def _repair(
    model: Any, given: Any, format: Any, step: Any
) -> tuple[str, Callable[[], Generator[Any]], Callable[[Any], str]]:
    entry, variant = get_entry(str(model)), variant_of(format)
    asked = read(field_of(entry), given)  # a picture by its name alone, and no file
    back = Step.parse(step) if step in STEPS[1:] else Step(cast="fp32")

    def steps() -> Generator[Any]:
        from qdemo.engine.layerwise import repair_of

        yield from repair_of(ENGINE, entry.name, asked, variant, back, most_s=SETTINGS.method_s)

    return entry.name, steps, lambda found: repair_html(found, str(given))
