"""Which layers can be quantized, and what a variant makes of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from qdemo.compress.modules import QEmbedding, QLinear, QModule
from qdemo.spec.messages import say
from qdemo.spec.scheme import Scheme
from qdemo.spec.step import Activations, Recipe, Step
from qdemo.spec.variant import Variant

QUANTIZED: dict[type[nn.Module], type[QModule]] = {nn.Linear: QLinear, nn.Embedding: QEmbedding}
"""What takes over a layer, by its exact class: a subclass may read its weight in its own way."""

EMBEDDINGS = frozenset(kind for kind, made in QUANTIZED.items() if issubclass(made, QEmbedding))
"""Those that are taken only where they are asked for: +emb, `embeddings=True`, or by name."""


@dataclass(frozen=True)
class Plan:
    """What a variant makes of a model, by name: the `schemes` of the layers that are quantized, the
    `activations` of those that round their input, the `recipes` of those whose numbers are not just
    rounded, and the format (`casts`) of the modules whose own floats are an exception. `asked` are
    the schemes of layers that get another instead, as their rows are too short for it."""

    schemes: dict[str, Scheme]
    activations: dict[str, Activations]
    recipes: dict[str, Recipe]
    casts: dict[str, str]
    asked: dict[str, Scheme]


def plan(model: nn.Module, variant: Variant) -> Plan:
    """What `variant` makes of each module of `model`, by the first of its names.

    Raises:
        ValueError: an exception names no module, or one without anything that it could apply to;
            or nothing is left to quantize.
    """
    excepted = _excepted(model, variant)
    schemes: dict[str, Scheme] = {}
    activations: dict[str, Activations] = {}
    recipes: dict[str, Recipe] = {}
    casts: dict[str, str] = {}
    asked: dict[str, Scheme] = {}
    for name, module in model.named_modules():
        step, by_name = excepted.get(id(module), (variant.default, False))
        if step.cast is not None:
            casts[name] = step.cast
        elif step.scheme is not None and takes(module, variant.embeddings or by_name):
            schemes[name] = fitted(step.scheme, module)
            if schemes[name] != step.scheme:
                asked[name] = step.scheme
            if step.activations.bits:
                activations[name] = step.activations
            if step.recipe != Recipe():
                recipes[name] = step.recipe
    if variant.scheme is not None and not schemes:
        raise ValueError(
            say("nothing to quantize: {format} leaves no layer", format=str(variant)[:60])
        )
    if "" in schemes:
        refuse_root(model)
    return Plan(schemes, activations, recipes, casts, asked)


def fitted(scheme: Scheme, layer: Any) -> Scheme:
    """The scheme that a layer gets where `scheme` is asked for: see `Scheme.for_rows`."""
    return scheme.for_rows(int(layer.weight.shape[1]))


def takes(module: nn.Module, embeddings: bool) -> bool:
    """Whether a module can be quantized, and is asked for if it counts as an embedding."""
    return type(module) in QUANTIZED and (embeddings or type(module) not in EMBEDDINGS)


def chosen(
    model: nn.Module, embeddings: bool, include: list[str], exclude: list[str]
) -> dict[str, nn.Module]:
    """The layers that fnmatch patterns of names mean, by name; a pattern may mean any name."""
    if takes(model, embeddings):
        refuse_root(model)
    named = list(model.named_modules(remove_duplicate=False))
    left = {id(module) for name, module in named if _matches(name, exclude)}
    found: dict[int, tuple[str, nn.Module]] = {}
    for name, module in named:
        if takes(module, embeddings) and _matches(name, include) and id(module) not in left:
            found.setdefault(id(module), (name, module))
    return dict(found.values())


def take_over(layer: nn.Module, scheme: Scheme) -> QModule:
    """What stands for that layer, with its very Parameters.

    Raises:
        ValueError: the scheme does not fit the layer.
    """
    make: Any = QUANTIZED[type(layer)]  # each takes the class that it stands for
    made: QModule = make(layer, fitted(scheme, layer))
    return made


def refuse_root(model: nn.Module) -> None:
    """A layer is swapped in its parent, which a model that is a layer itself has not."""
    raise ValueError(
        say("cannot swap the model itself, a {name}; wrap it first", name=type(model).__name__)
    )


def _excepted(model: nn.Module, variant: Variant) -> dict[int, tuple[Step, bool]]:
    """The step of each module that is an exception, and whether it is named itself, by identity:
    a module that is used twice is meant by each of its names."""
    found: dict[int, tuple[Step, bool]] = {}
    for name, step in variant.exceptions:
        text = f"~{name[:60]}={step}"
        try:
            top = model.get_submodule(name)
        except AttributeError:
            raise ValueError(say("the model has no such module: {text}", text=text)) from None
        if not any(_applies(step, m, variant.embeddings or m is top) for m in top.modules()):
            if step.scheme is None:
                raise ValueError(say("{text} finds nothing to cast", text=text))
            raise ValueError(say("{text} finds no layer to quantize", text=text))
        for module in top.modules():
            found.setdefault(id(module), (step, module is top))
    return found


def _applies(step: Step, module: nn.Module, embeddings: bool) -> bool:
    if step.scheme is not None:
        return takes(module, embeddings)
    return any(p.is_floating_point() for p in module.parameters(recurse=False))


def _matches(name: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
