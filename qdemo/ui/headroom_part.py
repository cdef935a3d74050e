"""Part of the page on casting: what a cast does to a real model, and how near fp16 comes to its
end in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import gradio as gr

from qdemo.engine.asking import ask
from qdemo.engine.engine import ENGINE
from qdemo.engine.turns import FullError, begun
from qdemo.models.availability import get_entry
from qdemo.models.families import fields
from qdemo.spec.messages import say
from qdemo.spec.request import InputError
from qdemo.ui import beginning, controls, parts
from qdemo.views import lab_plots
from qdemo.views.panels import table_html
from qdemo.views.tables import Table
from qdemo.views.wording import significant

if TYPE_CHECKING:
    from qdemo.lab.headroom import Peak

_FIRST = "t5-tiny", "fp16"
_FORMATS = "fp16", "bf16"
_SHOWN = 10

_measured: dict[tuple[str, str], tuple[Any, ...]] = {}
"""What embedded models came to, by model and format: it is the same each time."""


@dataclass(frozen=True, eq=False)
class Headroom:
    """The components: which model, which cast, the button, and what shows what was measured."""

    model: gr.Dropdown
    format: gr.Radio
    measure: gr.Button
    shown: tuple[Any, ...]


def build(blocks: gr.Blocks) -> Headroom:
    """Lay it out; the caller is inside its page, and connects it."""
    parts.section(
        say("A real model"),
        say(
            "What a cast changes, what it leaves alone, and how near the activations come to "
            "65,504, where fp16 ends. Measured in fp32 on the example that the Compare page opens "
            "with."
        ),
    )
    with gr.Row(equal_height=True, elem_classes="stacked"):
        model = gr.Dropdown(
            controls.model_choices(), value=_FIRST[0], label=say("Model"), elem_id="cast-model",
            filterable=False, scale=3, min_width=280,
        )  # fmt: skip
        format = gr.Radio(
            list(_FORMATS), value=_FIRST[1], label=say("Cast to"), elem_id="cast-real-to",
            min_width=220,
        )  # fmt: skip
        measure = gr.Button(say("Measure"), variant="primary", elem_id="measure")
    problem = parts.problem("cast-model")
    with gr.Row(equal_height=False):
        with gr.Column(scale=6, min_width=320):
            chart = parts.plot(None, "cast-headroom")
        with gr.Column(scale=5, min_width=320):
            kinds = parts.html("", "cast-kinds", "wraps")
            kept = parts.html("", "cast-kept", "wraps")
            peaks = parts.html("", "cast-peaks", "wraps")
    shown = (kinds, kept, chart, peaks, problem)
    beginning.begin(blocks, shown[:-1], _begun)
    return Headroom(model, format, measure, shown)


def connect(part: Headroom, opened: Any) -> None:
    """Have it measured at a click; and once, when the page is `opened`, as its address asks."""
    chosen, settings = [part.model, part.format], _SETTINGS
    first = opened.then(_opened, chosen, list(part.shown), **settings)
    part.measure.click(_measure, chosen, list(part.shown), cancels=[first], **settings)


_SETTINGS: dict[str, Any] = {
    "concurrency_limit": None, "show_progress": "hidden", "api_visibility": "private",
}  # fmt: skip


def _opened(model: str, format: str) -> Iterator[tuple[Any, ...]]:
    """What the address asks for is measured unasked, unless it is to be downloaded first; what a
    page begins with is there."""
    if (model, format) == _FIRST or get_entry(model).folder is None:
        yield parts.nothing(5)
    else:
        yield from _measure(model, format)


def _begun() -> tuple[Any, ...]:
    *_, (*found, _) = _measure(*_FIRST)
    return tuple(found)


@parts.computing
def _measure(model: str, format: str) -> Iterator[tuple[Any, ...]]:
    nothing = parts.nothing(4)
    if (model, format) in _measured:
        yield _measured[model, format]
        return
    try:
        request = ask(model, [format], {name: one.first for name, one in fields().items()})
        with begun() as run, run.turn_in(ENGINE.computing) as waiting:
            for told in waiting:
                place = say("waiting, {count} ahead of you", count=told.ahead)
                yield *nothing, parts.problem_html(place)
            loaded, prompt = ENGINE.given(request)
            found = _found(model, format, loaded, prompt)
    except (InputError, FullError) as error:
        yield *nothing, parts.problem_html(str(error))
        return
    if get_entry(model).folder is not None:
        _measured[model, format] = found
    yield found


def _found(model: str, format: str, loaded: Any, prompt: Any) -> tuple[Any, ...]:
    from qdemo.lab import headroom
    from qdemo.models.decoding import generate

    answer = generate(loaded.family, loaded.model, prompt, headroom.MOST_TOKENS)
    peaks = headroom.headroom(loaded.model, answer)[:_SHOWN]
    sizes = [(peak.module, peak.largest) for peak in peaks]
    return (
        _kinds_table(model, format, headroom.dtypes(loaded.model, format)),
        _kept_table(loaded.kept_wide),
        parts.drawn(lab_plots.headroom(model, sizes, headroom.LIMIT)),
        _peaks_table(peaks),
        "",
    )


def _kinds_table(model: str, format: str, found: list[tuple[str, str, int, int]]) -> str:
    rows = tuple((what, dtype, f"{count:,}", f"{size:,}") for what, dtype, count, size in found)
    head = (say("what"), say("dtype"), say("numbers"), say("bytes"))
    caption = say(
        "{model} after a cast to {format}; integers stay as they are", model=model, format=format
    )
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
    table = Table(say("The ten layers with the largest activations"), head, rows)
    return table_html(table, folded=say("The same as a table"))
