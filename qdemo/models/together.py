"""Many prompts at once: their answers, and the logits from which given answers would be chosen.

Each is what `qdemo.models.decoding` says of the prompt alone, but for the order in which numbers
are added up, which decides where two tokens are nearly as likely. Prompts of about the same length
are read in one batch, padded; an answer that is done leaves it. Language models that keep a
recurrent state, which would read the padding too, or a cache of a kind that is not known, are run
one prompt at a time. A method that looks at all rows of a product, as LLM.int8() does, rounds
otherwise in other company.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

import torch
from torch import Tensor, nn

from qdemo.models import decoding
from qdemo.models.decoding import ended
from qdemo.models.families.base import Family, Prompt, State
from qdemo.spec.messages import say

ROWS = 96
"""Prompts in a batch, at most."""

NOT_FINITE = -1
"""Stands for a token that there is none of."""

POSITIONS = 2**14
"""Positions of a batch, at most: 64 prompts of 256."""

ABOUT = 4
"""Prompts whose lengths differ by less are padded for the sake of answers of one length."""

Answer = tuple[int, ...]


def answers(
    family: Family, model: nn.Module, prompts: Sequence[Prompt], max_tokens: int
) -> list[Answer | None]:
    """The greedy answer of each prompt, as `generate` would end it; None where it would come to
    logits that are not finite, for which the others do not suffer."""
    steps = answering(family, model, prompts, max_tokens)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: list[Answer | None] = end.value
            return found


def answering(
    family: Family, model: nn.Module, prompts: Sequence[Prompt], max_tokens: int
) -> Generator[None, None, list[Answer | None]]:
    """The same a token at a time, so that others have their turn between."""
    found: list[Answer | None] = [None] * len(prompts)
    if not family.reads_together(model):
        for i, prompt in enumerate(prompts):
            found[i] = yield from _alone(family, model, prompt, max_tokens)
        return found
    lengths = [family.length(prompt) for prompt in prompts]
    sizes = [length + max_tokens for length in lengths]
    for batch in _batches(sizes, [(length, 0) for length in lengths]):
        own = yield from _Answering(family, model, [prompts[i] for i in batch], max_tokens).run()
        for i, answer in zip(batch, own, strict=True):
            found[i] = answer
    return found


@torch.inference_mode()
def scored_together(
    family: Family,
    model: nn.Module,
    prompts: Sequence[Prompt],
    tokens: Sequence[Sequence[int]],
) -> list[Tensor]:
    """Of each prompt the logits (T, V), in fp32 and on the model's device, from which its T
    `tokens` would be chosen, all of them given: as `score`, finite or not.

    Raises:
        ValueError: a prompt has no tokens, or there are not as many as prompts.
    """
    if len(tokens) != len(prompts) or not all(tokens):
        raise ValueError(
            say("expected tokens to score for each of {count} prompts", count=len(prompts))
        )
    if not family.reads_together(model):
        alone = zip(prompts, tokens, strict=True)
        return [decoding.score(family, model, prompt, own).float() for prompt, own in alone]
    found: dict[int, Tensor] = {}
    lengths = [family.length(prompt) for prompt in prompts]
    counts = list(zip(lengths, map(len, tokens), strict=True))
    alike = [(length // ABOUT, count) for length, count in counts]
    for batch in _batches(list(map(sum, counts)), alike):
        forced = [tokens[i][:-1] for i in batch]
        logits, _ = family.prefill_together(model, [prompts[i] for i in batch], forced)
        found |= zip(batch, (own.float() for own in logits), strict=True)
    return [found[i] for i in range(len(prompts))]


def _alone(
    family: Family, model: nn.Module, prompt: Prompt, max_tokens: int
) -> Generator[None, None, Answer | None]:
    tokens: list[int] = []
    try:
        for token in decoding.generate(family, model, prompt, max_tokens):
            tokens.append(token)
            yield
    except ArithmeticError:
        return None
    return tuple(tokens)


def _batches(sizes: Sequence[int], alike: Sequence[tuple[int, int]]) -> Iterator[list[int]]:
    """The numbers of the prompts that are read together, of sizes in positions; in the order of
    what is `alike` in those of a batch, so that little is padding."""
    batch, most = list[int](), 0
    for i in sorted(range(len(sizes)), key=alike.__getitem__):
        most = max(most, sizes[i])
        if batch and (len(batch) == ROWS or (len(batch) + 1) * most > POSITIONS):
            yield batch
            batch, most = [], sizes[i]
        batch.append(i)
    if batch:
        yield batch


class _Answering:
    """The answers of one batch under way. `going` are those that have no end yet, in the order of
    the rows of the state."""

    def __init__(
        self, family: Family, model: nn.Module, prompts: Sequence[Prompt], max_tokens: int
    ) -> None:
        self.family, self.model, self.prompts = family, model, prompts
        self.max_tokens, self.going = max_tokens, list(range(len(prompts)))
        self.answers: list[Answer | None] = [()] * len(prompts)

    @torch.inference_mode()
    def run(self) -> Generator[None, None, list[Answer | None]]:
        """Step by step until all have ended."""
        nothing: list[Answer] = [()] * len(self.prompts)
        rows, state = self.family.prefill_together(self.model, self.prompts, nothing)
        logits = torch.cat(list(rows))
        while True:
            chosen = _chosen(logits)
            left = self._taken(chosen.tolist())
            if not left:
                return self.answers
            if len(left) < len(self.going):
                chosen, state = self._left(left, chosen, state)
            yield
            logits, state = self.family.step_together(self.model, state, chosen[:, None])

    def _taken(self, tokens: Sequence[int]) -> list[int]:
        """The rows that go on after a token each."""
        for i, token in zip(self.going, tokens, strict=True):
            before = self.answers[i] or ()
            self.answers[i] = None if token == NOT_FINITE else (*before, token)
        return [row for row, i in enumerate(self.going) if not self._is_done(i)]

    def _is_done(self, i: int) -> bool:
        answer = self.answers[i]
        return answer is None or ended(answer, self.prompts[i], self.max_tokens) is not None

    def _left(self, rows: list[int], chosen: Tensor, state: State) -> tuple[Tensor, State]:
        """What goes on of the tokens (B,), and of the state."""
        self.going = [self.going[row] for row in rows]
        kept = torch.tensor(rows, device=chosen.device)
        return chosen[kept], state.keep(kept)


def _chosen(logits: Tensor) -> Tensor:
    """The first of the most likely tokens of each row of logits (B, V), (B,); `NOT_FINITE` where
    some of them are not finite, which their extremes tell: torch takes NaN for the larger one."""
    largest, tokens = logits.max(1)
    is_finite = largest.isfinite() & logits.amin(1).isfinite()  # their difference may overflow
    return tokens.where(is_finite, NOT_FINITE)
