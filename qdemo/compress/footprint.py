"""The bytes that a model really holds, and how much of it is quantized."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from qdemo.compress.convert import tensors
from qdemo.compress.kinds import Site, kind_of, sites
from qdemo.compress.layers import plan
from qdemo.compress.modules import QModule, QWeight
from qdemo.compress.parameter import QParameter
from qdemo.compress.probing import read_elsewhere
from qdemo.compress.quantizing import without_inputs
from qdemo.compress.ties import alias_of
from qdemo.numerics.insides import memory_of
from qdemo.spec.footprint import KINDS, Coverage, Footprint, Instead, Left, SplitTie
from qdemo.spec.variant import Variant

__all__ = ["KINDS", "Footprint", "bits_per_weight", "coverage", "footprint"]

_WEIGHTS, _SCALES, _FLOATS, _BUFFERS = KINDS


def footprint(model: nn.Module) -> Footprint:
    """Count the bytes of every parameter and buffer of `model`; meta tensors as if they had them.

    >>> footprint(nn.Linear(4, 2)).by_kind["float weights"]   # (4 · 2 + 2) · 4 bytes
    40
    """
    by_kind = dict.fromkeys(KINDS, 0)
    by_module: dict[str, int] = defaultdict(int)
    seen: set[object] = set()
    for name, kind, tensor in _held(model):
        if (memory := memory_of(tensor)) not in seen:
            seen.add(memory)
            by_kind[kind] += tensor.untyped_storage().nbytes()
            by_module[name] += tensor.untyped_storage().nbytes()
    return Footprint(sum(by_kind.values()), by_kind, dict(by_module), tuple(_split_ties(model)))


def bits_per_weight(model: nn.Module, held: Footprint | None = None) -> float | None:
    """Bits that a quantized weight costs, its share of scales and all else that is held beside the
    codes counted; None where nothing is frozen. `held` is its footprint, where that is known.

    >>> from qdemo import Variant
    >>> bits_per_weight(Variant.parse("int4-g8").build(nn.Sequential(nn.Linear(16, 4))))
    8.0
    """
    weights = sum(math.prod(m.shape) for m in model.modules() if isinstance(m, QWeight))
    if not weights:
        return None
    by_kind = (held or footprint(model)).by_kind
    return 8 * (by_kind[_WEIGHTS] + by_kind[_SCALES]) / weights


def coverage(model: nn.Module, reference: nn.Module, variant: Variant | None = None) -> Coverage:
    """How much of `model` is quantized, which was built from the float model `reference`, and why
    the rest is not. Both may be on the meta device; `variant`, where it is known, tells what was
    left out by name from what was not asked for.
    """
    quantized = _quantized(model)
    why = _Reasons.of(reference, variant)
    left: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    total = reached = 0
    for names, parameter in _distinct(reference):
        total += parameter.numel()
        if quantized.intersection(names):
            reached += parameter.numel()
            continue
        owner = reference.get_submodule(names[0].rpartition(".")[0])
        reason = why(owner, parameter, names) if quantized else "cast"
        left[_class(owner, names[0]), reason].append((names[0], parameter.numel()))
    instead = () if variant is None else tuple(_instead(reference, variant))
    return Coverage(total, reached, tuple(_parts(left)), _halved(reference), instead)


def _instead(reference: nn.Module, variant: Variant) -> Iterator[Instead]:
    if variant.scheme is None:
        return
    planned = plan(reference, variant)
    found: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for name, scheme in planned.asked.items():
        found[str(scheme), str(planned.schemes[name]), "rows"].append(name)
    for name, site in planned.sites.items():
        step = planned.step(name)
        if site.kind.made is QParameter and without_inputs(step) != step:
            found[str(step), str(without_inputs(step)), "inputs"].append(name)
    for (asked, held, why), names in found.items():
        yield Instead(asked, held, len(names), names[0], why)


def _halved(model: nn.Module) -> int:
    """The bytes of `model` cast to bf16, without the cast."""
    held = {
        (alias_of(tensor), type(tensor)): tensor.numel() * (2 if to_cast else tensor.itemsize)
        for tensor, to_cast in tensors(model)
    }
    return sum(held.values())


def _parts(left: dict[tuple[str, str], list[tuple[str, int]]]) -> list[Left]:
    """One a class and a reason, the largest first."""
    parts = [
        Left(kind, why, sum(numel for _, numel in found), len(found), found[0][0])
        for (kind, why), found in left.items()
    ]
    return sorted(parts, key=lambda part: -part.parameters)


def _held(model: nn.Module) -> Iterator[tuple[str, str, Tensor]]:
    for name, module in model.named_modules():
        owner = name.rpartition(".")[0] if isinstance(module, QWeight) else name
        for parameter in module.parameters(recurse=False):
            yield owner, _FLOATS, parameter
        for role, buffer in module.named_buffers(recurse=False):
            yield owner, _kind(module, role), buffer


def _kind(module: nn.Module, role: str) -> str:
    if not isinstance(module, QWeight):
        return _BUFFERS
    return _WEIGHTS if role == "codes" else _SCALES


def _split_ties(model: nn.Module) -> Iterator[SplitTie]:
    floats = dict(model.named_parameters(remove_duplicate=False))
    for name, module in model.named_modules():
        if isinstance(module, QModule) and module.frozen:
            for other in module.tied_with:
                if other in floats:  # it may be quantized too by now
                    yield SplitTie(name, other, floats[other].nbytes)


def _quantized(model: nn.Module) -> set[str]:
    """The names that quantized weights had as parameters."""
    return {
        name if isinstance(module, QParameter) else f"{name}.weight".lstrip(".")
        for name, module in model.named_modules(remove_duplicate=False)
        if isinstance(module, QModule)
    }


def _distinct(model: nn.Module) -> Iterator[tuple[list[str], nn.Parameter]]:
    """Each parameter once, with all its names: those of one memory are one."""
    names: dict[object, list[str]] = defaultdict(list)
    first: dict[object, nn.Parameter] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        alias = alias_of(parameter)
        names[alias].append(name)
        first.setdefault(alias, parameter)
    return ((names[alias], parameter) for alias, parameter in first.items())


def _class(owner: nn.Module, name: str) -> str:
    is_bias = kind_of(owner) is not None and name.endswith("bias")
    return "bias" if is_bias else type(owner).__name__


@dataclass(frozen=True)
class _Reasons:
    """Why parameters of a model stay float, each a key of `WHY`."""

    sites: dict[str, Site]
    elsewhere: frozenset[str]
    excepted: tuple[str, ...]

    @classmethod
    def of(cls, model: nn.Module, variant: Variant | None) -> _Reasons:
        own = {f"{s.owner_name}.{s.key}".lstrip("."): s for s in sites(model).values()}
        excepted = () if variant is None else tuple(f"{name}." for name, _ in variant.exceptions)
        return cls(own, read_elsewhere(model), excepted)

    def __call__(self, owner: nn.Module, parameter: Tensor, names: list[str]) -> str:
        """By shape where that settles it, then by class, then by name."""
        if parameter.ndim < 2 or names[0].endswith("bias"):
            return "vector"
        asked = {self.sites[name].kind.asked for name in names if name in self.sites}
        if not asked:
            is_read = kind_of(owner) is not None and names[0].rpartition(".")[0] in self.elsewhere
            return "read" if is_read else "class" if parameter.ndim == 2 else "shape"
        if any(name.startswith(self.excepted) for name in names) or asked == {"default"}:
            return "name"
        if asked == {"convolution"}:
            return "convolution"
        return "embedding" if asked == {"embedding"} else "tied"
