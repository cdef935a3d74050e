"""The smallest repair of one answer: the fewest layers that bring fp32's back.

A greedy answer is fp32's where, fed with that, the likeliest token is the same at each position: so
one pass tells of each try whether it is worth a look, and how far it still is (KL). Every layer is
tried alone, then pairs, the most promising first; then layers are added, each time the one that
takes most away, and those that turn out not to be needed are left out again.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import combinations

import torch
from torch import nn

from qdemo.compress.building import at_once
from qdemo.compress.parts import Parts, quantized_layers
from qdemo.engine.answering import Question
from qdemo.engine.divergence import kl_by_position
from qdemo.engine.sensitivity import Group, groups
from qdemo.models.decoding import score
from qdemo.models.loading import Loaded
from qdemo.spec.messages import say
from qdemo.spec.repair import Repair, Tried
from qdemo.spec.sensitivity import Trying
from qdemo.spec.step import Step
from qdemo.spec.variant import Variant

FLOAT = Step(cast="fp32")

MOST_PAIRS = 300
"""So many pairs are tried: all of up to 25 layers. Two seconds on t5-tiny."""

_WIDE = 16
"""Of so many, the most helpful alone, the next layer to add is chosen."""

_BETTER = "better"

Found = Generator[Trying, None, "tuple[Group, ...] | None"]


def repair(
    loaded: Loaded,
    question: Question,
    variant: Variant,
    built: nn.Module,
    step: Step = FLOAT,
    better: nn.Module | None = None,
    most_pairs: int = MOST_PAIRS,
) -> Generator[Trying, None, Repair]:
    """The fewest layers of `built`, which is `variant` of a model, that have to be `step` again for
    fp32's answer to a question; each try is told. `better` has all layers in that step; fp32's
    need none. Up to `most_pairs` are tried. Closing it stops it.

    Raises:
        ValueError: the text is scored and not answered, tokens are drawn, nothing is quantized, or
            not all is computed in fp32.
        ArithmeticError: logits are not finite.
    """
    if question.prompt.forced or not question.decoding.is_greedy:
        raise ValueError(say("an answer is repaired that is greedy, and no text that is scored"))
    reference = loaded.model
    parts = Parts(built, {_BETTER: reference if better is None else better})
    every = groups(quantized_layers(reference, built), "layer")
    layers = [one for one in every if set(one.layers) <= set(parts.names)]
    if not layers:
        raise ValueError(say("{format} has no layer that could be {step} instead",
                             format=str(variant)[:60], step=str(step)))  # fmt: skip
    search = _Search(loaded, question, parts, layers, variant, step, most_pairs)
    found = yield from search.fewest()
    return search.told(found)


@dataclass(eq=False)
class _Search:
    """What was tried, by the names of the layers that were put back."""

    loaded: Loaded
    question: Question
    parts: Parts
    layers: list[Group]
    variant: Variant
    step: Step
    most_pairs: int
    known: dict[frozenset[str], Tried] = field(default_factory=dict)
    has_all_pairs: bool = False

    def __post_init__(self) -> None:
        self.tokens = self._tokens(self.loaded.model)
        with torch.inference_mode():
            self.logits = self._logits(self.loaded.model)

    def fewest(self) -> Found:
        """The layers, as few as are found; None where not even all are enough."""
        if self._try(()).is_back:
            return ()
        if not self._try(self.layers).is_back:
            return None
        singles = [(layer,) for layer in self.layers]
        found = yield from self._first(singles, len(singles), every=True)
        if found is None and len(self.layers) > 1:
            pairs = sorted(combinations(self._ordered(), 2), key=self._promise)
            self.has_all_pairs = len(pairs) <= self.most_pairs
            tried = pairs[: self.most_pairs]
            found = yield from self._first(tried, len(tried))
        return found or (yield from self._pruned((yield from self._added())))

    def _first(self, sets: Iterable[tuple[Group, ...]], count: int, every: bool = False) -> Found:
        """The first set that is enough; of `every` one that is tried, the one of the fewest
        weights."""
        enough = []
        for number, layers in enumerate(sets, 1):
            yield self._trying(layers, number, count)
            if self._try(layers).is_back:
                enough.append(layers)
                if not every:
                    break
        return min(enough, key=self._cost, default=None)

    def _added(self) -> Generator[Trying, None, tuple[Group, ...]]:
        """Layers one after the other, until they are enough, as all are."""
        chosen: tuple[Group, ...] = self._ordered()[:1]
        while not self._try(chosen).is_back:
            left = [layer for layer in self._ordered() if layer not in chosen][:_WIDE]
            more = [(*chosen, layer) for layer in left]
            for number, layers in enumerate(more, 1):
                yield self._trying(layers, number, len(more))
                self._try(layers)
            chosen = min(more, key=lambda one: (not self._try(one).is_back, self._try(one).kl))
        return chosen

    def _pruned(self, chosen: tuple[Group, ...]) -> Generator[Trying, None, tuple[Group, ...]]:
        """Those without which it does not go, the least helpful looked at first."""
        for number, layer in enumerate(sorted(chosen, key=self._alone, reverse=True), 1):
            fewer = tuple(one for one in chosen if one is not layer)
            yield self._trying(fewer, number, len(self.layers))
            if self._try(fewer).is_back:
                chosen = fewer
        return chosen

    def _ordered(self) -> tuple[Group, ...]:
        """All layers, the most helpful alone first."""
        return tuple(sorted(self.layers, key=self._alone))

    def _alone(self, layer: Group) -> float:
        return self._try((layer,)).kl

    def _promise(self, layers: tuple[Group, ...]) -> float:
        return sum(map(self._alone, layers))

    def _cost(self, layers: tuple[Group, ...]) -> tuple[int, float]:
        """Weights that are put back; of as many, how far it still is."""
        owners = [self.loaded.model.get_submodule(name) for one in layers for name in one.layers]
        return sum(p.numel() for one in owners for p in one.parameters()), self._try(layers).kl

    def _trying(self, layers: Iterable[Group], number: int, count: int) -> Trying:
        return Trying(" + ".join(layer.name for layer in layers), number, count)

    @torch.inference_mode()
    def _try(self, layers: Iterable[Group]) -> Tried:
        """What comes of putting these back; what was tried is not tried again."""
        layers = tuple(layers)
        names = frozenset(name for layer in layers for name in layer.layers)
        if names not in self.known:
            model = self.parts.put(dict.fromkeys(names, _BETTER))
            logits = self._logits(model)
            kl = torch.cat([*kl_by_position(self.logits, logits)]).mean().item()
            tops = tuple(logits.argmax(1).tolist())
            is_back = tops == self.tokens and self._tokens(model) == self.tokens
            modules = tuple(name for layer in layers for name in layer.modules)
            self.known[names] = Tried(modules, kl, is_back)
        return self.known[names]

    def _logits(self, model: nn.Module) -> torch.Tensor:
        question = self.question
        return score(question.family, model, question.prompt, self.tokens)

    def _tokens(self, model: nn.Module) -> tuple[int, ...]:
        return at_once(self.question.answer(self.variant, model, is_warm=True)).tokens

    def told(self, found: tuple[Group, ...] | None) -> Repair:
        """The end of it."""
        chosen = self._try(self.layers if found is None else found)
        modules = () if found is None else chosen.modules
        fewest = 0 if found is None else len(found)
        before = self._tokens(self.parts.put({}))
        return Repair(
            model=self.loaded.entry.name,
            input=self.question.prompt.shown,
            format=str(self.variant),
            step=str(self.step),
            answer=self.question.text(self.tokens),
            before=self.question.text(before),
            repaired=None if found is None else str(self._repaired(modules, fewest)),
            modules=modules,
            layers=len(self.layers),
            is_smallest=fewest <= 2 or (fewest == 3 and self.has_all_pairs),
            kl_before=self._try(()).kl,
            kl_after=chosen.kl,
            singles=tuple(self._singles()),
            tries=len(self.known),
        )

    def _repaired(self, modules: tuple[str, ...], layers: int) -> Variant:
        """The format with exceptions; where no layer is left to its default, another default."""
        if layers < len(self.layers) or not layers:
            return self.variant.excepting(modules, self.step)
        if self.step.scheme is None:
            return Variant()
        left = [one for one in self.variant.exceptions if one[1].scheme is None]
        return replace(self.variant, default=self.step, exceptions=tuple(left))

    def _singles(self) -> Iterator[Tried]:
        known = [self.known.get(frozenset(layer.layers)) for layer in self.layers]
        return iter(sorted((one for one in known if one is not None), key=lambda one: one.kl))
