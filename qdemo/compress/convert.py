"""Cast a model, quantize it, freeze it."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from qdemo.compress import layers
from qdemo.compress.kinds import Site, sites
from qdemo.compress.modules import QLinear, QModule, QWeight
from qdemo.compress.parameter import QParameter, put
from qdemo.compress.quantizing import needs, quantize_weight, without_inputs
from qdemo.compress.stats import Stats
from qdemo.compress.ties import alias_of, note_split
from qdemo.numerics.casting import CastCount, count_cast, float_format
from qdemo.spec.formats import Format, get_format
from qdemo.spec.messages import say
from qdemo.spec.scheme import Scheme
from qdemo.spec.step import Activations, Recipe, Step

Model = TypeVar("Model", bound=nn.Module)


def cast(model: Model, format: str | torch.dtype | Format) -> Model:
    """A new model whose float parameters and buffers have that format; `model` is untouched.

    Integer buffers keep their dtype, tied parameters stay tied, and quantized weights keep their
    integers and scales: only what they compute in changes. The copy is made tensor by tensor.

    Raises:
        ValueError: the format is unknown, an integer format, or below 16 bits.
    """
    target = float_format(format)
    if target.bits < 16:
        raise ValueError(
            say(
                "torch computes nothing in {target}: store the weights in it instead, with "
                'quantize(model, weights="{target}")',
                target=target,
            )
        )
    return rebuild(model, target.dtype, copies=True)


def cast_counts(
    model: nn.Module, format: str | torch.dtype | Format
) -> Iterator[tuple[str, CastCount]]:
    """What `cast(model, format)` does to the values of each float parameter, by name.

    Raises:
        ValueError: the format is unknown or an integer format.
    """
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point():
            yield name, count_cast(parameter, format)


def rebuild(
    model: Model,
    dtype: torch.dtype | None = None,
    device: str | torch.device | None = None,
    copies: bool = False,
) -> Model:
    """New modules over the tensors of `model`, in which floats have `dtype` where one is given.

    Tensors that stay what and where they are share the model's memory, unless `copies`. On
    `device="meta"` it has all shapes and no memory.
    """
    memo: dict[int, Any] = {id(held): type(held)() for held in _empty(model)}
    seen: dict[object, Tensor] = {}
    for tensor, to_cast in tensors(model):
        alias = alias_of(tensor), type(tensor)
        if alias not in seen:
            wanted = dtype if dtype is not None and to_cast else tensor.dtype
            seen[alias] = like(tensor, tensor.detach().to(device, wanted, copy=copies))
        memo[id(tensor)] = seen[alias]
    rebuilt = copy.deepcopy(model, memo)  # deepcopy takes the tensors that the memo has for it
    for module in rebuilt.modules():
        if isinstance(module, QModule):
            module.compute_dtype = dtype or module.compute_dtype
    return rebuilt


def _empty(model: nn.Module) -> Iterator[Any]:
    """Dicts in which nothing is, such as a module has a dozen of for hooks: they took most of the
    time of `deepcopy`."""
    for module in model.modules():
        for held in vars(module).values():
            if type(held) in (dict, OrderedDict) and not held:
                yield held


def quantize(
    model: nn.Module,
    weights: str | torch.dtype | Scheme = "int8",
    *,
    include: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] | None = None,
    embeddings: bool = False,
) -> None:
    """Swap the layers of `model` that multiply, in place, for ones that round their weights: Linear
    ones and what transformers has like them, and experts.

    They hold the same float Parameters and train on; `freeze` makes them integers. `embeddings`
    takes the Embedding layers too. `include` and `exclude` are fnmatch patterns of module names; a
    convolution is taken where `include` has its very name. What is tied is taken whole or not at
    all, unless the patterns mean one end alone. Nothing is changed when a layer does not fit the
    scheme. Ties are settled from then on: transformers' `tie_weights()` no longer applies.

    Raises:
        ValueError: a bad scheme or dtype, a layer that it does not fit, or no layer at all.
    """
    scheme = _as_scheme(weights)
    chosen = layers.chosen(model, embeddings, _patterns(include) or ["*"], _patterns(exclude))
    if not chosen:
        raise ValueError(
            say(
                "nothing to quantize: include={include}, exclude={exclude} leave no layer",
                include=include,
                exclude=exclude,
            )
        )
    swap(model, dict.fromkeys(chosen, scheme))


def freeze(model: nn.Module) -> None:
    """Make the weights of all that `quantize` took integers, in place.

    Weights that are tied and have the same scheme share one QWeight. Each float weight is let go
    as soon as its integers exist.

    Raises:
        ValueError: a weight is NaN or infinite; the layers before it are frozen by then.
    """
    for _ in freezing(model):
        pass


def freezing(
    model: nn.Module,
    stats: Mapping[str, Stats] = MappingProxyType({}),
    found: Mapping[str, QWeight] = MappingProxyType({}),
) -> Iterator[str]:
    """The same layer by layer: the name of each is given before its turn comes. `stats` are of the
    layers' inputs, by name, for recipes that need them; `found` are weights that are known, by the
    name of the layer, and are not found again.

    Raises:
        ValueError: as `freeze`; or there are no statistics of a layer that needs them.
    """
    shared: dict[object, QWeight] = {}
    for name, module in model.named_modules():
        if not isinstance(module, QModule) or module.frozen:
            continue
        yield name
        step, own = _found_by(module, stats.get(name))
        # Tied weights are found apart where their inputs differ; of shapes alone, as if they did.
        inputs = own or (name if step is not None and needs(step) else None)
        key = alias_of(module.weight), module.layout, step or module.scheme, inputs
        if key not in shared and name in found:
            shared[key] = found[name]
        elif key not in shared:
            with naming(name):
                shared[key] = QWeight(
                    module.qweight if step is None else quantize_weight(module.matrix, step, own)
                )
        module.freeze(shared[key])


def _found_by(module: QModule, stats: Stats | None) -> tuple[Step | None, Stats | None]:
    """The step of a module whose numbers are not just rounded, and the statistics that it needs."""
    if module.recipe == Recipe():
        return None, None
    step = module.step if isinstance(module, QLinear) else without_inputs(module.step)
    return step, stats if needs(step) else None


def tensors(model: nn.Module) -> Iterator[tuple[Tensor, bool]]:
    """Every parameter and buffer, and whether a cast changes its dtype."""
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            yield parameter, parameter.is_floating_point()
        for buffer in module.buffers(recurse=False):
            yield buffer, buffer.is_floating_point() and not isinstance(module, QWeight)


def like(tensor: Tensor, value: Tensor) -> Tensor:
    """`value` as what `tensor` is: a Parameter, or not."""
    if isinstance(tensor, nn.Parameter):
        return nn.Parameter(value, requires_grad=tensor.requires_grad)
    return value


def _as_scheme(weights: str | torch.dtype | Scheme) -> Scheme:
    if isinstance(weights, Scheme):
        return weights
    return Scheme.parse(weights if isinstance(weights, str) else get_format(weights).name)


def _patterns(patterns: str | Sequence[str] | None) -> list[str]:
    return [patterns] if isinstance(patterns, str) else list(patterns or [])


def swap(
    model: nn.Module,
    schemes: Mapping[str, Scheme],
    activations: Mapping[str, Activations] = MappingProxyType({}),
    recipes: Mapping[str, Recipe] = MappingProxyType({}),
) -> None:
    """Quantize the weights of those names (`kinds.sites`), in place; none where one does not fit
    its scheme."""
    every = sites(model)
    made: dict[str, QModule] = {}
    for name, scheme in schemes.items():
        with naming(name):
            own = made[name] = every[name].taken_over(scheme.for_rows(every[name].columns))
        own.activations = activations.get(name, own.activations)
        own.recipe = recipes.get(name, own.recipe)
        if not isinstance(own, QLinear) and own.recipe != Recipe():
            own.recipe = without_inputs(own.step).recipe
        if isinstance(own, QParameter):
            own.activations = Activations()
    _put(model, [(every[name], own) for name, own in made.items()])
    note_split(model)


def _put(model: nn.Module, made: Sequence[tuple[Site, QModule]]) -> None:
    """Each in its place: a layer in every parent that it has, a weight in its layer."""
    swaps = {id(site.owner): own for site, own in made if site.is_layer}
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):  # named_children() skips a second use
            if id(child) in swaps:
                setattr(parent, name, swaps[id(child)])
    for site, own in made:
        if isinstance(own, QParameter):
            put(site.owner, site.key, own)


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Say in an error which layer it is about."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
