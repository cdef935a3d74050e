"""A variant of a model is made: told while it is, kept where it took long, and within the time that
a host allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from typing import TypeVar
from weakref import ref

from torch import nn

from qdemo.compress.building import Quantizing, building, unheld
from qdemo.compress.footprint import footprint
from qdemo.compress.quantizing import needs
from qdemo.compress.stats import Stats, n_bytes
from qdemo.engine import calibrating
from qdemo.engine.estimating import kind, seconds, too_long
from qdemo.engine.keeping import Keeping, Made
from qdemo.models.families.base import device_of
from qdemo.models.loading import Loaded
from qdemo.spec.report import Making
from qdemo.spec.variant import Variant

Step = TypeVar("Step")
Result = TypeVar("Result")

_LATE = 2
"""So many times the seconds that are allowed, whatever was expected, and it is given up."""


def plainly(model: nn.Module, variant: Variant) -> Generator[Making, None, nn.Module]:
    """That variant, of what needs no statistics of layers' inputs; nothing is kept.

    Raises:
        ValueError: as `build`.
    """
    return (yield from _told(building(model, variant), variant))


def made(
    loaded: Loaded, variant: Variant, keeping: Keeping, most_s: int | None = None
) -> Generator[Making, None, nn.Module]:
    """That variant of a model. One whose numbers take long to find is kept, and so is what is known
    of layers' inputs; what a kept one holds in the same step is not found again.

    Raises:
        ValueError: as `build`; or the model can't take its calibration inputs; or it is likely to
            take more than `most_s` seconds, or has taken twice as many.
        MemoryError: there is no room for what has to be known of the layers' inputs.
    """
    key = loaded.entry.name, str(variant)
    kept = keeping.made.get(key)
    if kept is not None and (found := kept.by(loaded.model)) is not None:
        return found
    built = yield from _in_time(_made(loaded, variant, keeping, most_s), variant, most_s)
    if variant.is_found:
        keeping.made.put(key, Made(ref(loaded.model), built), footprint(built).total)
    return built


def _made(
    loaded: Loaded, variant: Variant, keeping: Keeping, most_s: int | None
) -> Generator[Making, None, nn.Module]:
    calibrating.know_reads(loaded)
    others = [model for one in keeping.made.values() if (model := one.by(loaded.model)) is not None]
    left, share = unheld(loaded.model, variant, others)
    wanted = frozenset[str]().union(*(needs(step) for step in left.values()))
    kept = keeping.stats.get(loaded.entry.name)
    known = None if kept is None else kept.by(loaded.model)
    is_known = known is not None and not _lack(known, wanted)
    pairs = calibrating.fitted(calibrating.pairs(loaded)) if wanted and not is_known else []
    is_cpu = device_of(loaded.model).type == "cpu"  # where the seconds were measured
    if most_s is not None and is_cpu and variant.is_found:
        weights = round(share * loaded.parameters)
        expected = seconds(variant, weights, len(pairs), kind(loaded.entry))
        if expected > most_s:
            raise ValueError(too_long(variant, expected, most_s))
    if wanted and not is_known:
        steps = calibrating.own_statistics(loaded, pairs, "hessian" in wanted)
        known = yield from _counted(steps, variant, len(pairs))
        keeping.stats.put(loaded.entry.name, Made(ref(loaded.model), known), n_bytes(known))
    return (yield from _told(building(loaded.model, variant, known, others), variant))


def _lack(known: Mapping[str, Stats], wanted: frozenset[str]) -> bool:
    return "hessian" in wanted and any(one.hessian is None for one in known.values())


def _counted(
    steps: Generator[int, None, dict[str, Stats]], variant: Variant, count: int
) -> Generator[Making, None, dict[str, Stats]]:
    """How many inputs are through."""
    return (yield from _each(steps, lambda done: Making(str(variant), done, count, "inputs")))


def _told(
    steps: Generator[Quantizing, None, nn.Module], variant: Variant
) -> Generator[Making, None, nn.Module]:
    """Which layer's turn it is, of what takes more than a moment."""
    is_told = variant.is_found

    def told(at: Quantizing) -> Making | None:
        return Making(str(variant), at.number, at.count) if is_told else None

    return (yield from _each(steps, told))


def _in_time(
    steps: Generator[Making, None, nn.Module], variant: Variant, most_s: int | None
) -> Generator[Making, None, nn.Module]:
    """What takes far longer than was expected does not hold up everyone else."""
    until = time.monotonic() + _LATE * (most_s or 0)

    def in_time(step: Making) -> Making:
        if most_s is not None and time.monotonic() > until:
            raise ValueError(too_long(variant, _LATE * most_s, most_s))
        return step

    return (yield from _each(steps, in_time))


def _each(
    steps: Generator[Step, None, Result], told: Callable[[Step], Making | None]
) -> Generator[Making, None, Result]:
    """What is told of each step, and what they come to; who ends this ends them."""
    with closing(steps):
        while True:
            try:
                step = next(steps)
            except StopIteration as end:
                result: Result = end.value
                return result
            if (making := told(step)) is not None:
                yield making
