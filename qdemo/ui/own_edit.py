"""What a click in the composer changes, or a text that is typed; and how it is added and ticked.

A person is faster than answers: none of them undoes what was clicked or typed after it was asked
for (`parts.on_untouched`), and what is ticked is changed by the page's own script.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import gradio as gr

from qdemo.spec.composing import Edit, Parts
from qdemo.spec.families import stored
from qdemo.spec.messages import say
from qdemo.spec.request import MAX_FORMATS
from qdemo.ui import parts
from qdemo.ui.own_format import FORMATS, Composer, describe, read, shown


@dataclass(frozen=True, eq=False)
class Stood:
    """What the controls stood for when they were last answered, and what was typed when one of them
    was last touched, which the page's script writes down at once."""

    parts: gr.Textbox
    base: gr.Textbox

    def after(self, found: Parts, text: str) -> dict[Any, Any]:
        """They stand for something else."""
        return {self.parts: json.dumps(vars(found)), self.base: text}


def connect(
    composer: Composer, model: gr.Dropdown, formats: gr.CheckboxGroup, problem: gr.HTML
) -> None:
    """What is chosen shows what else fits, and what comes of it; the button adds it, ticked."""
    first = Parts()
    stood = Stood(
        parts.unseen("own-stood", json.dumps(vars(first))), parts.unseen("own-base", first.text)
    )
    controls = [composer.family, *composer.parts.values()]
    # Not the text's change, which is ours too; the first of its two may not see a paste.
    whens = [*(part.input for part in (model, *controls)), composer.text.input, composer.text.blur]
    edit, aside = [composer.text, *controls], [stood.parts, stood.base]
    parts.on_untouched(
        whens, partial(edited, composer, stood), [model, *edit],
        [*composer.components, *aside], "own-edited", aside,
    )  # fmt: skip
    many = parts.problem_html(_too_many())
    at_most = f"qdemo.atMost({json.dumps([MAX_FORMATS, many])[1:-1]})"
    formats.input(None, formats, [formats, problem], js=at_most, **parts.QUICK)
    added, ticks = parts.unseen("own-added"), [formats, composer.problem, problem]
    gr.on(
        [composer.add.click, composer.text.submit], partial(add, composer), [*edit, *aside], added,
        preprocess=False, **parts.QUICK | {"trigger_mode": "multiple"},
    ).then(
        None, [added, formats], ticks, **parts.QUICK,
        js=f"qdemo.added({json.dumps([FORMATS, MAX_FORMATS, many])[1:-1]})",
    )  # fmt: skip


def edited(composer: Composer, stood: Stood, model: str, *values: Any) -> dict[Any, Any]:
    """What was clicked or typed changes: what else is offered, the text, and what is told of it."""
    edit = _edit(composer, *values)
    if edit.is_typed:
        return _typed(composer, stood, model, edit)
    found = edit.meant
    return {
        **shown(composer, found),
        **stood.after(found, found.text),
        composer.text: found.text,
        composer.told: describe(found.variant, model),
        composer.problem: "",
    }


def add(composer: Composer, *values: Any) -> str:
    """The format that is to be ticked, for the page's script; or what is wrong with it."""
    try:
        text = str(read(_edit(composer, *values).wanted))
    except ValueError as error:
        return json.dumps({"text": "", "problem": parts.problem_html(str(error))})
    return json.dumps({"text": "" if text == "fp32" else text, "problem": ""})


def _edit(composer: Composer, text: str, family: str, *values: Any) -> Edit:
    *chosen, stood, base = values
    now = Parts(**dict(zip(composer.parts, chosen, strict=True)))
    names = stored(family)
    if now.stored not in names:  # another family was chosen
        now = replace(now, stored="int4" if "int4" in names else names[0])
    return Edit(Parts(**json.loads(stood)), base, now, text)


def _typed(composer: Composer, stood: Stood, model: str, edit: Edit) -> dict[Any, Any]:
    """The controls follow what is typed, as far as they can say it."""
    try:
        variant = read(edit.text)
    except ValueError as error:
        return {composer.told: "", composer.problem: parts.problem_html(str(error))}
    found = Parts.of(variant)
    return {
        **(shown(composer, found) if found else {}),
        **stood.after(found or edit.parts, edit.text),
        composer.told: describe(variant, model),
        composer.problem: "",
    }


def _too_many() -> str:
    return say("At most {most} formats at a time; untick one to add another.", most=MAX_FORMATS)
