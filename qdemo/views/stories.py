"""The stories: prepared comparisons in the order of a talk, each a guess first and then the answer.

What they show was computed earlier and lies in a file, `python -m assets.examples` writes it; what
is said of it has its numbers from there. So they run to their end where there is no server.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

from qdemo.spec.repair import Repair
from qdemo.spec.request import DEFAULT_TOKENS, as_query
from qdemo.spec.written import from_text
from qdemo.views.axes import power
from qdemo.views.colours import colour
from qdemo.views.numbers import megabytes, significant
from qdemo.views.templates import ASSETS
from qdemo.views.wording import differing_words, ended

FILE = ASSETS / "examples" / "stories.json"
PARIS = "Tell me about the capital of France."
SORT = "Sort these words: pig, onion, river, wolf"
_LONGEST = 56
"""Characters of an answer on the stage: two lines of it, readable from the last row."""


@dataclass(frozen=True)
class Question:
    """A comparison that is asked for: fp32 runs beside the formats."""

    model: str
    input: str
    formats: tuple[str, ...]
    max_tokens: int = DEFAULT_TOKENS

    @property
    def address(self) -> str:
        """What has the Compare page run it."""
        return "./#" + as_query(self.model, self.formats, self.input, self.max_tokens)


QUESTIONS = {
    "agree": Question("t5-tiny", SORT, ("fp16", "bf16", "int8")),
    "slips": Question("t5-tiny", SORT, ("int8", "int3")),
    "breaks": Question("blip-tiny", "gallery:a-cat-on-a-couch-in-a-room", ("int4", "int3", "int2")),
    "smaller": Question("t5-tiny", "Translate to German: Tuesday", ("int8", "int8+emb")),
    "groups": Question("t5-tiny", SORT, ("int3", "int3-g64")),
    "speaks": Question("t5-tiny", SORT, ("int2", "int2-mse", "int2-g64-affine-mse-gptq")),
    "hurts": Question(
        "t5-tiny", SORT,
        ("int2-g64-mse", "int2-g64-mse~encoder.block.0.layer.0.SelfAttention.o=fp32"),
    ),
    "thread": Question(
        "smollm2-135m", PARIS,
        ("int8+emb", "int4-g64+emb", "int4+emb", "int3+emb"), max_tokens=24,
    ),
}  # fmt: skip
"""Those of the stories that a model answers, by the story's key."""

CARD = ("fp32", "int8", "int4", "int3", "int2")
FOUND = ("int2-mse", "int2-g64-affine-mse-gptq")
"""The formats whose accuracy is told, of those in the model's card: plain ones, and two bits as
methods find them."""


@dataclass(frozen=True)
class Answer:
    """What a format answered, and the bytes that it holds."""

    format: str
    output: str
    bytes: int
    diverges: int | None


@dataclass(frozen=True)
class Numbers:
    """A row of numbers as a format, or a way to quantize, has them; `format` gives the colour.

    `measured` is what is told beside them: how many became zero, or the largest that there is.
    """

    format: str
    values: tuple[float, ...]
    measured: float


@dataclass(frozen=True)
class Accuracy:
    """Of held-out questions, the share in per cent that was answered right, and its interval."""

    format: str
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Kept:
    """All that was computed: by the story's key, on `processor`, at the time `computed`.

    `matrix` is the row of weights as the page on linear quantization takes it, `found` the accuracy
    of what methods find. `items` is how many questions were held out, `pictures` how many pictures,
    whose `captions` were right. `picture` is the one that is shown, as a data URI. `repair` is the
    smallest of what the first format of the story "hurts" answers.
    """

    computed: str
    processor: str
    answers: Mapping[str, tuple[Answer, ...]]
    outlier: tuple[Numbers, ...]
    matrix: str
    overflow: tuple[Numbers, ...]
    accuracy: tuple[Accuracy, ...]
    found: tuple[Accuracy, ...]
    items: int
    captions: tuple[Accuracy, ...]
    pictures: int
    picture: str
    repair: Repair


@dataclass(frozen=True)
class Row:
    """A line on the stage: runs of text with whether they differ, or numbers a cell each; the one
    number beside them, and its bar, a share of the longest."""

    name: str
    colour: str
    words: tuple[tuple[str, bool], ...]
    number: str
    share: float


@dataclass(frozen=True)
class Shown:
    """What came out: rows under `heads`, of what was `asked`, a prompt or a picture.

    `address` is where it goes on in the page, `onward` says what is there.
    """

    rows: tuple[Row, ...]
    heads: tuple[str, str]
    address: str
    onward: str
    asked: str = ""
    picture: str = ""
    kind: Literal["words", "numbers"] = "words"


@dataclass(frozen=True)
class Story:
    """One of them, in words.

    `before` makes a guess possible, `answers` are what one may guess, `right` counts from 0.
    `after` is what came out, with `number`, the one that matters, and what that is in `unit`.
    """

    key: str
    title: str
    before: str
    question: str
    answers: tuple[str, ...]
    right: int
    shown: Shown
    after: str
    number: str
    unit: str

    @property
    def runs(self) -> bool:
        """Whether the Compare page can run it."""
        return self.key in QUESTIONS


@cache
def kept() -> Kept:
    """What the file has."""
    found = json.loads(FILE.read_text(encoding="utf-8"))
    return Kept(
        found["computed"],
        found["processor"],
        {key: tuple(Answer(**one) for one in rows) for key, rows in found["answers"].items()},
        _numbers(found["outlier"]),
        found["matrix"],
        _numbers(found["overflow"]),
        tuple(Accuracy(**one) for one in found["accuracy"]),
        tuple(Accuracy(**one) for one in found["found"]),
        found["items"],
        tuple(Accuracy(**one) for one in found["captions"]),
        found["pictures"],
        found["picture"],
        from_text(Repair, json.dumps(found["repair"])),
    )


def _numbers(rows: list[dict[str, str | list[str]]]) -> tuple[Numbers, ...]:
    """They are text in the file, as JSON has no infinity."""
    return tuple(
        Numbers(str(row["format"]), tuple(map(float, row["values"])), float(str(row["measured"])))
        for row in rows
    )


def rows(answers: tuple[Answer, ...]) -> tuple[Row, ...]:
    """The answers of a question, fp32's first, each with its bytes beside fp32's."""
    first = answers[0]
    said = ended(first.output, _LONGEST)
    return tuple(
        Row(
            one.format,
            colour(one.format),
            tuple(differing_words(said, ended(one.output, _LONGEST))),
            megabytes(one.bytes),
            one.bytes / first.bytes,
        )
        for one in answers
    )


def number(x: float) -> str:
    """To two digits, or whole.

    >>> [number(x) for x in (0.0, -1.126, 70144.0, 1.0012e-8, 3.4e38, math.inf)]
    ['0', '−1.1', '70,144', '1.0·10⁻⁸', '3.4·10³⁸', '∞']
    """
    if math.isinf(x):
        return "∞"
    text = f"{x:,.0f}" if x == 0 or 1000 <= abs(x) < 1e6 else significant(x, 2)
    if found := re.fullmatch(r"(.+)e([+-]\d+)", text):
        text = f"{found[1]}·{power(int(found[2]))}"
    return text.replace("-", "−")


def accuracy_of(found: tuple[Accuracy, ...], format: str) -> Accuracy:
    """That of a format."""
    return next(one for one in found if one.format == format)
