"""What the stories show, computed: by models, by our own numerics, and read from a model's card."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable
from dataclasses import asdict

import torch
from PIL import Image

from qdemo import lab
from qdemo.engine.asking import ask, field_of
from qdemo.engine.engine import ENGINE
from qdemo.engine.first import libraries
from qdemo.engine.mending import Mended, mend
from qdemo.engine.turns import begun
from qdemo.lab import matrices
from qdemo.lab.by_hand import by_hand
from qdemo.models.availability import get_entry
from qdemo.models.pictures import gallery
from qdemo.numerics.casting import cast_tensor
from qdemo.spec.document import Json
from qdemo.spec.formats import FORMATS
from qdemo.spec.model_card import card_of
from qdemo.spec.proportion import Counted
from qdemo.spec.repair import Repair
from qdemo.spec.report import Finished, Report
from qdemo.spec.scheme import Scheme
from qdemo.spec.written import as_json
from qdemo.views.numbers import bounds
from qdemo.views.stories import CARD, FOUND, QUESTIONS, Accuracy, Answer, Numbers, Question

SIDE = 288
"""Pixels of the picture: it is never shown larger than twice that."""

OVERFLOW = (70_000.0, 1e-8)
"""Above what fp16 ends at, and below what it begins with."""


def compute() -> Json:
    """All of them, as the file has it."""
    libraries()
    reports = {key: report(question) for key, question in QUESTIONS.items()}
    one = next(iter(reports.values()))
    items, accuracy = of_card("t5-tiny", CARD)
    _, found = of_card("t5-tiny", FOUND)
    pictures, captions = of_card("blip-tiny", CARD)
    matrix, rows = outlier()
    return {
        "computed": one.computed,
        "processor": one.machine.processor,
        "answers": {key: [asdict(row) for row in answers(found)] for key, found in reports.items()},
        "outlier": [as_text(row) for row in rows],
        "matrix": matrix,
        "overflow": [as_text(row) for row in overflow()],
        "accuracy": [asdict(row) for row in accuracy],
        "found": [asdict(row) for row in found],
        "items": items,
        "captions": [asdict(row) for row in captions],
        "pictures": pictures,
        "picture": picture(QUESTIONS["breaks"].input),
        "repair": as_json(repair(QUESTIONS["hurts"])),
    }


def report(question: Question) -> Report:
    """What comes out for it."""
    entry = get_entry(question.model)
    ENGINE.loaded(entry)
    given = {field_of(entry).name: question.input}
    asked = ask(question.model, question.formats, given, question.max_tokens, fresh=True)
    *_, last = ENGINE.run(asked)
    assert isinstance(last, Finished)
    return last.report


def repair(question: Question) -> Repair:
    """The smallest of what the first format answers."""
    entry = get_entry(question.model)
    given = {field_of(entry).name: question.input}
    asked = ask(question.model, question.formats, given, question.max_tokens)
    with begun() as run:
        *_, last = mend(ENGINE, asked, question.formats[0], run)
    assert isinstance(last, Mended)
    return last.repair


def answers(found: Report) -> list[Answer]:
    """What is shown of it."""
    return [
        Answer(
            one.format, one.output, one.footprint.total,
            _whole(one.figures.get("first_divergent_token")),
        )
        for one in found.results
    ]  # fmt: skip


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def outlier() -> tuple[str, list[Numbers]]:
    """The first row of weights of the page on linear quantization, and what int4 makes of it alone,
    with an outlier, and with an outlier in groups of four."""
    row = matrices.read(lab.START)[:1]
    longer = matrices.with_outlier(row)
    ways = (("int4", row), ("int4", longer), ("int4-g4", longer))
    found = [(way, by_hand(w, Scheme.parse(way)).w_hat[0]) for way, w in ways]
    rows = [("fp32", row[0]), *found]
    zeros = [Numbers(way, tuple(w.tolist()), int((w == 0).sum())) for way, w in rows]
    return matrices.write(longer), zeros


def overflow() -> list[Numbers]:
    """Two numbers as each float format has them, and the largest that it has."""
    x = torch.tensor(OVERFLOW)
    return [
        Numbers(name, tuple(cast_tensor(x, name).tolist()), FORMATS[name].max)
        for name in ("fp32", "fp16", "bf16")
    ]


def as_text(row: Numbers) -> Json:
    """With its numbers as text: JSON has no infinity."""
    values = [repr(value) for value in row.values]
    return {"format": row.format, "values": values, "measured": repr(float(row.measured))}


def of_card(model: str, formats: Iterable[str]) -> tuple[int, list[Accuracy]]:
    """How many questions were held out, and the accuracy over all of them, of the model's card."""
    card = card_of(model)
    assert card
    return card.counts[CARD[0]].total, [_accuracy(name, card.counts[name]) for name in formats]


def _accuracy(name: str, count: Counted) -> Accuracy:
    low, high = bounds(*count.interval, decimals=1)
    return Accuracy(name, float(f"{100 * count.share:.1f}"), float(low), float(high))


def picture(name: str) -> str:
    """It as a data URI, smaller."""
    image = (
        Image.open(gallery()[name]).convert("RGB").resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    )
    file = io.BytesIO()
    image.save(file, "WEBP", quality=80, method=6)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def written(found: Json) -> str:
    """The text of the file."""
    return json.dumps(found, ensure_ascii=False, indent=1) + "\n"
