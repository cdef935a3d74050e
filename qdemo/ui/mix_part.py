"""A mix for a target: which format for which layer, on the Evidence page."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import cache
from typing import Any

import gradio as gr

from qdemo.engine.asking import parse_model
from qdemo.engine.engine import ENGINE
from qdemo.settings import SETTINGS
from qdemo.spec import mix, written
from qdemo.spec.decoding import short
from qdemo.spec.exports import Export
from qdemo.spec.messages import say
from qdemo.spec.mix import UNITS, Mix, Target
from qdemo.spec.request import InputError
from qdemo.spec.sensitivity import By
from qdemo.ui import parts
from qdemo.ui.layers_part import buttons, connect, given_for, noted, told_by, variant_of
from qdemo.views.mixes import mix_html
from qdemo.views.templates import ASSETS

FILE = ASSETS / "examples" / "mix.json"


@dataclass(frozen=True)
class Found:
    """A mix, and how other tools are told of it."""

    mix: Mix
    exports: tuple[Export, ...]

    @property
    def html(self) -> str:
        """As the page shows it."""
        return mix_html(self.mix, self.exports, given_for(self.mix.model))


@cache
def example() -> Found:
    """What the section begins with; `python -m assets.examples` computes it anew."""
    return read(FILE.read_text(encoding="utf-8"))


def read(text: str) -> Found:
    """Undo `as_text`."""
    found = json.loads(text)
    exports = tuple(Export(**one) for one in found.pop("exports"))
    return Found(written.from_text(Mix, json.dumps(found)), exports)


def as_text(found: Found) -> str:
    """A mix with its exports, as a file has it."""
    whole = {**written.as_json(found.mix), "exports": [vars(one) for one in found.exports]}
    return json.dumps(whole, allow_nan=False, ensure_ascii=False, indent=1) + "\n"


def build(model: gr.Dropdown) -> None:
    """Lay the section out and connect it; the caller is inside a Blocks."""
    found = example()
    parts.section(
        say("A mix for a target"),
        say(
            "Each layer in the format that takes most KL away for its bytes, found on calibration "
            "items. What it is worth, held-out items say."
        ),
    )
    with gr.Row(equal_height=False, elem_classes="choices"):
        formats = gr.Textbox(
            ",".join(one.format for one in found.mix.plain), label=say("Formats to mix"),
            elem_id="mix-formats", max_lines=1, max_length=500, min_width=260, scale=3,
        )  # fmt: skip
        value = gr.Textbox(
            f"{found.mix.target.value:g}", label=say("At most"), elem_id="mix-value", max_lines=1,
            max_length=20, min_width=90, scale=1,
        )  # fmt: skip
        kind = gr.Radio(
            [(Target(key, 1.0).unit, key) for key in UNITS], value=found.mix.target.kind,
            label=say("of"), elem_id="mix-kind", min_width=280, scale=2,
        )  # fmt: skip
        told = {"layer": say("layers"), "block": say("whole blocks")}
        by = gr.Radio(
            [(name, one) for one, name in told.items()], value=found.mix.by,
            label=say("Chosen for"), elem_id="mix-by", min_width=220, scale=2,
        )  # fmt: skip
        begin, stop = buttons(say("Search"), "mix")
    search = told_by(begin, stop, noted(_note(found.mix), found.html), "mix")
    connect(search, _mix, [model, formats, kind, value, by])


def _note(found: Mix) -> str:
    """That the first mix was computed earlier, and on how many items; a search takes fewer."""
    return say(
        "Computed earlier, on {items} calibration items. Press Search for your own, on {own}.",
        items=found.items,
        own=mix.ITEMS,
    )


def _mix(
    model: Any, formats: Any, kind: Any, value: Any, by: Any
) -> tuple[str, Callable[[], Generator[Any]], Callable[[Any], str]]:
    entry = parse_model(model)
    variants = [variant_of(text) for text in str(formats).replace(" ", "").split(",") if text]
    target = _target(kind, value)
    part: By = "block" if by == "block" else "layer"

    def steps() -> Generator[Any]:
        from qdemo.engine.layerwise import exports_of, mix_of

        asked = (ENGINE, entry.name, variants, target, part, mix.ITEMS, SETTINGS.method_s)
        for told in mix_of(*asked):
            yield told
            if isinstance(told, Mix):
                yield Found(told, exports_of(ENGINE, entry.name, variant_of(told.found.format)))

    return entry.name, steps, lambda found: found.html


def _target(kind: Any, value: Any) -> Target:
    """What a mix may take at most.

    Raises:
        InputError: it is no number above 0.
    """
    try:
        if kind not in UNITS:
            raise ValueError(say("expected one of {names}", names=", ".join(UNITS)))
        return Target(kind, _number(str(value)))
    except ValueError as error:
        raise InputError("target", str(error)) from None


def _number(text: str) -> float:
    """A number that was typed.

    Raises:
        ValueError: it is none.
    """
    try:
        return float(text)
    except ValueError:
        raise ValueError(
            say("“At most” is {found}; type a number, such as 3.5", found=short(text))
        ) from None
