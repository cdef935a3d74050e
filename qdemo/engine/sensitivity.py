"""Which layer hurts: each part of a model quantized alone, and each put back, on calibration
items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from qdemo.compress.footprint import footprint
from qdemo.compress.kinds import sites
from qdemo.compress.parts import Parts, quantized_layers
from qdemo.compress.ties import alias_of
from qdemo.engine.divergence import Divergence
from qdemo.measure.layers import output_errors, relative
from qdemo.models.loading import Loaded
from qdemo.spec.messages import say
from qdemo.spec.sensitivity import ITEMS, By, Part, Sensitivity, Trying, part_of
from qdemo.spec.variant import Variant

_FORMAT = "format"


@dataclass(frozen=True)
class Group:
    """A part of a model: the `layers` that are exchanged, and the `modules` that an exception has
    to name for it."""

    name: str
    layers: tuple[str, ...]
    modules: tuple[str, ...]


def groups(layers: Sequence[tuple[str, ...]], by: By) -> list[Group]:
    """Layers, of which those that are tied stand together, as parts; what is tied goes with the
    first of its names.

    >>> [one.name for one in groups([("a.0.q",), ("a.0.v",), ("head", "a.1.q")], "block")]
    ['a.0', 'head']
    >>> groups([("a.0.q",), ("a.0.v",)], "block")[0].modules
    ('a.0',)
    """
    found: dict[str, list[str]] = defaultdict(list)
    every: dict[str, set[str]] = defaultdict(set)
    for names in layers:
        found[part_of(names[0], by)].extend(names)
        for name in names:
            every[part_of(name, by)].add(name)

    def modules(part: str, own: list[str]) -> tuple[str, ...]:
        return (part,) if by == "block" and every[part] == set(own) else tuple(own)

    return [Group(part, tuple(own), modules(part, own)) for part, own in found.items()]


def sensitivity(
    loaded: Loaded,
    variant: Variant,
    built: nn.Module,
    inputs: Mapping[str, Tensor],
    by: By = "layer",
    items: int = ITEMS,
) -> Generator[Trying, None, Sensitivity]:
    """What each part of `built`, which is `variant` of a model, does; each part is told before its
    turn comes. `inputs` are rows that each layer is given by calibration items, by name. Closing it
    stops it.

    Raises:
        ValueError: not all is computed in fp32, nothing is quantized, or `items` is below 1.
        ArithmeticError: logits are not finite.
    """
    reference = loaded.model
    parts = groups(quantized_layers(reference, built), by)
    if not parts:
        raise ValueError(say("{format} quantizes no layer", format=str(variant)[:60]))
    exchanged = Parts(reference, {_FORMAT: built})
    divergence = Divergence(loaded, items)
    whole = dict.fromkeys(exchanged.names, _FORMAT)
    errors = {name: sums for name, *sums in output_errors(reference, built, inputs)}
    measured = _Measured(exchanged, divergence, whole, errors, parameters(reference))
    kl = divergence.of(exchanged.put(whole))
    found = []
    for number, part in enumerate(parts, 1):
        yield Trying(part.name, number, len(parts))
        found.append(measured.part(part, kl.mean))
    return Sensitivity(loaded.entry.name, str(variant), by, divergence.items, divergence.positions,
                       kl, tuple(found))  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Measured:
    parts: Parts
    divergence: Divergence
    whole: Mapping[str, str]
    errors: Mapping[str, list[float]]
    parameters: Callable[[Iterable[str]], int]

    def part(self, part: Group, whole: float) -> Part:
        rest = {name: key for name, key in self.whole.items() if name not in part.layers}
        back = self.divergence.of(self.parts.put(rest))
        only = self.parts.put(dict.fromkeys(part.layers, _FORMAT))
        alone, held = self.divergence.of(only), footprint(only).total
        saved = footprint(self.parts.put({})).total - held
        sums = [self.errors[name] for name in part.layers if name in self.errors]
        return Part(
            part.name,
            part.modules,
            len(part.layers),
            alone,
            back,
            1 - back.mean / whole if whole else None,
            relative(sum(one[0] for one in sums), sum(one[1] for one in sums)) if sums else None,
            self.parameters(part.layers),
            saved,
        )


def parameters(reference: nn.Module) -> Callable[[Iterable[str]], int]:
    """What counts the weights of layers that can be quantized; of what is tied, those of one."""
    held: dict[str, dict[object, int]] = defaultdict(dict)
    for site in sites(reference).values():
        if site.parameter is not None:
            held[site.owner_name][alias_of(site.parameter)] = site.parameter.numel()

    def count(names: Iterable[str]) -> int:
        return sum({key: size for name in names for key, size in held[name].items()}.values())

    return count
