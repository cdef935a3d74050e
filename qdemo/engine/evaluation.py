"""An evaluation as it is asked for, and as it is told: many inputs of one model, in several formats
beside fp32."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from qdemo.engine.asking import parse_model
from qdemo.engine.datasets import DataSet, chosen
from qdemo.spec.evidence import Evidence, Judged
from qdemo.spec.report import Making
from qdemo.spec.request import DEFAULT_TOKENS, parse_formats, parse_max_tokens
from qdemo.spec.variant import Variant

if TYPE_CHECKING:
    from qdemo.engine.trials import Trial


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What is asked for, checked: `data` has the items in the order drawn by `seed`. Of a text,
    which is one item, at most `limit` windows are scored."""

    model: str
    variants: tuple[Variant, ...]
    data: DataSet
    limit: int | None = None
    seed: int = 0
    max_tokens: int = DEFAULT_TOKENS

    @property
    def formats(self) -> tuple[str, ...]:
        """Each as text; fp32, beside which all are judged, comes first."""
        return tuple(map(str, self.variants))

    @property
    def asked(self) -> str:
        """What outcomes depend on beside their format and the model's weights. Those of a smaller
        limit are the first of a larger one's."""
        kind, digest = self.data.data.kind, self.data.data.digest[:16]
        return f"{self.model} {kind} {digest} {self.seed} {self.max_tokens}"


@dataclass(frozen=True)
class Progress:
    """How far an evaluation is: `done` of `total` items over all formats, the one under way last;
    the seconds that are likely left, None before anything is known of that; and whether it lets a
    comparison go first. `making`: what is told while the format is made."""

    evidence: Evidence
    format: str
    done: int
    total: int
    seconds_left: float | None = None
    making: Making | None = None
    yielding: bool = False
    finished: bool = False

    def after(self, step: Making | Trial, seconds_left: float | None) -> Progress:
        """What is known after that."""
        if isinstance(step, Making):
            return replace(self, making=step)
        return self._with(step, seconds_left)

    def _with(self, trial: Trial, seconds_left: float | None) -> Progress:
        found = trial.judged
        if trial.start:
            before = self.evidence.format_named(found.format)
            found = before.going_on(found.outcomes, found.seconds)
        done = self.done + len(trial.judged.outcomes)
        evidence = self.evidence.with_judged(found)
        return replace(self, evidence=evidence, done=done, seconds_left=seconds_left, making=None)

    def failed(self, reason: str) -> Progress:
        """Nothing came of the format under way."""
        failed = Judged(self.format, 0, ended=reason)
        return replace(self, evidence=self.evidence.with_judged(failed), making=None)

    def ended(self, reason: str, formats: Iterable[str]) -> Progress:
        """The end of what was ended early: what came stays; of all that were asked for it is said
        which have not all, or nothing."""
        evidence = self.evidence
        known = {one.format: one for one in evidence.judged}
        for judged in (known.get(format, Judged(format, 0)) for format in formats):
            if len(judged.outcomes) < len(evidence.items) and not judged.ended:
                evidence = evidence.with_judged(replace(judged, ended=reason))
        return replace(self, evidence=evidence, making=None, yielding=False, finished=True)


def ask(
    model: object,
    formats: object,
    data: DataSet,
    limit: int | None = None,
    seed: int = 0,
    max_tokens: object = DEFAULT_TOKENS,
) -> Evaluation:
    """Check what came from outside.

    Raises:
        InputError: says in a sentence what is wrong.
    """
    entry = parse_model(model)
    variants = tuple(dict.fromkeys((Variant(), *parse_formats(formats))))
    items, most = chosen(data, limit, seed), parse_max_tokens(max_tokens)
    return Evaluation(entry.name, variants, items, limit, seed, most)
