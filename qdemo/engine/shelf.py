"""The models of one process, on the device that computes, loaded once, and let go for others; and
what a model would hold in each format, which is found without its weights."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

from qdemo.engine import devices, heap
from qdemo.engine.first import libraries
from qdemo.engine.keeping import Keeping
from qdemo.models.availability import UnavailableError, get_entry
from qdemo.models.catalogue import Entry
from qdemo.settings import Settings
from qdemo.spec.footprint import Coverage, Footprint
from qdemo.spec.report import Making
from qdemo.spec.variant import Variant

if TYPE_CHECKING:
    import torch
    from torch import nn

    from qdemo.measure.measure import Inputs
    from qdemo.models.loading import Loaded

_LOGGER = logging.getLogger("qdemo")


class Shelf:
    """What is loaded, with what is kept beside it."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is loaded yet."""
        self.settings = settings
        self.keeping = Keeping(settings)
        self._loading = Lock()

    @cached_property
    def device(self) -> torch.device:
        """Where it computes: QDEMO_DEVICE, or --device.

        Raises:
            UnavailableError: there is no such device here.
        """
        libraries()
        try:
            return devices.chosen(self.settings.device)
        except ValueError as error:
            raise UnavailableError(str(error)) from None

    def loaded(self, entry: Entry) -> Loaded:
        """The model; who asks while it is being loaded waits, and does not load it again.

        Raises:
            UnavailableError: it is not on this machine, or there is no room for it.
        """
        libraries()
        import torch

        from qdemo.models import loading
        from qdemo.models.checkpoint import parameters_of

        found = self.keeping.models.get(entry.name)
        if found is not None:  # without the lock, of which a fork might have a copy that is held
            return found  # type: ignore[return-value]
        with self._loading:
            found = self.keeping.models.get(entry.name)
            if found is None:
                parameters = parameters_of(entry)
                # A GPU that is lent for a call is not there before and after it.
                device = "cpu" if devices.is_lent() else self.device
                self._make_room(entry, parameters, device)
                with torch.inference_mode(False):  # a caller's own ends at its thread
                    found = loading.load(entry, device)
                self.keeping.models.put(entry.name, found, 4 * parameters)
            loaded: Loaded = found  # type: ignore[assignment]
            return loaded

    def _make_room(self, entry: Entry, parameters: int, device: torch.device | str) -> None:
        """Let go of other models, the one not used longest first, until there is room."""
        from qdemo.models.memory import check_memory

        while True:
            try:
                return check_memory(entry, parameters, device)
            except UnavailableError:
                if not (self.keeping.forget_made() or self.keeping.models.forget_oldest()):
                    raise
                heap.collect()

    def inputs_of(self, loaded: Loaded) -> Inputs:
        """The model's calibration inputs, collected when they are first asked for; none where the
        model can't take them, as a host's own may be: then what needs them has no figure."""
        from qdemo.engine import calibrating

        name = loaded.entry.name
        found = self.keeping.inputs.get(name)
        if found is None:
            rows = calibrating.rows_for(loaded.parameters)
            try:
                pairs = calibrating.pairs(loaded)
                found = calibrating.collect(loaded, pairs, rows, calibrating.quarter(len(pairs)))
            except ValueError as error:
                _LOGGER.warning("%s has no calibration inputs: %s", name, error)
                found = {}
            self.keeping.inputs.put(name, found, sum(x.nbytes for x in found.values()))
        return found

    def made(
        self, loaded: Loaded, variant: Variant, most_s: int | None = None
    ) -> Generator[Making, None, nn.Module]:
        """That variant of a model, told while it is made.

        Raises:
            ValueError: as `build`; or the model can't take its calibration inputs; or it is likely
                to take more than `most_s` seconds.
            MemoryError: there is no room for what has to be known of the layers' inputs.
        """
        from qdemo.engine.making import made

        return made(loaded, variant, self.keeping, most_s)


@dataclass(frozen=True)
class Sized:
    """What a model holds in one format, and how much of it is quantized."""

    format: str
    footprint: Footprint
    coverage: Coverage
    bits_per_weight: float | None


def linear_layers(shapes: nn.Module) -> int:
    """How many layers of a model multiply, as Linear does."""
    from qdemo.compress.kinds import multiplies

    return sum(multiplies(module) for module in shapes.modules())


def sizes(model: str, variants: Iterable[Variant], tied: bool | None = None) -> Iterator[Sized]:
    """What a model holds in each format; found without its weights.

    Raises:
        ValueError: there is no such model, or a format does not fit it.
    """
    libraries()
    from qdemo.models.loading import skeleton

    return sized(skeleton(get_entry(model), tied), variants)


def sized(shapes: nn.Module, variants: Iterable[Variant]) -> Iterator[Sized]:
    """What a model of such shapes holds in each format.

    Raises:
        ValueError: a format does not fit it.
    """
    from qdemo.compress.building import build
    from qdemo.compress.footprint import bits_per_weight, coverage, footprint

    for variant in variants:
        built = build(shapes, variant)
        reached = coverage(built, shapes, variant)
        yield Sized(str(variant), footprint(built), reached, bits_per_weight(built))
