"""Mixes of formats, weighed: the bytes that they hold, bits a weight, and how far they are from
fp32; and their text."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import nn

from qdemo.compress import layers
from qdemo.compress.footprint import footprint
from qdemo.compress.kinds import sites
from qdemo.compress.parts import Parts
from qdemo.compress.ties import alias_of
from qdemo.engine.divergence import Divergence
from qdemo.engine.sensitivity import Group, parameters
from qdemo.models.loading import Loaded
from qdemo.spec.mix import Sized, variant_of
from qdemo.spec.step import Recipe, Step
from qdemo.spec.variant import Variant

_FLOAT = str(Variant())


@dataclass(eq=False)
class Weighed:
    """What mixes hold, and how far they are from fp32: a mix has the format of each part, and
    `parts` the whole model in each. `tries` were measured."""

    loaded: Loaded
    parts: Parts
    divergence: Divergence
    every: Sequence[Group]
    tries: int = 0

    def __post_init__(self) -> None:
        """Count what is the same in all of them."""
        names = [name for part in self.every for name in part.layers]
        self.weights = parameters(self.loaded.model)(names)
        self.whole = self.held({})

    def _put(self, chosen: Mapping[str, str]) -> nn.Module:
        formats = {part: chosen.get(part.name, _FLOAT) for part in self.every}
        return self.parts.put(
            {name: own for part, own in formats.items() if own != _FLOAT for name in part.layers}
        )

    def bits(self, held: int) -> float:
        """Bits a weight of what is mixed, where the whole model holds so many bytes."""
        return 8 * (held - self.whole) / self.weights + 32

    def held(self, chosen: Mapping[str, str]) -> int:
        """The bytes of a mix; nothing is computed with it."""
        return footprint(self._put(chosen)).total

    def sized(self, chosen: Mapping[str, str], format: str = "") -> Sized:
        """All that is known of a mix."""
        self.tries += 1
        model = self._put(chosen)
        held = footprint(model).total
        return Sized(format, held, self.bits(held), self.divergence.of(model))


def said(reference: nn.Module, steps: Mapping[str, Step], embeddings: bool) -> Variant:
    """The variant in which each layer has its step, in few words where they mean the same: an
    exception that names a module above one end of what is tied has the other end quantized.

    Raises:
        ValueError: it is too long for a text.
    """
    found = variant_of(steps, embeddings, apart=_tied(reference) - steps.keys())
    return found if _means(reference, found, steps) else variant_of(steps, embeddings, inner=False)


def _tied(reference: nn.Module) -> set[str]:
    """The layers whose weight others hold too."""
    owners: dict[object, list[str]] = defaultdict(list)
    for site in sites(reference).values():
        if site.parameter is not None:
            owners[alias_of(site.parameter)].append(site.owner_name)
    return {name for own in owners.values() if len(own) > 1 for name in own}


def _means(reference: nn.Module, variant: Variant, steps: Mapping[str, Step]) -> bool:
    """Whether a variant makes that of each layer, and nothing of others."""
    plan = layers.plan(reference, variant)
    found = {
        site.owner_name: (plan.asked.get(name, plan.schemes[name]), plan.recipes.get(name))
        for name, site in plan.sites.items()
    }
    return found == {
        name: (step.scheme, None if step.recipe == Recipe() else step.recipe)
        for name, step in steps.items()
        if step.scheme is not None
    }
