"""Part of the page on linear quantization: training through the rounding, in the page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import gradio as gr

from qdemo.engine import turns
from qdemo.spec.messages import say
from qdemo.ui import beginning, parts
from qdemo.views import lab as lab_html
from qdemo.views import lab_plots, lab_told
from qdemo.views.lab_spirals import panels_html

if TYPE_CHECKING:
    from qdemo.lab.training import Lesson

START = 2, 0
"""Bits and seed."""

_LESSON_S = 0.2
"""How long a picture stays at least: so a boundary is seen to grow."""


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
        bits = gr.Slider(2, 8, START[0], step=1, label=say("Bits"), elem_id="train-bits")
        seed = gr.Slider(0, 20, START[1], step=1, label=say("Seed"), elem_id="train-seed")
        start = gr.Button(say("Train"), variant="primary", elem_id="train")
        stop = gr.Button(say("Stop"), elem_id="train-stop", interactive=False)
    line = parts.html("", "train-line")
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320):
            losses = parts.plot(None, "training-chart")
        with gr.Column(scale=6, min_width=320):
            spirals = parts.html("", "spirals")
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=320):
            flips = parts.plot(None, "flips-chart")
        with gr.Column(scale=6, min_width=320):
            integers = parts.html("", "train-integers")
    shown = [line, losses, spirals, flips, integers]
    beginning.begin(blocks, shown, partial(_untrained, *START))
    gr.on([bits.change, seed.change], _untrained, [bits, seed], shown, **parts.QUICK)
    _connect(start, stop, [bits, seed], shown)
    return bits, seed


def _connect(start: gr.Button, stop: gr.Button, chosen: list[Any], shown: list[Any]) -> None:
    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    calm, running = parts.unseen("calm"), parts.unseen("train-run")
    start.click(
        _train, [*chosen, calm], [*shown, start, stop, running], concurrency_id="lab",
        concurrency_limit=8, js="(bits, seed) => [bits, seed, qdemo.calm() ? 'calm' : '']", **quiet,
    )  # fmt: skip
    # By the number of the run: gradio cancels what was begun until it comes to it, the next too.
    stop.click(turns.stop, running, None, **parts.QUICK)


@parts.computing
def _untrained(bits: float, seed: float) -> tuple[Any, ...]:
    """The points alone, until someone presses Train."""
    from qdemo.lab.training import names

    return (
        parts.changed_html(say("Two spirals of points, and nothing learned yet: press Train.")),
        parts.drawn(lab_plots.training({})),
        _panels(int(seed), dict.fromkeys(names(int(bits)))),
        parts.drawn(lab_plots.flips([])),
        "",
    )


@parts.computing
def _train(bits: float, seed: float, calm: str) -> Iterator[tuple[Any, ...]]:
    """A picture a lesson; for one who wants less motion, the last alone."""
    with turns.begun() as run:
        for lesson in _lessons(int(bits), int(seed)):
            if run.is_stopped:
                break
            at = time.monotonic()
            if calm and not lesson.finished:
                shown: tuple[Any, ...] = (_told(lesson), *parts.nothing(4))
            else:
                shown = _shown(lesson, int(bits), int(seed))
            yield *shown, *_buttons(not lesson.finished), run.number
            time.sleep(0 if calm else max(0.0, at + _LESSON_S - time.monotonic()))
        yield *parts.nothing(5), *_buttons(False), ""


def _lessons(bits: int, seed: int) -> Iterator[Lesson]:
    from qdemo.engine.threads import on_threads
    from qdemo.lab.training import lessons

    return on_threads(1, lessons(bits, seed))


def _buttons(is_busy: bool) -> tuple[Any, Any]:
    return gr.update(interactive=not is_busy), gr.update(interactive=is_busy)


def _shown(lesson: Lesson, bits: int, seed: int) -> tuple[Any, ...]:
    from qdemo.lab.training import FP32_STEPS, names

    first, *_ = lesson.losses
    losses = {
        name: (0 if name == first else FP32_STEPS, found) for name, found in lesson.losses.items()
    }
    return (
        _told(lesson),
        parts.drawn(lab_plots.training(losses)),
        _panels(seed, dict.fromkeys(names(bits)) | lesson.learned),
        parts.drawn(lab_plots.flips(lesson.flips)) if lesson.flips else gr.skip(),
        _integers(lesson) if lesson.flips else gr.skip(),
    )


def _told(lesson: Lesson) -> str:
    """How far it is, or what came of it."""
    from qdemo.lab.training import FP32_STEPS, STEPS

    if lesson.finished:
        return parts.changed_html(lab_told.trained(lesson.learned))
    fp32, *_ = lesson.losses.values()
    step = len(fp32) + len(lesson.flips)
    return parts.changed_html(lab_told.training(step, FP32_STEPS, FP32_STEPS + STEPS), spoken=False)


def _panels(seed: int, learned: dict[str, Any]) -> str:
    from qdemo.lab.training import EDGE, data

    points, spiral = data(seed)
    return panels_html(points.tolist(), spiral.tolist(), EDGE, learned)


def _integers(lesson: Lesson) -> str:
    return lab_html.integers_html(lesson.integers.tolist(), lesson.flipped.tolist())
