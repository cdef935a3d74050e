"""What is asked of a model layer by layer, from its name to the result: for the page, the API and
the terminal. What is told on the way comes first, and the result last."""

from __future__ import annotations

from collections.abc import Generator, Sequence

from torch import nn

from qdemo.compress.layers import steps
from qdemo.engine.calibrating import know_reads
from qdemo.engine.engine import Engine
from qdemo.engine.mixing import check_formats, mix
from qdemo.engine.sensitivity import sensitivity
from qdemo.models.availability import get_entry
from qdemo.models.loading import Loaded
from qdemo.spec.exports import Export, exports
from qdemo.spec.mix import Mix, Target
from qdemo.spec.report import Making
from qdemo.spec.sensitivity import By, Sensitivity, Trying
from qdemo.spec.variant import Variant


def sensitivity_of(
    engine: Engine, model: str, variant: Variant, by: By, items: int, most_s: int | None = None
) -> Generator[Making | Trying | Sensitivity]:
    """Which part of a model hurts; a method may take `most_s` seconds.

    Raises:
        ValueError: as `made` and `sensitivity`; or there is no such model.
        UnavailableError: the model can't be had.
    """
    loaded = _loaded(engine, model)
    built = yield from engine.made(loaded, variant, most_s)
    yield (yield from sensitivity(loaded, variant, built, engine.inputs_of(loaded), by, items))


def mix_of(
    engine: Engine,
    model: str,
    formats: Sequence[Variant],
    target: Target,
    by: By,
    items: int,
    most_s: int | None = None,
) -> Generator[Making | Trying | Mix]:
    """The mix of formats for a target.

    Raises:
        ValueError: as `made` and `mix`; or there is no such model.
        UnavailableError: the model can't be had.
    """
    check_formats(formats)
    loaded = _loaded(engine, model)
    built: dict[Variant, nn.Module] = {}
    for variant in formats:
        built[variant] = yield from engine.made(loaded, variant, most_s)
    yield (yield from mix(loaded, built, target, by, items))


def exports_of(engine: Engine, model: str, variant: Variant) -> tuple[Export, ...]:
    """A variant of a model, as other tools take it.

    Raises:
        ValueError: there is no such model, or the variant does not fit it.
        UnavailableError: the model can't be had.
    """
    return exports(steps(_loaded(engine, model).model, variant))


def _loaded(engine: Engine, model: str) -> Loaded:
    loaded = engine.loaded(get_entry(model))
    know_reads(loaded)
    return loaded
