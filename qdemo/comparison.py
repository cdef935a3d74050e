"""One reference and its variants, run one after the other, told as events."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor, nn

from qdemo.measure.logits import LogitDifference, logit_difference
from qdemo.measure.outputs import first_divergence
from qdemo.measure.weights import WeightError, model_weight_errors
from qdemo.modeling.convert import rebuild
from qdemo.modeling.footprint import Footprint, footprint
from qdemo.modeling.variant import Variant

REFERENCE = Variant()
"""What everything is compared with: the model in fp32."""

TOP = 5


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

    def generate(self, model: nn.Module, max_tokens: int) -> Iterator[int]:
        """The tokens that `model`, a variant of `self.model`, answers with."""

    def score(self, model: nn.Module, tokens: Sequence[int]) -> Tensor:
        """Logits (T, V) from which each of the T `tokens` would be chosen, all of them given."""

    def decode(self, tokens: Sequence[int]) -> str:
        """The tokens as text."""

    def pieces(self, tokens: Sequence[int]) -> list[str]:
        """Each token as it is written in the vocabulary."""


@dataclass(frozen=True, eq=False)
class Result:
    """What one variant did.

    `tokens`, `text`: its own greedy output. `first_token_s` is the time to the first token, in
    seconds, and `token_ms` the milliseconds for each further one (None where there is none),
    after a warm-up. `top` holds, at each position of the reference's output, the most likely
    tokens with their probabilities. `logits` (both fed the reference's output), `divergence` (the
    first token that differs) and `weights` (by parameter) are against the reference; it has none.
    `bytes_with_embeddings`: what the variant would hold if it quantized the embeddings too; None
    where that says nothing.
    """

    variant: Variant
    tokens: tuple[int, ...]
    pieces: tuple[str, ...]
    text: str
    first_token_s: float
    token_ms: float | None
    footprint: Footprint
    top: tuple[tuple[tuple[str, float], ...], ...]
    logits: LogitDifference | None = None
    divergence: int | None = None
    weights: dict[str, WeightError] | None = None
    bytes_with_embeddings: int | None = None


@dataclass(frozen=True)
class Failed:
    """A variant could not be built or run; the others go on."""

    variant: Variant
    reason: str


@dataclass(frozen=True, eq=False)
class Comparison:
    """All that came out for one model and one input; the reference is the first result.

    `variants` are those that were to run, `shapes` those of the reference's parameters, by name.
    """

    model: str
    shown: str
    max_tokens: int
    variants: tuple[Variant, ...]
    shapes: dict[str, tuple[int, ...]]
    results: tuple[Result, ...] = ()
    failures: tuple[Failed, ...] = ()

    def after(self, event: Event) -> Comparison:
        """This comparison with what `event` adds to it."""
        if isinstance(event, Done):
            return replace(self, results=(*self.results, event.result))
        if isinstance(event, Failed):
            return replace(self, failures=(*self.failures, event))
        return self


@dataclass(frozen=True, eq=False)
class Started:
    """What will be compared; nothing has run yet."""

    comparison: Comparison


@dataclass(frozen=True)
class Written:
    """The output of a variant so far."""

    variant: Variant
    text: str


@dataclass(frozen=True)
class Done:
    """A variant is through."""

    result: Result


@dataclass(frozen=True, eq=False)
class Finished:
    """Every variant is through."""

    comparison: Comparison


Event = Started | Written | Done | Failed | Finished


def run(runner: Runner, variants: Iterable[Variant], max_tokens: int = 64) -> Generator[Event]:
    """Run the reference, then each variant, one alive at a time; closing the generator stops it.

    The reference runs whether it is named or not. Without it there is nothing to compare with:
    when it fails, nothing else is run.

    Raises:
        ValueError: `max_tokens` is below 1.
    """
    if max_tokens < 1:
        raise ValueError(f"max_tokens is {max_tokens}, expected at least 1")
    comparison = _planned(runner, variants, max_tokens)
    yield Started(comparison)
    reference: _Reference | None = None
    for variant in comparison.variants:
        try:
            result, reference = yield from _run(runner, variant, max_tokens, reference)
        except (ValueError, ArithmeticError, MemoryError, RuntimeError) as error:
            event: Done | Failed = Failed(variant, str(error))
        else:
            event = Done(result)
        comparison = comparison.after(event)
        yield event
        if reference is None:
            break
    yield Finished(comparison)


def _planned(runner: Runner, variants: Iterable[Variant], max_tokens: int) -> Comparison:
    return Comparison(
        model=runner.name,
        shown=runner.shown,
        max_tokens=max_tokens,
        variants=tuple(dict.fromkeys([REFERENCE, *variants])),
        shapes={name: tuple(w.shape) for name, w in runner.model.named_parameters()},
    )


@dataclass(frozen=True, eq=False)
class _Reference:
    tokens: tuple[int, ...]
    logits: Tensor


def _run(
    runner: Runner, variant: Variant, max_tokens: int, reference: _Reference | None
) -> Generator[Event, None, tuple[Result, _Reference]]:
    model = runner.model if reference is None else variant.build(runner.model)
    next(runner.generate(model, 1))  # a warm-up: the first pass pays for pages and caches
    tokens: list[int] = []
    seconds: list[float] = []
    for token, took in _timed(runner.generate(model, max_tokens)):
        tokens.append(token)
        seconds.append(took)
        yield Written(variant, runner.decode(tokens))
    forced = tuple(tokens) if reference is None else reference.tokens
    logits = runner.score(model, forced)
    result = _result(runner, variant, model, tokens, seconds, logits, reference)
    return result, reference or _Reference(forced, logits)


def _timed(tokens: Iterator[int]) -> Iterator[tuple[int, float]]:
    """Each token with the seconds it took, the time that the listener takes left out."""
    while True:
        start = time.perf_counter()
        token = next(tokens, None)
        took = time.perf_counter() - start
        if token is None:
            return
        yield token, took


def _result(
    runner: Runner,
    variant: Variant,
    model: nn.Module,
    tokens: list[int],
    seconds: list[float],
    logits: Tensor,
    reference: _Reference | None,
) -> Result:
    further = seconds[1:]
    result = Result(
        variant=variant,
        tokens=tuple(tokens),
        pieces=tuple(runner.pieces(tokens)),
        text=runner.decode(tokens),
        first_token_s=seconds[0],
        token_ms=1000 * sum(further) / len(further) if further else None,
        footprint=footprint(model),
        top=_top(runner, logits),
    )
    if reference is None:
        return result
    against = {
        "logits": logit_difference(reference.logits, logits, torch.tensor(reference.tokens)),
        "divergence": first_divergence(reference.tokens, tokens),
        "weights": dict(model_weight_errors(runner.model, model)),
        "bytes_with_embeddings": _bytes_with_embeddings(runner.model, variant),
    }
    return Result(**{**vars(result), **against})


def _bytes_with_embeddings(reference: nn.Module, variant: Variant) -> int | None:
    """Found without quantizing anything, on shapes alone."""
    if variant.scheme is None or variant.embeddings:
        return None
    shapes = rebuild(reference, device="meta")
    return footprint(replace(variant, embeddings=True).build(shapes)).total


def _top(runner: Runner, logits: Tensor) -> tuple[tuple[tuple[str, float], ...], ...]:
    found = logits.float().softmax(1).topk(min(TOP, logits.shape[1]), dim=1)
    return tuple(
        tuple(zip(runner.pieces(tokens), shares, strict=True))
        for tokens, shares in zip(found.indices.tolist(), found.values.tolist(), strict=True)
    )
