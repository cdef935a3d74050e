"""What each format of a model makes of each item, a batch at a time, beside fp32.

fp32 answers first. Its answer to an item is forced on every other format, so that at each position
like is compared with like; and each format answers on its own, too. Items come in the order of the
evaluation, and a batch is always the same items, so that one machine computes the same bits again,
however often it is stopped.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256

from torch import Tensor, nn

from qdemo.compress.footprint import bits_per_weight, footprint
from qdemo.engine.comparing import Made, machine, now, reason
from qdemo.engine.devices import described
from qdemo.engine.evaluation import Evaluation, Progress
from qdemo.engine.memory import Memory
from qdemo.engine.trials import Tokens, Trial, Trials
from qdemo.measure.layers import output_errors, relative
from qdemo.measure.many import apart, loss_of
from qdemo.measure.measure import Inputs, Output
from qdemo.models.families import Prompt
from qdemo.models.families.base import device_of
from qdemo.models.loading import Loaded
from qdemo.models.together import answering, scored_together
from qdemo.models.windows import windows
from qdemo.spec.evidence import Evidence, Item, Judged, Outcome
from qdemo.spec.messages import say
from qdemo.spec.report import Making
from qdemo.spec.variant import Variant

_KEPT = 256_000_000
"""Bytes of prompts, and of fp32's logits, that are kept for the formats after it."""


def batch_of(parameters: int) -> int:
    """How many items are computed at once: what a batch takes, a comparison may have to wait.

    >>> batch_of(4_000_000), batch_of(130_000_000)
    (64, 16)
    """
    return 64 if parameters < 20_000_000 else 16


def outcomes(
    loaded: Loaded,
    asked: Evaluation,
    trials: Trials,
    made: Callable[[Variant], Made],
    inputs: Callable[[], Inputs],
) -> Generator[Progress]:
    """What is known after each batch, and told again in the midst of one, so that others have their
    turn there, and it can be stopped; closing the generator stops it. What is in `trials` is not
    computed again, and what is computed is put there.

    Raises:
        ValueError: an item that the model can't take.
        ArithmeticError: fp32's own logits are not finite.
    """
    return _Evaluating(loaded, asked, trials, made, inputs).run()


@dataclass(eq=False)
class _Evaluating:
    """An evaluation under way."""

    loaded: Loaded
    asked: Evaluation
    trials: Trials
    made: Callable[[Variant], Made]
    inputs: Callable[[], Inputs]
    outputs: dict[str, Output] = field(default_factory=dict)
    tokens: dict[int, Tokens] = field(default_factory=dict)
    windows: list[Prompt] = field(default_factory=list)
    prompts: Memory[int, list[Prompt]] = field(default_factory=lambda: Memory(_KEPT))
    logits: Memory[int, list[Tensor]] = field(default_factory=lambda: Memory(_KEPT))

    @property
    def size(self) -> int:
        """Items of a batch."""
        return batch_of(self.loaded.parameters)

    def __post_init__(self) -> None:
        """Read what is evaluated at once, as a long text is no step of which others can wait."""
        self.items = self._items()

    def run(self) -> Generator[Progress]:
        """Format by format."""
        items = self.items
        names, starts = self.asked.formats, range(0, len(items), self.size)
        unknown = sum(self._known(name, at) is None for name in names for at in starts)
        self.clock = _Clock(unknown)
        progress = Progress(self._begun(items), names[0], 0, len(items) * len(names))
        for at, variant in enumerate(self.asked.variants):
            progress = replace(progress, format=names[at], done=at * len(items))
            try:
                for step in self._format(variant, starts):
                    progress = progress.after(step, self.clock.left) if step else progress
                    yield progress
            except Exception as error:
                if not at:  # without fp32 there is nothing to compare with
                    raise
                progress = progress.failed(reason(names[at], error))
        yield replace(progress, done=progress.total, finished=True, seconds_left=0.0)

    def _begun(self, items: tuple[Item, ...]) -> Evidence:
        return Evidence(
            model=self.loaded.entry.name,
            data=self.asked.data.data,
            items=items,
            seed=self.asked.seed,
            batch=self.size,
            max_tokens=self.asked.max_tokens,
            machine=machine(described(device_of(self.loaded.model))),
            computed=now(),
        )

    def _items(self) -> tuple[Item, ...]:
        """Those that are answered; or a text's windows."""
        data = self.asked.data
        if data.data.kind == "items":
            return data.items
        (text,) = data.items

        def drawn(starts: Sequence[int]) -> list[int]:
            order = list(starts)
            random.Random(self.asked.seed).shuffle(order)  # so that the first are a fair sample
            return order[: self.asked.limit]

        self.windows = list(windows(self.loaded.family, text.input, drawn))
        return tuple(Item(prompt.shown) for prompt in self.windows)

    def _prompts(self, start: int) -> list[Prompt]:
        """How the model reads a batch; read again where pictures were too many to keep."""
        found = self.prompts.get(start)
        if found is None:
            found = self.windows[start : start + self.size] or [*self._encoded(start)]
            held = sum(x.nbytes for prompt in found for x in prompt.inputs.values())
            self.prompts.put(start, found, held)
        return found

    def _encoded(self, start: int) -> Iterator[Prompt]:
        data, family = self.asked.data, self.loaded.family
        for number, item in enumerate(data.items[start : start + self.size], start + 1):
            try:
                yield family.encode(data.given(item))
            except ValueError as error:
                told = say("item {number}, {input!r:.40}: {why}",
                           number=number, input=item.input, why=str(error))  # fmt: skip
                raise ValueError(told) from None

    def _format(self, variant: Variant, starts: Sequence[int]) -> Generator[Making | Trial | None]:
        """Its trials, those that are known and those that are not; built where it has to be. None
        after each step of one that is under way."""
        name, model, held = str(variant), None, Judged(str(variant), 0)
        for start in starts:
            trial = self._known(name, start)
            if trial is None:
                if model is None:
                    model = yield from self._built(variant)
                    held = self._held(name, model)
                trial = yield from self._trial(model, held, start)
                self.trials.put(trial)
                self.clock.count()
            if trial.tokens:
                self.tokens[start] = trial.tokens
            yield trial

    def _known(self, name: str, start: int) -> Trial | None:
        """One that was computed of just these items, fp32's with its answers to them: with another
        limit the last batch is another, and of another order each."""
        trial, count = self.trials.get(name, start), min(self.size, len(self.items) - start)
        answers = count if name == self.asked.formats[0] else 0
        if trial is None or trial.items != self._digest(start) or len(trial.tokens) != answers:
            return None
        return trial

    def _digest(self, start: int) -> str:
        """What tells the inputs of a batch from all others."""
        inputs = [item.input for item in self.items[start : start + self.size]]
        return sha256(json.dumps(inputs).encode()).hexdigest()[:16]

    def _built(self, variant: Variant) -> Made:
        if str(variant) == self.asked.formats[0]:
            reference: nn.Module = self.loaded.model
            return reference
        return (yield from self.made(variant))

    def _held(self, name: str, model: nn.Module) -> Judged:
        """What it holds, and how far its layers' outputs are from what they should be."""
        found = list(output_errors(self.loaded.model, model, self.inputs(), self.outputs))
        error = relative(sum(e for _, e, _ in found), sum(size for *_, size in found))
        return Judged(name, footprint(model).total, bits_per_weight(model), error)

    def _trial(self, model: nn.Module, held: Judged, start: int) -> Generator[None, None, Trial]:
        began = time.perf_counter()
        prompts = self._prompts(start)
        if self.asked.data.data.kind == "text":
            tokens: Tokens = tuple(prompt.forced for prompt in prompts)
            written: list[str | None] = [""] * len(prompts)
        else:
            most = self.asked.max_tokens
            own = yield from answering(self.loaded.family, model, prompts, most)
            written = [None if one is None else self.loaded.family.decode(one) for one in own]
            tokens = self._forced(held.format, own, start)
        is_reference = held.format == self.asked.formats[0]
        found = tuple(self._outcomes(model, prompts, tokens, written, start, is_reference))
        judged = replace(held, outcomes=found, seconds=time.perf_counter() - began)
        return Trial(start, self._digest(start), judged, tokens if is_reference else ())

    def _forced(self, name: str, own: Sequence[tuple[int, ...] | None], start: int) -> Tokens:
        """fp32's answers, which every format is given."""
        if name != self.asked.formats[0]:
            return self.tokens[start]
        if any(one is None for one in own):
            raise ArithmeticError(
                say("fp32's own logits are not finite: a weight is NaN or infinite")
            )
        return tuple(one for one in own if one is not None)

    def _outcomes(
        self,
        model: nn.Module,
        prompts: Sequence[Prompt],
        tokens: Tokens,
        written: Sequence[str | None],
        start: int,
        is_reference: bool,
    ) -> Generator[Outcome]:
        logits = scored_together(self.loaded.family, model, prompts, tokens)
        reference = logits if is_reference else self._reference(prompts, tokens, start)
        if is_reference:
            self._keep(start, logits)
        is_text = self.asked.data.data.kind == "text"
        each = zip(apart(reference, logits), written, logits, tokens, strict=True)
        for far, output, z, forced in each:
            loss = loss_of(z, forced) if is_text else None
            yield Outcome(output, far.kl, far.same, far.positions, loss)

    def _reference(self, prompts: Sequence[Prompt], tokens: Tokens, start: int) -> list[Tensor]:
        """fp32's logits, computed again where they were too many to keep."""
        found = self.logits.get(start)
        if found is None:
            found = scored_together(self.loaded.family, self.loaded.model, prompts, tokens)
            self._keep(start, found)
        return found

    def _keep(self, start: int, logits: list[Tensor]) -> None:
        self.logits.put(start, logits, sum(z.nbytes for z in logits))


class _Clock:
    """How long the rest will take, of so many trials that are not known."""

    def __init__(self, trials: int) -> None:
        self._left, self._done, self._began = trials, 0, time.monotonic()

    def count(self) -> None:
        """One more is through."""
        self._left, self._done = self._left - 1, self._done + 1

    @property
    def left(self) -> float | None:
        """Seconds; None before anything was computed."""
        if not self._done:
            return None if self._left else 0.0
        return self._left * (time.monotonic() - self._began) / self._done
