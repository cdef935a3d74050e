"""A mix of formats: what each part of a model is held in, chosen for a target, as one variant."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from qdemo.spec.messages import say
from qdemo.spec.sensitivity import By, Kl
from qdemo.spec.step import Step
from qdemo.spec.variant import LONGEST, Variant

ITEMS = 64
"""Calibration items that a mix is chosen by, where nobody says how many."""

Kind = Literal["mb", "bits", "kl"]

UNITS: dict[Kind, str] = {"mb": "MB", "bits": "bits a weight", "kl": "nats of KL"}
"""What a target may be given in; 1 MB is 1,000,000 bytes, and KL is from fp32, a position."""


@dataclass(frozen=True)
class Target:
    """At most `value` MB of the whole model, bits a weight of what is mixed, or KL.

    >>> Target("mb", 3.5).unit
    'MB'

    Raises:
        ValueError: it is no positive number.
    """

    kind: Kind
    value: float

    def __post_init__(self) -> None:
        """Refuse what can't be reached, whatever is tried."""
        if not (self.value > 0 and math.isfinite(self.value)):
            raise ValueError(say("the target is {value}, expected a number above 0",
                                 value=self.value))  # fmt: skip

    @property
    def unit(self) -> str:
        """What it is given in."""
        kind = self.kind
        return say(UNITS[kind])


@dataclass(frozen=True)
class Sized:
    """A format, the bytes of the whole model in it, bits a weight of what is mixed, and KL from
    fp32 on calibration items."""

    format: str
    bytes: int
    bits_per_weight: float
    kl: Kl


@dataclass(frozen=True)
class Chosen:
    """A part of the model, the `modules` that exceptions name for it, and its format."""

    name: str
    modules: tuple[str, ...]
    format: str


@dataclass(frozen=True)
class Mix:
    """The mix that was found for a target, and the formats that it is of, each alone (`plain`). KL
    is of so many calibration `items` with so many `positions`, which the mix was chosen by: what it
    does to other inputs is for held-out items to say. `tries` mixes were measured."""

    model: str
    target: Target
    by: By
    items: int
    positions: int
    found: Sized
    plain: tuple[Sized, ...]
    parts: tuple[Chosen, ...]
    tries: int


def variant_of(
    steps: Mapping[str, Step],
    embeddings: bool = False,
    inner: bool = True,
    apart: Iterable[str] = (),
) -> Variant:
    """The variant in which each module has its step, in few words: the most frequent one is the
    default, and what is the same below one module is said once, at that module, where `inner`. None
    that has one of the modules `apart` below it is named.

    >>> low, high = Step.parse("int4"), Step.parse("int8")
    >>> str(variant_of({"a.0.q": low, "a.0.k": high, "a.1.q": high, "a.1.k": high, "b.q": low,
    ...                 "b.k": low}))
    'int4~a.0.q=int4~a=int8'

    Raises:
        ValueError: it is too long for a text.
    """
    counts = Counter(step for step in steps.values() if step.scheme is not None)
    if not counts:
        return Variant()
    default = counts.most_common(1)[0][0]
    exceptions = _Names.of(steps, inner, apart).below("", default)[1]
    length = len(str(default)) + sum(len(name) + len(str(step)) + 2 for name, step in exceptions)
    if length + len("+emb") > LONGEST:
        raise ValueError(
            say(
                "the mix takes {count:,} characters, of which {longest:,} are read; have blocks "
                "mixed and not layers (by block)",
                count=length,
                longest=LONGEST,
            )
        )
    return Variant(default, tuple(exceptions), embeddings)


_Said = tuple[int, list[tuple[str, Step]]]


@dataclass(frozen=True, eq=False)
class _Names:
    """The tree of names: what lies right below each, the steps of the last ones, and whether an
    exception may name another."""

    children: Mapping[str, tuple[str, ...]]
    steps: Mapping[str, Step]
    named: Callable[[str], bool]
    known: dict[tuple[str, Step], _Said] = field(default_factory=dict)

    @classmethod
    def of(cls, steps: Mapping[str, Step], inner: bool, apart: Iterable[str]) -> _Names:
        children: dict[str, dict[str, None]] = {}
        for name in steps:
            while name:
                above = name.rpartition(".")[0]
                children.setdefault(above, {})[name] = None
                name = above
        barred = {name[:end] for name in apart for end in _dots(name)}
        below = {name: tuple(own) for name, own in children.items()}
        return cls(below, steps, lambda name: inner and name not in barred)

    def below(self, name: str, step: Step) -> _Said:
        """The fewest characters, and the exceptions, that say all below a module that is `step`;
        what lies deeper is said before."""
        if (name, step) not in self.known:
            found = [self._at(child, step) for child in self.children.get(name, ())]
            said = [one for _, own in found for one in own]
            self.known[name, step] = sum(length for length, _ in found), said
        return self.known[name, step]

    def _at(self, name: str, step: Step) -> _Said:
        """The same of a module and what lies below it, in one that is `step`."""
        own = self.steps.get(name)
        if own is not None:
            wanted = [own]
        else:
            others = sorted(self._steps_below(name) - {step}, key=str)
            wanted = [step, *others] if self.named(name) else [step]
        return min((self._as(name, step, one) for one in wanted), key=lambda said: said[0])

    def _as(self, name: str, step: Step, own: Step) -> _Said:
        length, said = self.below(name, own)
        if own == step:
            return length, said
        return length + len(name) + len(str(own)) + 2, [*said, (name, own)]

    def _steps_below(self, name: str) -> set[Step]:
        return {step for other, step in self.steps.items() if other.startswith(f"{name}.")}


def _dots(name: str) -> list[int]:
    """Where the names of the modules above one end."""
    return [place for place, character in enumerate(name) if character == "."]
