"""The page on casting: the course's dummy model, and what a cast does to a real one."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

import gradio as gr

from qdemo import lab
from qdemo.engine.asking import ask
from qdemo.engine.engine import ENGINE
from qdemo.engine.turns import FullError, begun
from qdemo.models.families import fields
from qdemo.spec.messages import say
from qdemo.spec.request import InputError
from qdemo.ui import address, beginning, controls, parts
from qdemo.views import lab as lab_html
from qdemo.views.panels import table_html
from qdemo.views.tables import Table
from qdemo.views.wording import significant

if TYPE_CHECKING:
    from qdemo.lab.dummy import Cast
    from qdemo.lab.headroom import Peak

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
            logits = parts.html("", "cast-logits")
            default = parts.html("", "default-dtype")
        with gr.Column(scale=1, min_width=320):
            types = parts.html("", "cast-dtypes")
    format.change(_cast, format, [logits, types], **parts.QUICK)
    model, real = _real_model()
    parts.html(parts.link("casting"), "link")
    parts.section(
        say("The figures of the course"), say("Lesson 3, models. A tick: ours are the same.")
    )
    figures = parts.html("", "course-casting")
    blip = parts.html("", "course-blip")
    named = {"cast": format, "model": model, "to": real}
    address.connect(blocks, named, [logits, types, default, figures], _first)
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
    rows.append((say("mean |Δ|"), "", "", f"{cast.difference.mean_abs:.10f}", ""))
    rows.append((say("max |Δ|"), "", "", f"{cast.difference.max_abs:.10f}", ""))
    head = (
        say("sentence, token"),
        say("{format}, 1st", format=reference.format),
        say("{format}, 2nd", format=reference.format),
        say("{format}, 1st", format=cast.format),
        say("{format}, 2nd", format=cast.format),
    )
    return table_html(Table(say("Logits of the dummy model"), head, tuple(rows)))


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


def _real_model() -> tuple[gr.Dropdown, gr.Radio]:
    """What a cast does to a model; which model, and which cast."""
    parts.section(
        say("A real model"),
        say(
            "What a cast changes, what it leaves alone, and how near the activations come to "
            "65,504, where fp16 ends. Measured in fp32 on the example that the Compare page opens "
            "with."
        ),
    )
    with gr.Row(equal_height=True):
        model = gr.Dropdown(
            controls.model_choices(), value="t5-tiny", label=say("Model"), elem_id="cast-model",
            filterable=False, scale=3,
        )  # fmt: skip
        format = gr.Radio(
            ["fp16", "bf16"], value="fp16", label=say("Cast to"), elem_id="cast-real-to"
        )
        measure = gr.Button(say("Measure"), variant="primary", elem_id="measure")
    problem = parts.problem("cast-model")
    with gr.Row(equal_height=False):
        with gr.Column(scale=1, min_width=320):
            kinds = parts.html("", "cast-kinds")
            kept = parts.html("", "cast-kept")
        with gr.Column(scale=1, min_width=320):
            peaks = parts.html("", "cast-peaks")
    measure.click(
        _measure, [model, format], [kinds, kept, peaks, problem], concurrency_limit=None,
        show_progress="hidden", api_visibility="private",
    )  # fmt: skip
    return model, format


@parts.computing
def _measure(model: str, format: str) -> Iterator[tuple[Any, Any, Any, str]]:
    from qdemo.lab import headroom
    from qdemo.models.decoding import generate

    nothing = gr.skip(), gr.skip(), gr.skip()
    try:
        request = ask(model, [format], {name: one.first for name, one in fields().items()})
        with begun() as run, run.turn_in(ENGINE.computing) as waiting:
            for told in waiting:
                place = say("waiting, {count} ahead of you", count=told.ahead)
                yield *nothing, parts.problem_html(place)
            loaded, prompt = ENGINE.given(request)
            answer = generate(loaded.family, loaded.model, prompt, headroom.MOST_TOKENS)
            peaks = headroom.headroom(loaded.model, answer)[:10]
            kinds = headroom.dtypes(loaded.model, format)
            kept = _kept_table(loaded.kept_wide)
            yield _kinds_table(format, kinds), kept, _peaks_table(peaks), ""
    except (InputError, FullError) as error:
        yield *nothing, parts.problem_html(str(error))


def _kinds_table(format: str, found: list[tuple[str, str, int, int]]) -> str:
    rows = tuple((what, dtype, f"{count:,}", f"{size:,}") for what, dtype, count, size in found)
    head = (say("what"), say("dtype"), say("numbers"), say("bytes"))
    caption = say("After a cast to {format}; integers stay as they are", format=format)
    return table_html(Table(caption, head, rows))


def _kept_table(wide: tuple[str, ...]) -> str:
    rows = tuple((name, "float32") for name in wide) or ((say("none"), "–"),)
    caption = say(
        "Kept in fp32 by from_pretrained(dtype=torch.float16); .half() and this page cast all"
    )
    return table_html(Table(caption, (say("layer"), say("dtype")), rows))


def _peaks_table(peaks: list[Peak]) -> str:
    rows = tuple(
        (peak.module, peak.kind, significant(peak.largest), f"{peak.share:.3%}") for peak in peaks
    )
    head = (say("layer"), say("kind"), say("largest |number|"), say("of 65,504"))
    return table_html(Table(say("The ten layers with the largest activations"), head, rows))
