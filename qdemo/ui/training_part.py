"""Part of the page on linear quantization: training through the rounding, in the page."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import gradio as gr

from qdemo.spec.messages import say
from qdemo.ui import beginning, parts
from qdemo.views import lab as lab_html
from qdemo.views import lab_plots

if TYPE_CHECKING:
    from qdemo.lab.training import Lesson


def build(blocks: gr.Blocks) -> tuple[gr.Slider, gr.Slider]:
    """Lay it out and connect it, inside its page; the bits and the seed."""
    parts.section(
        say("Training through the rounding"),
        say(
            "A small classifier of two spirals is trained in fp32 and then rounded. Trained on "
            "with the rounding in its forward pass (the gradient goes straight through), it finds "
            "integers that work. Fewer bits need it more."
        ),
    )
    with gr.Row(equal_height=True):
        bits = gr.Slider(2, 8, 2, step=1, label=say("Bits"), elem_id="train-bits")
        seed = gr.Slider(0, 20, 0, step=1, label=say("Seed"), elem_id="train-seed")
        start = gr.Button(say("Train"), variant="primary", elem_id="train")
        stop = gr.Button(say("Stop"), elem_id="train-stop", interactive=False)
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=320):
            losses = parts.plot(None, "training-chart")
        with gr.Column(scale=4, min_width=320):
            flips = parts.plot(None, "flips-chart")
    integers = parts.html("", "train-integers")
    outputs = [losses, flips, integers, start, stop]
    beginning.begin(blocks, outputs, _first)
    run = start.click(
        _train, [bits, seed], outputs, concurrency_id="lab", concurrency_limit=2,
        show_progress="hidden", api_visibility="private",
    )  # fmt: skip
    # First cancelled, then shown as stopped: a lesson under way would write over it.
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    stop.click(None, cancels=[run], queue=False, **quiet).then(
        lambda: (gr.update(interactive=True), gr.update(interactive=False)), None, [start, stop],
        queue=False, **quiet,
    )  # fmt: skip
    return bits, seed


@parts.computing
@cache
def _first() -> tuple[Any, ...]:
    """The end of a training with what the sliders begin with; trained when someone first looks."""
    *_, last = _lessons(2, 0)
    return _shown(last)


@parts.computing
def _train(bits: float, seed: float) -> Iterator[tuple[Any, ...]]:
    for lesson in _lessons(int(bits), int(seed)):
        yield _shown(lesson)


def _lessons(bits: int, seed: int) -> Iterator[Lesson]:
    from qdemo.engine.threads import on_threads
    from qdemo.lab.training import lessons

    return on_threads(1, lessons(bits, seed))


def _shown(lesson: Lesson) -> tuple[Any, ...]:
    return (
        parts.drawn(lab_plots.training(lesson.losses)),
        parts.drawn(lab_plots.flips(lesson.flips)) if lesson.flips else gr.skip(),
        _integers(lesson) if lesson.flips else gr.skip(),
        gr.update(interactive=lesson.finished),
        gr.update(interactive=not lesson.finished),
    )


def _integers(lesson: Lesson) -> str:
    return lab_html.integers_html(lesson.integers.tolist(), lesson.flipped.tolist())
