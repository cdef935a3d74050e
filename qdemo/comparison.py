"""One reference and its variants, run one after the other, told as events."""

from __future__ import annotations

import logging
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from qdemo.measure.logits import likeliest, logit_difference
from qdemo.measure.outputs import first_divergence
from qdemo.measure.overflow import Span, watching
from qdemo.measure.weights import WeightError, model_weight_errors
from qdemo.compress.convert import rebuild
from qdemo.compress.footprint import footprint
from qdemo.spec.variant import Variant
from qdemo.results import (
    Comparison,
    Done,
    Event,
    Failed,
    Finished,
    InputToken,
    Outcome,
    Result,
    Started,
    Written,
)

REFERENCE = Variant()
"""What everything is compared with: the model in fp32."""

WATCHED = ("fp16", "bf16")
"""What is looked into for numbers that went too far."""

TOP = 5

_LOGGER = logging.getLogger("qdemo")


class Runner(Protocol):
    """A loaded model with one input: what a comparison has to know of both."""

    @property
    def name(self) -> str:
        """The model's name."""

    @property
    def shown(self) -> str:
        """The input as a person would recognize it."""

    @property
    def model(self) -> nn.Module:
        """The model in fp32."""

    @property
    def read(self) -> tuple[InputToken, ...]:
        """The input's tokens as the model reads them; a picture has none."""

    @property
    def kept_wide(self) -> tuple[str, ...]:
        """The layers that the model's library would keep in fp32 when it loads it as fp16."""

    def generate(self, model: nn.Module, max_tokens: int) -> Iterator[int]:
        """The tokens that `model`, a variant of `self.model`, answers with."""

    def score(self, model: nn.Module, tokens: Sequence[int]) -> Tensor:
        """Logits (T, V) from which each of the T `tokens` would be chosen, all of them given."""

    def decode(self, tokens: Sequence[int]) -> str:
        """The tokens as text."""

    def pieces(self, tokens: Sequence[int]) -> list[str]:
        """Each token as it is written in the vocabulary."""


class Kept(Protocol):
    """What earlier comparisons left: outcomes of the same model and input, and what does not
    depend on the input."""

    def get(self, variant: Variant) -> Outcome | None:
        """What was kept of that variant; None where nothing was."""

    def put(self, variant: Variant, outcome: Outcome) -> None:
        """Keep it, or not."""

    def get_weights(self, variant: Variant) -> dict[str, WeightError] | None:
        """The errors of that variant's weights, by parameter."""

    def put_weights(self, variant: Variant, errors: dict[str, WeightError]) -> None:
        """Keep them, or not."""


class _Nothing:
    """Keeps nothing."""

    def get(self, variant: Variant) -> None:
        pass

    def put(self, variant: Variant, outcome: Outcome) -> None:
        pass

    get_weights = get

    def put_weights(self, variant: Variant, errors: dict[str, WeightError]) -> None:
        pass


def run(
    runner: Runner, variants: Iterable[Variant], max_tokens: int = 64, kept: Kept | None = None
) -> Generator[Event]:
    """Run the reference, then each variant, one alive at a time; closing the generator stops it.

    The reference runs whether it is named or not. Without it there is nothing to compare with:
    when it fails, nothing else is run. What `kept` has of the same model, input and `max_tokens`
    is not run again.

    Raises:
        ValueError: `max_tokens` is below 1.
    """
    if max_tokens < 1:
        raise ValueError(f"max_tokens is {max_tokens}, expected at least 1")
    kept = _Nothing() if kept is None else kept
    comparison = _planned(runner, variants, max_tokens)
    yield Started(comparison)
    reference: Outcome | None = None
    for variant in comparison.variants:
        outcome = kept.get(variant)
        try:
            event: Done | Failed
            if outcome is None:
                outcome = yield from _run(runner, variant, max_tokens, reference, kept)
                kept.put(variant, outcome)
                event = Done(outcome.result)
            else:
                event = Done(outcome.result, kept=True)
        except Exception as error:
            event = Failed(variant, _reason(error))
        else:
            reference = reference or outcome
        comparison = comparison.after(event)
        yield event
        if reference is None:
            break
    yield Finished(comparison)


def _reason(error: Exception) -> str:
    """Why a variant failed, in words for people; what is no one's plan is told to the log."""
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error):
        return "there is not enough memory free for this format"
    if isinstance(error, ValueError | ArithmeticError) and _is_sentence(str(error)):
        return str(error)
    _LOGGER.error("a format failed", exc_info=error)
    return f"the model broke off ({type(error).__name__}); the log has the rest"


def _is_sentence(text: str) -> bool:
    """Not the long story of a library."""
    return 0 < len(text) < 300 and "\n" not in text


def _planned(runner: Runner, variants: Iterable[Variant], max_tokens: int) -> Comparison:
    return Comparison(
        model=runner.name,
        shown=runner.shown,
        max_tokens=max_tokens,
        variants=tuple(dict.fromkeys([REFERENCE, *variants])),
        shapes={name: tuple(w.shape) for name, w in runner.model.named_parameters()},
        read=runner.read,
        kept_wide=runner.kept_wide,
    )


def _run(
    runner: Runner, variant: Variant, max_tokens: int, reference: Outcome | None, kept: Kept
) -> Generator[Event, None, Outcome]:
    model = runner.model if reference is None else variant.build(runner.model)
    span: Span | None = None
    # The first pass pays for pages and caches; no token's time should have that in it.
    if reference is None:
        next(runner.generate(model, 1))
    else:
        logits, span = _scored(runner, variant, model, reference.result.tokens)
    tokens: list[int] = []
    seconds: list[float] = []
    try:
        for token, took in _timed(runner.generate(model, max_tokens)):
            tokens.append(token)
            seconds.append(took)
            yield Written(variant, runner.decode(tokens))
    except ArithmeticError as error:
        raise ArithmeticError(f"{error}{_where(span)}") from None
    if reference is None:
        logits = runner.score(model, tokens)
    result = _alone(runner, variant, model, tokens, seconds, logits)
    if reference is None:
        return Outcome(result, logits)
    errors = kept.get_weights(variant)
    if errors is None:
        errors = dict(model_weight_errors(runner.model, model))
        kept.put_weights(variant, errors)
    return Outcome(replace(_beside(runner, result, reference, logits, errors), span=span))


def _scored(
    runner: Runner, variant: Variant, model: nn.Module, tokens: Sequence[int]
) -> tuple[Tensor, Span | None]:
    """The logits; and how far numbers go inside the model, where they may go too far."""
    if variant.compute not in WATCHED:
        return runner.score(model, tokens), None
    with watching(model) as seen:
        return runner.score(model, tokens), seen.span


def _where(span: Span | None) -> str:
    """Where numbers first went too far, as the end of a sentence."""
    first = None if span is None else span.overflow
    return "" if first is None else f"; first in what comes out of {first.module}"


def _timed(tokens: Iterator[int]) -> Iterator[tuple[int, float]]:
    """Each token with the seconds it took, the time that the listener takes left out."""
    while True:
        start = time.perf_counter()
        token = next(tokens, None)
        took = time.perf_counter() - start
        if token is None:
            return
        yield token, took


def _alone(
    runner: Runner,
    variant: Variant,
    model: nn.Module,
    tokens: list[int],
    seconds: list[float],
    logits: Tensor,
) -> Result:
    """What a variant did, without looking at the reference."""
    further = seconds[1:]
    return Result(
        variant=variant,
        tokens=tuple(tokens),
        pieces=tuple(runner.pieces(tokens)),
        text=runner.decode(tokens),
        first_token_s=seconds[0],
        token_ms=1000 * sum(further) / len(further) if further else None,
        footprint=footprint(model),
        top=_top(runner, logits),
        computed=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _beside(
    runner: Runner,
    result: Result,
    reference: Outcome,
    logits: Tensor,
    errors: dict[str, WeightError],
) -> Result:
    """The same with what separates it from the reference."""
    assert reference.logits is not None
    theirs = reference.result.tokens
    index = first_divergence(theirs, result.tokens)
    return replace(
        result,
        logits=logit_difference(reference.logits, logits, torch.tensor(theirs)),
        divergence=None if index is None else index + 1,
        weights=errors,
        bytes_with_embeddings=_bytes_with_embeddings(runner.model, result.variant),
    )


def _bytes_with_embeddings(reference: nn.Module, variant: Variant) -> int | None:
    """Found without quantizing anything, on shapes alone, and once for a model."""
    if variant.scheme is None or variant.embeddings:
        return None
    found = _BYTES.setdefault(reference, {})
    if variant not in found:
        shapes = rebuild(reference, device="meta")
        found[variant] = footprint(replace(variant, embeddings=True).build(shapes)).total
    return found[variant]


_BYTES: WeakKeyDictionary[nn.Module, dict[Variant, int]] = WeakKeyDictionary()


def _top(runner: Runner, logits: Tensor) -> tuple[tuple[tuple[str, float], ...], ...]:
    return tuple(
        tuple(zip(runner.pieces(tokens), shares, strict=True))
        for tokens, shares in likeliest(logits, TOP)
    )
