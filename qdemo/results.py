"""What comes of a comparison: results, failures, and the events that tell of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor

from qdemo.measure.logits import LogitDifference
from qdemo.measure.weights import WeightError
from qdemo.modeling.footprint import Footprint
from qdemo.modeling.variant import Variant


@dataclass(frozen=True, eq=False)
class Result:
    """What one variant did.

    `tokens`, `text`: its own greedy output. `first_token_s` is the time to the first token, in
    seconds, and `token_ms` the milliseconds for each further one (None where there is none),
    after a warm-up. `top` holds, at each position of the reference's output, the most likely
    tokens with their probabilities. `logits` (both fed the reference's output), `divergence` (the
    first token that differs) and `weights` (by parameter) are against the reference; it has none.
    `bytes_with_embeddings`: what the variant would hold if it quantized the embeddings too; None
    where that says nothing. `computed`: when, as an ISO 8601 time.
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


@dataclass(frozen=True, eq=False)
class Comparison:
    """All that came out for one model and one input; the reference is the first result.

    `variants` are those that were to run, `shapes` those of the reference's parameters, by name.
    `kept` are the variants whose result was computed by an earlier comparison.
    """

    model: str
    shown: str
    max_tokens: int
    variants: tuple[Variant, ...]
    shapes: dict[str, tuple[int, ...]]
    results: tuple[Result, ...] = ()
    failures: tuple[Failed, ...] = ()
    kept: tuple[Variant, ...] = ()

    def after(self, event: Event) -> Comparison:
        """This comparison with what `event` adds to it."""
        if isinstance(event, Done):
            kept = (*self.kept, event.result.variant) if event.kept else self.kept
            return replace(self, results=(*self.results, event.result), kept=kept)
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
    """A variant is through; `kept` where an earlier comparison had computed it."""

    result: Result
    kept: bool = False


@dataclass(frozen=True, eq=False)
class Finished:
    """Every variant is through."""

    comparison: Comparison


Event = Started | Written | Done | Failed | Finished
