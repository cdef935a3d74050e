"""What one model makes of a prompt: an answer, token by token, timed; or, of tokens that are given,
the logits at each of them."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qdemo.measure.overflow import watching
from qdemo.models.decoding import generate, scored, warm_up, why_ended
from qdemo.models.families import Family, Prompt
from qdemo.spec.decoding import Decoding, Ending
from qdemo.spec.messages import say
from qdemo.spec.report import Span, Written
from qdemo.spec.variant import Variant

WATCHED = ("fp16", "bf16")
"""What is looked into for numbers that went too far."""


@dataclass(frozen=True)
class Answer:
    """Its tokens, the seconds that each took (none, where they were given), and why it ends."""

    tokens: tuple[int, ...]
    seconds: tuple[float, ...]
    ended: Ending


@dataclass(frozen=True, eq=False)
class Scored:
    """Logits (T, V) before each of T tokens, the steps that would follow them, and how far numbers
    went inside the model, where they may go too far."""

    logits: Tensor
    steps: Iterator[Tensor]
    span: Span | None = None


@dataclass(frozen=True, eq=False)
class Question:
    """A prompt of one family, and how it is to be answered."""

    family: Family
    prompt: Prompt
    max_tokens: int
    decoding: Decoding

    def answer(
        self, variant: Variant, model: nn.Module, is_warm: bool, span: Span | None = None
    ) -> Generator[Written, None, Answer]:
        """The answer, told as it is written; the given tokens, where some are, at once. `is_warm`:
        whether the model has done as much before. `span` is what is known of its numbers.

        Raises:
            ArithmeticError: the logits are not finite; says where numbers first went too far.
        """
        if self.prompt.forced:
            return Answer(self.prompt.forced, (), "given")
        given = (self.family, model, self.prompt, self.max_tokens, self.decoding)
        tokens: list[int] = []
        seconds: list[float] = []
        answer = generate(*given)
        try:
            if not is_warm:
                warm_up(*given)
            for token, took in _timed(answer):
                tokens.append(token)
                seconds.append(took)
                yield Written(str(variant), self.family.written(tokens))
        except ArithmeticError as error:
            raise ArithmeticError(_placed(error, span)) from None
        ended = why_ended(tokens, self.prompt, self.max_tokens, self.decoding)
        return Answer(tuple(tokens), tuple(seconds), ended)

    def score(self, variant: Variant, model: nn.Module, tokens: Sequence[int]) -> Scored:
        """What the model makes of `tokens`, in one pass.

        Raises:
            ValueError: there are no tokens.
        """
        given = (self.family, model, self.prompt, tokens)
        computed = {variant.compute, *(step.cast for _, step in variant.exceptions)}
        if computed.isdisjoint(WATCHED):
            return Scored(*scored(*given))
        with watching(model) as seen:
            return Scored(*scored(*given), seen.span)

    def text(self, tokens: Sequence[int]) -> str:
        """The answer as text; of a text that is scored all of it, its first token too."""
        return self.prompt.shown if self.prompt.forced else self.family.decode(tokens)


def check_finite(logits: Tensor) -> None:
    """Refuse a reference with which nothing can be compared; some positions at a time, as there may
    be a gigabyte of them.

    Raises:
        ArithmeticError: a logit is infinite or NaN.
    """
    if not all(bool(torch.isfinite(part).all()) for part in logits.split(16)):
        raise ArithmeticError(say("fp32's own logits are not finite: a weight is NaN or infinite"))


def _placed(error: ArithmeticError, span: Span | None) -> str:
    """The error, and where numbers first went too far, as far as that is known."""
    first = None if span is None else span.overflow
    if first is None:
        return str(error)
    return say(
        "{error}; first in what comes out of {module}", error=str(error), module=first.module
    )


def _timed(tokens: Iterator[int]) -> Iterator[tuple[int, float]]:
    """Each token with the seconds it took, the time that the listener takes left out."""
    while True:
        start = time.perf_counter()
        token = next(tokens, None)
        took = time.perf_counter() - start
        if token is None:
            return
        yield token, took
