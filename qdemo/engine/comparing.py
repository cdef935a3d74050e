"""One reference and its variants, run one after the other, told as events."""

from __future__ import annotations

import logging
import platform
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from qdemo.compress.footprint import coverage
from qdemo.engine import devices
from qdemo.engine.answering import Question, check_finite
from qdemo.engine.making import plainly
from qdemo.measure import figures, measures
from qdemo.measure.logits import likeliest
from qdemo.measure.measure import Found, Inputs, Ran, finite, found, joined
from qdemo.measure.step import look_into
from qdemo.models.families import Prompt
from qdemo.models.families.base import device_of
from qdemo.models.loading import Loaded
from qdemo.spec.decoding import GREEDY, Decoding
from qdemo.spec.messages import say
from qdemo.spec.report import (
    Done,
    Event,
    Failed,
    Finished,
    Making,
    Report,
    Started,
    Trial,
)
from qdemo.spec.request import FEWEST_TIMED
from qdemo.spec.setting import Calibration, Machine
from qdemo.spec.variant import Variant

REFERENCE = Variant()
"""What everything is compared with: the model in fp32."""

TOP = 5

_LOGGER = logging.getLogger("qdemo")

Made = Generator[Making, None, nn.Module]
"""A variant's model at the end of what is told while it is made."""


@dataclass(frozen=True)
class Known:
    """What earlier comparisons left of the same model and input: results by format, with the
    reference's logits; and, by format, what does not depend on the input."""

    trials: Mapping[str, Trial] = field(default_factory=dict)
    logits: NDArray[np.float32] | None = None
    per_model: Mapping[str, Found] = field(default_factory=dict)


def compare(
    loaded: Loaded,
    prompt: Prompt,
    variants: Iterable[Variant],
    max_tokens: int = 64,
    known: Known | None = None,
    inputs: Callable[[], Inputs] = dict,
    made: Callable[[Variant], Made] | None = None,
    calibration: Calibration | None = None,
    decoding: Decoding = GREEDY,
) -> Generator[Event]:
    """Run the reference, then each variant, one alive at a time; closing the generator stops it.

    The reference runs whether it is named or not. Without it there is nothing to compare with:
    when it fails, nothing else is run. What is `known` is not run again. `made` makes the variants;
    without it they are built, as far as that needs no statistics of layers' inputs. `calibration`
    says which inputs those, and `inputs`, are of; `decoding` how tokens are chosen.

    Raises:
        ValueError: `max_tokens` is below 1.
    """
    if max_tokens < 1:
        raise ValueError(say("max_tokens is {found}, expected at least 1", found=max_tokens))
    made = made or partial(plainly, loaded.model)
    asked = Question(loaded.family, prompt, max_tokens, decoding)
    comparison = _Comparison(loaded, asked, known or Known(), inputs, made)
    report = replace(_planned(comparison, variants), calibration=calibration)
    yield Started(report)
    for name in report.formats:
        event: Done | Failed
        try:
            kept = comparison.kept(name)
            event = Done(kept, kept=True) if kept else (yield from comparison.run(name))
        except Exception as error:
            event = Failed(name, reason(name, error))
        report = report.after(event)
        yield event
        if comparison.reference is None:
            break
    yield Finished(replace(report, finished=True, computed=now()))


def reason(name: str, error: Exception) -> str:
    """Why a variant failed, in words for people; what is no one's plan is told to the log."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate" in str(error):
        return say("there is not enough memory free for this format")
    if isinstance(error, ValueError | ArithmeticError) and _is_sentence(str(error)):
        return str(error)
    if isinstance(error, RuntimeError) and "dtype" in str(error) and "=" in name:
        return say("parts that are multiplied with each other would be in two formats")
    _LOGGER.error("a format failed", exc_info=error)
    return say("the model broke off ({error}); the log has the rest", error=type(error).__name__)


def _is_sentence(text: str) -> bool:
    """Not the long story of a library."""
    return 0 < len(text) < 300 and "\n" not in text


def _planned(comparison: _Comparison, variants: Iterable[Variant]) -> Report:
    loaded, asked = comparison.loaded, comparison.asked
    kept = comparison.known.trials.get(str(REFERENCE))
    return Report(
        model=loaded.entry.name,
        input=asked.prompt.shown,
        max_tokens=asked.max_tokens,
        formats=tuple(dict.fromkeys(map(str, [REFERENCE, *variants]))),
        figures=figures(comparison.is_scored),
        read=asked.prompt.read,
        kept_wide=loaded.kept_wide,
        machine=machine(kept.device if kept else devices.described(comparison.device)),
        decoding=asked.decoding,
        cache=loaded.family.cache,
    )


def machine(device: str) -> Machine:
    """What computes, with the threads of whoever asks."""
    return Machine(
        processor=devices.processor(),
        threads=torch.get_num_threads(),
        python=platform.python_version(),
        torch=version("torch"),
        transformers=version("transformers"),
        device=device,
    )


def now() -> str:
    """The time, as reports have it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(eq=False)
class _Comparison:
    """What is compared, and the reference once it has run."""

    loaded: Loaded
    asked: Question
    known: Known
    inputs: Callable[[], Inputs]
    made: Callable[[Variant], Made]
    reference: Ran | None = None

    @property
    def is_scored(self) -> bool:
        """Whether tokens are given, and none are answered."""
        return bool(self.asked.prompt.forced)

    @property
    def device(self) -> torch.device:
        """Where it is computed."""
        return device_of(self.loaded.model)

    def kept(self, name: str) -> Trial | None:
        """What an earlier comparison computed."""
        trial = self.known.trials.get(name)
        if trial is None or self.reference is not None:
            return trial
        if self.known.logits is None:  # without the reference's there is nothing to go on from
            return None
        logits = torch.from_numpy(self.known.logits).to(self.device)
        self.reference = Ran(REFERENCE, self.loaded.model, trial.tokens, (), logits)
        return trial

    def run(self, name: str) -> Generator[Event, None, Done]:
        """Run a format, and measure what it did."""
        variant = Variant.parse(name)
        is_reference = self.reference is None
        model = self.loaded.model if is_reference else (yield from self.made(variant))
        ran, trial = yield from self._ran(variant, model)
        measured = self._measured(name, ran)
        trial = replace(trial, figures=measured.figures, by_position=measured.by_position,
                        weights=measured.weights)  # fmt: skip
        if is_reference:
            self.reference = ran
        return Done(trial, logits=ran.logits.cpu().numpy() if is_reference else None)

    def _ran(self, variant: Variant, model: nn.Module) -> Generator[Event, None, tuple[Ran, Trial]]:
        asked = self.asked
        known = self.reference.tokens if self.reference else asked.prompt.forced
        scored = asked.score(variant, model, known) if known else None
        # On a CPU scoring, which comes before, has done as much.
        is_warm = scored is not None and self.device.type != "cuda"
        span = scored.span if scored else None
        answer = yield from asked.answer(variant, model, is_warm, span)
        scored = scored or asked.score(variant, model, answer.tokens)
        if self.reference is None:
            check_finite(scored.logits)
        step = None
        if len(answer.seconds) >= FEWEST_TIMED:
            reference = self.loaded.model
            step = look_into(model, scored.steps, self.device, reference, variant.compute)
        ran = Ran(variant, model, answer.tokens, answer.seconds, scored.logits, scored.span,
                  self.reference, self.inputs, step)  # fmt: skip
        return ran, Trial(
            format=str(variant),
            output=asked.text(answer.tokens),
            tokens=answer.tokens,
            pieces=tuple(asked.family.pieces(answer.tokens, asked.prompt.prefix)),
            footprint=ran.footprint,
            coverage=coverage(model, self.loaded.model, variant),
            top=self._top(scored.logits, known or answer.tokens),
            span=scored.span,
            computed=now(),
            device=devices.described(self.device),
            ways=devices.ways(self.device, model),
            ended=answer.ended,
        )

    def _measured(self, name: str, ran: Ran) -> Found:
        wanted = measures(self.is_scored)
        known = self.known.per_model.get(name)
        if known is None:
            known = found([one for one in wanted if one.per_model], ran)
        every = joined([known, found([one for one in wanted if not one.per_model], ran)])
        order = {figure.key: every.figures.get(figure.key) for figure in figures(self.is_scored)}
        return replace(every, figures=order)

    def _top(
        self, logits: Tensor, forced: tuple[int, ...]
    ) -> tuple[tuple[tuple[str, float | None], ...], ...]:
        shown, prefix = self.asked.family.alternatives, self.asked.prompt.prefix
        return tuple(
            tuple(zip(shown(prefix + forced[:at], tokens), map(finite, shares), strict=True))
            for at, (tokens, shares) in enumerate(likeliest(logits, TOP))
        )
