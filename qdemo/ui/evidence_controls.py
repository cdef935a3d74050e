"""What a person chooses on the Evidence page: a model, formats, the inputs and how many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from qdemo.engine.asking import parse_model
from qdemo.engine.datasets import held_out
from qdemo.settings import SETTINGS
from qdemo.spec.decoding import short
from qdemo.spec.evidence import HELD_OUT
from qdemo.spec.messages import say
from qdemo.spec.request import InputError
from qdemo.ui import own_edit, own_format, parts
from qdemo.ui.address import Named
from qdemo.ui.controls import model_choices
from qdemo.ui.decoding_part import ways
from qdemo.ui.insides import uploaded

TICKED = ("bf16", "int8", "int4-g64", "int3", "int2")
FEWEST, USUAL, STEP = 20, 100, 10
"""Items; where there are fewer than are asked for, all are taken."""

Updates = dict[Any, Any]
_OWN = "file"
_FILES = [".txt", ".jsonl", ".csv", ".zip"]


@dataclass(frozen=True, eq=False)
class Controls:
    """The components; `asked` are those that an evaluation is read from, in their order."""

    model: gr.Dropdown
    formats: gr.CheckboxGroup
    data: gr.Radio
    file: gr.File
    as_text: gr.Checkbox
    limit: gr.Slider
    seed: gr.Slider
    evaluate: gr.Button
    stop: gr.Button
    problems: Mapping[str, gr.HTML]

    @property
    def asked(self) -> list[Any]:
        """What `read` takes."""
        own = [self.data, self.file, self.as_text]
        return [self.model, self.formats, *own, self.limit, self.seed]

    @property
    def named(self) -> Named:
        """What an address carries, by name."""
        names = ("model", "formats", "data", "limit", "seed")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Asked:
    """What the controls ask for, not yet checked."""

    model: Any
    formats: Any
    data: str | Path
    limit: int
    seed: int
    as_text: bool

    @classmethod
    def read(cls, values: Sequence[Any]) -> Asked:
        """The values of `Controls.asked`.

        Raises:
            InputError: one's own file is chosen, and there is none; or a number is none.
        """
        model, formats, data, file, as_text, limit, seed = values
        found = _file(file) if data == _OWN else HELD_OUT
        counts = whole(limit, "limit"), whole(seed, "seed")
        return cls(model, formats, found, *counts, data == _OWN and bool(as_text))

    @property
    def can_be_asked_again(self) -> bool:
        """Whether an address can carry it: a file that one has, it can't."""
        return self.data == HELD_OUT


def _file(payload: Any) -> Path:
    """The file that was uploaded.

    Raises:
        InputError: there is none.
    """
    if not payload:
        raise InputError("data", say("there is no file; upload one, or take the held-out items"))
    try:
        return uploaded(payload[0] if isinstance(payload, list) else payload)
    except InputError:
        raise InputError("data", say("expected a file that was uploaded")) from None


def build(model: str) -> Controls:
    """Lay them out; the caller is inside a Blocks."""
    problems = dict[str, gr.HTML]()

    def problem(name: str) -> None:
        problems[name] = parts.problem(name)

    with gr.Row(equal_height=False, elem_id="controls"):
        with gr.Column(scale=3, min_width=250):
            chosen = gr.Dropdown(
                model_choices(), value=model, label=say("Model"), elem_id="model", filterable=False
            )
            problem("model")
            with gr.Accordion(say("More: own formats, seed"), open=False, elem_id="more"):
                seed = gr.Slider(
                    0, 99, 0, step=1, label=say("Seed of the order of items"), elem_id="seed"
                )
                composer = own_format.build(model)
        with gr.Column(scale=4, min_width=230):
            data, file, as_text = _data(model)
            problem("data")
        with gr.Column(scale=6, min_width=300):
            formats = gr.CheckboxGroup(
                list(own_format.FORMATS), value=list(TICKED), elem_id="formats",
                label=say("Formats, beside fp32, the reference"),
            )  # fmt: skip
            problem("formats")
        with gr.Column(scale=3, min_width=200):
            limit = gr.Slider(
                FEWEST, most(HELD_OUT, model), USUAL, step=STEP, label=say("Items"),
                elem_id="limit",
            )  # fmt: skip
            problem("limit")
        with gr.Column(scale=2, min_width=130), gr.Row(elem_id="run"):
            evaluate = gr.Button(say("Evaluate"), variant="primary", elem_id="evaluate", size="lg")
            stop = gr.Button(say("Stop"), interactive=False, elem_id="stop", size="lg")
    controls = Controls(chosen, formats, data, file, as_text, limit, seed, evaluate, stop, problems)
    own_edit.connect(composer, chosen, formats, problems["formats"])
    _follow(controls)
    return controls


def _data(model: str) -> tuple[gr.Radio, gr.File, gr.Checkbox]:
    """Where items come from; what is only for one's own file is unseen until that is chosen."""
    data = gr.Radio(
        [(say("held-out items"), HELD_OUT), (say("a file of your own"), _OWN)],
        value=HELD_OUT, label=say("Inputs"), elem_id="data",
    )  # fmt: skip
    told = say("txt: an item a line; jsonl or csv: input and, if known, expected; zip: pictures")
    file = gr.File(
        label=told, file_types=_FILES, elem_id="data-file", visible=False, height=110,
        interactive=True,
    )  # fmt: skip
    as_text = gr.Checkbox(
        False, label=say("score it as one text"), container=False, visible=False, elem_id="as-text"
    )
    return data, file, as_text


def _follow(controls: Controls) -> None:
    """Have what is seen follow what is chosen; what was wrong with that is said no longer."""
    chosen = [controls.data, controls.model, controls.limit]
    shown = [controls.file, controls.as_text, controls.limit]
    for part in (controls.data, controls.model):
        part.change(_followed, chosen, shown, preprocess=False, **parts.QUICK)
    for name in ("model", "data", "limit"):
        part, line = getattr(controls, name), controls.problems[name]
        part.input(None, None, line, js="() => ''", **parts.QUICK)


def _followed(data: str, model: str, limit: Any) -> list[Any]:
    is_own, end = data == _OWN, most(data, model)
    try:
        value = min(whole(limit, "limit"), end)
    except InputError:
        value = USUAL
    return [
        gr.update(visible=is_own),
        gr.update(visible=is_own and "score" in ways(model)),
        gr.update(maximum=end, value=value),
    ]


def most(data: str, model: str) -> int:
    """How many items may be asked for: as many as the model's own are, or as are allowed here."""
    allowed = max(FEWEST, SETTINGS.most_items)
    if data == _OWN:
        return allowed
    try:
        return max(FEWEST, min(allowed, held_out(parse_model(model)).data.total))
    except InputError:  # it has none, which is said when they are asked for
        return allowed


def whole(number: Any, field: str) -> int:
    """A whole number that a control has sent.

    Raises:
        InputError: it is none.
    """
    try:
        return int(number)
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            field, say("{field} is {found}, no number", field=field, found=short(number))
        ) from None


def wrong(controls: Controls, error: InputError | None = None) -> Updates:
    """Each control's line: empty, but for the one that something is wrong with."""
    field = error.field if error and error.field in controls.problems else "data"
    return {
        line: parts.problem_html(str(error) if error and field == name else "")
        for name, line in controls.problems.items()
    }


def busy(controls: Controls, is_busy: bool) -> Updates:
    """Whether one can begin, or stop."""
    return {
        controls.evaluate: gr.update(interactive=not is_busy),
        controls.stop: gr.update(interactive=is_busy),
    }
