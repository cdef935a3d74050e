"""Variants of a model: what is asked for, layer by layer."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn

from qdemo.compress import layers, mixed
from qdemo.compress.convert import cast, freezing, like, rebuild, swap, tensors
from qdemo.compress.kinds import multiplies
from qdemo.compress.layers import Plan
from qdemo.compress.modules import QLinear, QModule, QWeight
from qdemo.compress.quantizing import needs, say_missing, without_inputs
from qdemo.compress.stats import Stats
from qdemo.compress.ties import alias_of
from qdemo.spec.formats import FORMATS
from qdemo.spec.step import Step
from qdemo.spec.variant import Variant

Model = TypeVar("Model", bound=nn.Module)
Result = TypeVar("Result")


@dataclass(frozen=True)
class Quantizing:
    """A layer's turn has come, the `number`th of `count`, from 1 on."""

    name: str
    number: int
    count: int


def build(reference: Model, variant: Variant, stats: Mapping[str, Stats] | None = None) -> Model:
    """That variant of `reference`, which is untouched; what needs no change is shared with it.

    `stats` are of what the layers of `reference` that multiply are given, by name, of
    `collect_stats`: recipes with -gptq, -awq or -sq need them.

    Raises:
        ValueError: a layer does not fit its scheme, a weight is NaN or infinite, an exception finds
            nothing, nothing is left to quantize, statistics are missing, or a part of the variant
            is not built yet.
    """
    return at_once(building(reference, variant, stats))


def building(
    reference: Model,
    variant: Variant,
    stats: Mapping[str, Stats] | None = None,
    kept: Iterable[nn.Module] = (),
) -> Generator[Quantizing, None, Model]:
    """The same layer by layer, so that it can be shown, and stopped by closing it. `kept` are
    variants of the same model that were built with the same statistics: weights that they hold in
    the same step are shared with them, and not found again."""
    variant.check_built()
    plan, compute = layers.plan(reference, variant), FORMATS[variant.compute]
    if plan.schemes:
        found = _held(plan, kept)
        _check_stats(plan, stats, found)
        built = rebuild(reference)
        swap(built, plan.schemes, plan.activations, plan.recipes)
        for number, name in enumerate(freezing(built, stats or {}, found), 1):
            yield Quantizing(name, number, len(plan.schemes))
        built = built if is_in(built, compute.dtype) else rebuild(built, compute.dtype)
    else:
        built = cast(reference, compute)
    if casts := {name: held for name, held in plan.casts.items() if held != variant.compute}:
        _except(built, reference, casts, variant.compute)
    return built


def at_once(steps: Generator[object, None, Result]) -> Result:
    """What they come to, without looking at any of them.

    >>> at_once(building(nn.Sequential(nn.Linear(2, 2)), Variant.parse("int8"))).training
    True
    """
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: Result = end.value
            return result


def needed(variant: Variant) -> frozenset[str]:
    """What of `Stats` a variant can't be built without."""
    steps = [variant.default, *(step for _, step in variant.exceptions)]
    return frozenset().union(*(needs(step) for step in steps if step.scheme is not None))


def unheld(
    reference: nn.Module, variant: Variant, kept: Iterable[nn.Module]
) -> tuple[dict[str, Step], float]:
    """What has to be found for a variant that none of the `kept` ones holds, by the name of the
    layer; and its share of the weights that are quantized.

    Raises:
        ValueError: as `build`.
    """
    plan = layers.plan(reference, variant)
    found = _held(plan, kept)
    left = {name: plan.step(name) for name in plan.schemes if name not in found}
    sizes = {name: weight.numel() for name, site in plan.sites.items()
             if (weight := site.parameter) is not None}  # fmt: skip
    return left, sum(sizes.get(name, 0) for name in left) / (sum(sizes.values()) or 1)


def _held(plan: Plan, kept: Iterable[nn.Module]) -> dict[str, QWeight]:
    """Weights that others hold as the plan wants them; what an input becomes is no part of them."""
    found: dict[str, QWeight] = {}
    for model in kept:
        modules = dict(model.named_modules())
        for name in plan.schemes.keys() - found.keys():
            module, step = modules.get(name), plan.step(name)
            if plan.sites[name].kind.made is not QLinear:
                step = without_inputs(step)
            if (
                isinstance(module, QModule)
                and module.frozen
                and (module.scheme, module.recipe) == (step.scheme, step.recipe)
            ):
                found[name] = module.quantized
    return found


def _check_stats(
    plan: Plan, stats: Mapping[str, Stats] | None, found: Mapping[str, QWeight]
) -> None:
    """Whether there is what recipes need, before anything is done."""
    for name in plan.recipes.keys() - found.keys():
        owner = plan.sites[name].owner
        is_meta = any(parameter.is_meta for parameter in owner.parameters(recurse=False))
        step = plan.step(name)
        if needs(step) and multiplies(owner) and not is_meta and name not in (stats or {}):
            raise ValueError(f"{name}: {say_missing(step)}")


def _except(model: nn.Module, reference: nn.Module, casts: Mapping[str, str], compute: str) -> None:
    """Give the modules of those names the floats of `reference`, each in its format, in place.

    They can't be cast back from `model`, whose values are rounded by now. What is tied within one
    format stays one Parameter; an end that is no exception keeps its own.
    """
    made: dict[object, Tensor] = {}
    for name, format in casts.items():
        module, dtype = model.get_submodule(name), FORMATS[format].dtype
        for key, tensor in _own_floats(reference.get_submodule(name)):
            alias = alias_of(tensor), type(tensor), format
            if alias not in made:
                made[alias] = like(tensor, tensor.detach().to(dtype))
            setattr(module, key, made[alias])
    mixed.join(model, casts, compute)


def _own_floats(module: nn.Module) -> Iterator[tuple[str, Tensor]]:
    if isinstance(module, QWeight):
        return
    for named in (module.named_parameters, module.named_buffers):
        for key, tensor in named(recurse=False, remove_duplicate=False):
            if tensor.is_floating_point():
                yield key, tensor


def is_in(model: nn.Module, dtype: torch.dtype) -> bool:
    """Whether all that is float in it has that dtype, and all that is quantized computes in it."""
    floats = {tensor.dtype for tensor, to_cast in tensors(model) if to_cast}
    computed = {m.compute_dtype for m in model.modules() if isinstance(m, QModule)}
    return floats | computed <= {dtype}
