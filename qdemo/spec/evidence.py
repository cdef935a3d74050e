"""What a model makes of many inputs in several formats, item by item; what that comes to is in
`qdemo.spec.judging`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from qdemo.spec.messages import say
from qdemo.spec.setting import Machine

Kind = Literal["items", "text"]
"""Items that are answered; or one text, whose windows a language model is scored on."""


@dataclass(frozen=True)
class Item:
    """One input: a prompt, the name of a picture, or a window of a text; its right answer where one
    is known; and the task that it is of, where there are several."""

    input: str
    expected: str | None = None
    task: str = ""


@dataclass(frozen=True)
class Outcome:
    """What a format made of an item.

    `output` is its own answer, None where its logits were not finite. `kl` is KL(P_ref ‖ P) in
    nats, the mean over the `positions` of fp32's answer, with that answer forced on both, infinite
    where a logit is; `same` counts the positions with the same most likely token. Of a text `loss`
    is the mean of −log p over the tokens scored, and there is no answer.
    """

    output: str | None
    kl: float
    same: int
    positions: int
    loss: float | None = None


@dataclass(frozen=True)
class Judged:
    """One format: the bytes that it holds, and what it made of the first items; of fewer than
    there are where it `ended` early, for the reason that this says.

    `output_error` is that of layers on calibration inputs, which are none of the items. `seconds`
    are those of all answers and scores together.
    """

    format: str
    bytes: int
    bits_per_weight: float | None = None
    output_error: float | None = None
    outcomes: tuple[Outcome, ...] = ()
    seconds: float = 0.0
    ended: str = ""

    def going_on(self, outcomes: tuple[Outcome, ...], seconds: float) -> Judged:
        """With what came next."""
        every = self.outcomes + outcomes
        return replace(self, outcomes=every, seconds=self.seconds + seconds)


@dataclass(frozen=True)
class Data:
    """Where items come from: `heldout`, those that an embedded model is judged by, or the `name` of
    a file. `total` are all that it has, and `digest` (SHA-256, hex) tells them from others."""

    name: str
    kind: Kind
    total: int
    digest: str

    @property
    def is_held_out(self) -> bool:
        """Whether they are the model's own."""
        return self.name == HELD_OUT


HELD_OUT = "heldout"


@dataclass(frozen=True)
class Evidence:
    """Everything of one evaluation: `items` in an order drawn by `seed`, so that those which come
    first are a fair sample of all; a format after the other, fp32 first.

    `batch` items are computed at once. `computed` is when, in UTC.
    """

    model: str
    data: Data
    items: tuple[Item, ...]
    seed: int
    batch: int
    max_tokens: int
    machine: Machine
    judged: tuple[Judged, ...] = ()
    computed: str = ""

    @property
    def reference(self) -> Judged | None:
        """fp32, once it has begun."""
        return self.judged[0] if self.judged else None

    @cached_property
    def tasks(self) -> tuple[str, ...]:
        """Their names in the order of letters; none where no item has one."""
        return tuple(sorted({item.task for item in self.items} - {""}))

    @cached_property
    def has_answers(self) -> bool:
        """Whether it is known of every item what is right."""
        return bool(self.items) and all(item.expected is not None for item in self.items)

    def format_named(self, format: str) -> Judged:
        """What became of that format.

        Raises:
            ValueError: it is none of those judged.
        """
        found = next((one for one in self.judged if one.format == format), None)
        if found is None:
            names = ", ".join(one.format for one in self.judged)
            raise ValueError(
                say("{format!r} was not evaluated; {names} were", format=format[:60], names=names)
            )
        return found

    def with_judged(self, judged: Judged) -> Evidence:
        """The same with that format, in the place of what was known of it."""
        names = [one.format for one in self.judged]
        if judged.format not in names:
            return replace(self, judged=(*self.judged, judged))
        at = names.index(judged.format)
        return replace(self, judged=(*self.judged[:at], judged, *self.judged[at + 1 :]))


def is_right(item: Item, outcome: Outcome) -> bool:
    """Whether an answer is the expected one, letter by letter; blanks at the ends don't count."""
    if item.expected is None or outcome.output is None:
        return False
    return outcome.output.strip() == item.expected.strip()
