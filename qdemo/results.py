"""What comes of a comparison: results, failures, and the events that tell of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from qdemo.measure.logits import LogitDifference
from qdemo.measure.overflow import Span
from qdemo.measure.weights import WeightError
from qdemo.compress.footprint import Footprint
from qdemo.spec.variant import Variant


@dataclass(frozen=True, eq=False)
class Result:
    """What one variant did.

    `tokens`, `text`: its own greedy output. `first_token_s` is the time to the first token, in
    seconds, and `token_ms` the milliseconds for each further one (None where there is none),
    after a warm-up. `top` holds, at each position of the reference's output, the most likely
    tokens with their probabilities. `logits` (both fed the reference's output), `divergence` (which
    token is the first that differs, counted from 1) and `weights` (by parameter) are against the
    reference; it has none. `span` is how far numbers went where half precision computes, fed the
    reference's output. `bytes_with_embeddings`: what the variant would hold if it quantized the
    embeddings too; None where that says nothing. `computed`: when, as an ISO 8601 time.
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
    span: Span | None = None
    bytes_with_embeddings: int | None = None
    computed: str = ""


@dataclass(frozen=True, eq=False)
class Outcome:
    """What is worth keeping of a variant that ran: of the reference, its logits (T, V) too."""

    result: Result
    logits: Tensor | None = None


@dataclass(frozen=True)
class Failed:
    """A variant could not be built or run; the others go on."""

    variant: Variant
    reason: str


@dataclass(frozen=True)
class Stopped:
    """A variant was not through when a person, or the deadline, ended the comparison."""

    variant: Variant
    reason: str


@dataclass(frozen=True)
class InputToken:
    """A token of the input as the model reads it: its `piece` of the vocabulary, the `text` that it
    stands for where that is known, and its `kind`: "" for an ordinary one, "unknown" for what the
    vocabulary lacks, "special" for marks such as the end."""

    piece: str
    text: str | None = None
    kind: Literal["", "unknown", "special"] = ""


@dataclass(frozen=True, eq=False)
class Comparison:
    """All that came out for one model and one input; the reference is the first result.

    `read` are the tokens of the input; a picture has none. `variants` are those that were to run,
    `shapes` those of the reference's parameters, by name. `kept` are the variants whose result was
    computed by an earlier comparison. `kept_wide` names the layers that transformers would have
    kept in fp32 in a model that it loads as fp16.
    """

    model: str
    shown: str
    max_tokens: int
    variants: tuple[Variant, ...]
    shapes: dict[str, tuple[int, ...]]
    read: tuple[InputToken, ...] = ()
    kept_wide: tuple[str, ...] = ()
    results: tuple[Result, ...] = ()
    failures: tuple[Failed, ...] = ()
    stopped: tuple[Stopped, ...] = ()
    kept: tuple[Variant, ...] = ()

    def after(self, event: Event) -> Comparison:
        """This comparison with what `event` adds to it."""
        if isinstance(event, Done):
            kept = (*self.kept, event.result.variant) if event.kept else self.kept
            return replace(self, results=(*self.results, event.result), kept=kept)
        if isinstance(event, Failed):
            return replace(self, failures=(*self.failures, event))
        if isinstance(event, Stopped):
            return replace(self, stopped=(*self.stopped, event))
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
    """A variant is through; `kept` where an earlier comparison had computed it."""

    result: Result
    kept: bool = False


@dataclass(frozen=True, eq=False)
class Finished:
    """Every variant is through."""

    comparison: Comparison


Event = Started | Written | Done | Failed | Stopped | Finished
