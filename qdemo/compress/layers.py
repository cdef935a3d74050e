"""What a variant makes of each weight that can be quantized."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from qdemo.compress.kinds import Site, sites
from qdemo.compress.ties import torn
from qdemo.spec.messages import say
from qdemo.spec.scheme import Scheme
from qdemo.spec.step import Activations, Recipe, Step
from qdemo.spec.variant import Variant


@dataclass(frozen=True)
class Plan:
    """What a variant makes of a model, by name: the `schemes` of the weights that are quantized
    (`sites`), the `activations` of those whose layers round their input, the `recipes` of those
    whose numbers are not just rounded, and the format (`casts`) of the modules whose own floats are
    an exception. `asked` are the schemes of weights that get another instead, as their rows are too
    short for it."""

    sites: dict[str, Site]
    schemes: dict[str, Scheme]
    activations: dict[str, Activations]
    recipes: dict[str, Recipe]
    casts: dict[str, str]
    asked: dict[str, Scheme]

    def step(self, name: str) -> Step:
        """What is asked of the weight of that name, in the scheme that it gets."""
        return Step(
            self.schemes[name],
            self.recipes.get(name, Recipe()),
            self.activations.get(name, Activations()),
        )


@dataclass(frozen=True)
class _Asked:
    """What is asked of a module: by the name of an exception, or by the default; `is_named` where
    it is the very module that the exception names."""

    step: Step
    by: str | None = None
    is_named: bool = False


def plan(model: nn.Module, variant: Variant) -> Plan:
    """What `variant` makes of each module of `model`, by the first of its names.

    Raises:
        ValueError: an exception names no module, or one without anything that it could apply to;
            or nothing is left to quantize.
    """
    every = sites(model)
    excepted, default = _excepted(model, variant, every), _Asked(variant.default)

    def asked(module: nn.Module) -> _Asked:
        return excepted.get(id(module), default)

    named = ((name, asked(module).step.cast) for name, module in model.named_modules())
    casts = {name: cast for name, cast in named if cast is not None}
    taken = {
        name: site
        for name, site in every.items()
        if asked(site.owner).step.scheme is not None
        and wants(site, variant.embeddings, asked(site.owner).is_named)
    }
    left = torn(model, taken, lambda module: asked(module).by)
    steps = {name: asked(site.owner).step for name, site in taken.items() if name not in left}
    found = _planned({name: taken[name] for name in steps}, steps, casts)
    if variant.scheme is not None and not found.schemes:
        raise ValueError(
            say("nothing to quantize: {format} leaves no layer", format=str(variant)[:60])
        )
    if "" in found.schemes:
        refuse_root(model)
    return found


def _planned(taken: dict[str, Site], steps: Mapping[str, Step], casts: dict[str, str]) -> Plan:
    asked = {name: step.scheme for name, step in steps.items() if step.scheme is not None}
    schemes = {name: scheme.for_rows(taken[name].columns) for name, scheme in asked.items()}
    return Plan(
        sites=taken,
        schemes=schemes,
        activations={n: step.activations for n, step in steps.items() if step.activations.bits},
        recipes={n: step.recipe for n, step in steps.items() if step.recipe != Recipe()},
        casts=casts,
        asked={name: scheme for name, scheme in asked.items() if scheme != schemes[name]},
    )


def steps(model: nn.Module, variant: Variant) -> dict[str, Step]:
    """What becomes of each layer that formats quantize wherever they say nothing of it, and of what
    else is quantized here, by the name of the layer; what stays float is cast to fp32.

    Raises:
        ValueError: as `plan`.
    """
    found = plan(model, variant)
    return {
        site.owner_name: found.step(name) if name in found.sites else Step(cast="fp32")
        for name, site in sites(model).items()
        if name in found.sites or site.kind.asked == "default"
    }


def wants(site: Site, embeddings: bool, is_named: bool) -> bool:
    """Whether a weight is asked for: embeddings are with +emb, and all are by name."""
    asked = site.kind.asked
    return is_named or asked == "default" or (asked == "embedding" and embeddings)


def chosen(
    model: nn.Module, embeddings: bool, include: list[str], exclude: list[str]
) -> dict[str, Site]:
    """The weights that fnmatch patterns of names mean, by name; a pattern may mean any name, and a
    convolution is meant where its very name is given."""
    names: dict[int, list[str]] = defaultdict(list)
    for name, module in model.named_modules(remove_duplicate=False):
        names[id(module)].append(name)

    def meant(module: nn.Module, *more: str) -> bool:
        every = [*names[id(module)], *more]
        return _match(every, include) and not _match(every, exclude)

    found = {
        name: site
        for name, site in sites(model).items()
        if meant(site.owner, name)
        and wants(site, embeddings, bool({*names[id(site.owner)], name}.intersection(include)))
    }
    if "" in found:
        refuse_root(model)
    left = torn(model, found, meant)
    return {name: site for name, site in found.items() if name not in left}


def refuse_root(model: nn.Module) -> None:
    """A layer is swapped in its parent, which a model that is a layer itself has not."""
    raise ValueError(
        say("cannot swap the model itself, a {name}; wrap it first", name=type(model).__name__)
    )


def _excepted(model: nn.Module, variant: Variant, every: Mapping[str, Site]) -> dict[int, _Asked]:
    """What is asked of each module that is an exception, by identity: a module that is used twice
    is meant by each of its names."""
    found: dict[int, _Asked] = {}
    owned: dict[int, list[Site]] = defaultdict(list)
    for site in every.values():
        owned[id(site.owner)].append(site)
    for name, step in variant.exceptions:
        text = f"~{name[:60]}={step}"
        try:
            top = model.get_submodule(name)
        except AttributeError:
            raise ValueError(say("the model has no such module: {text}", text=text)) from None
        asked = {id(m): _Asked(step, name, m is top) for m in top.modules()}
        if step.scheme is None:
            if not any(_has_floats(module) for module in top.modules()):
                raise ValueError(say("{text} finds nothing to cast", text=text))
        elif not any(
            wants(site, variant.embeddings, one.is_named)
            for owner, one in asked.items()
            for site in owned[owner]
        ):
            raise ValueError(say("{text} finds no layer to quantize", text=text))
        found = asked | found
    return found


def _has_floats(module: nn.Module) -> bool:
    return any(p.is_floating_point() for p in module.parameters(recurse=False))


def _match(names: Iterable[str], patterns: Iterable[str]) -> bool:
    patterns = list(patterns)
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)
