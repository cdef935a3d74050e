"""The bytes that a model really holds, and how much of it is quantized."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator

from torch import Tensor, nn

from qdemo.compress.convert import alias_of, tensors
from qdemo.compress.layers import EMBEDDINGS, QUANTIZED, plan
from qdemo.compress.modules import QModule, QWeight
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
    left: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    total = reached = 0
    for names, parameter in _distinct(reference):
        total += parameter.numel()
        if quantized.intersection(names):
            reached += parameter.numel()
            continue
        owner = reference.get_submodule(names[0].rpartition(".")[0])
        why = _why(owner, parameter, names, variant) if quantized else "cast"
        left[_class(owner, names[0]), why].append((names[0], parameter.numel()))
    instead = () if variant is None else tuple(_instead(reference, variant))
    return Coverage(total, reached, tuple(_parts(left)), _halved(reference), instead)


def _instead(reference: nn.Module, variant: Variant) -> Iterator[Instead]:
    if variant.scheme is None:
        return
    planned = plan(reference, variant)
    pairs = {
        name: (str(asked), str(planned.schemes[name])) for name, asked in planned.asked.items()
    }
    for pair, layers in Counter(pairs.values()).items():
        yield Instead(*pair, layers, next(name for name, own in pairs.items() if own == pair))


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
    named = model.named_modules(remove_duplicate=False)
    return {f"{name}.weight".lstrip(".") for name, m in named if isinstance(m, QModule)}


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
    is_bias = type(owner) in QUANTIZED and name.endswith("bias")
    return "bias" if is_bias else type(owner).__name__


def _why(owner: nn.Module, parameter: Tensor, names: list[str], variant: Variant | None) -> str:
    """A key of `WHY`: by shape where that settles it, then by class, then by name."""
    if parameter.ndim < 2:
        return "vector"
    if type(owner) not in QUANTIZED:
        return "class" if parameter.ndim == 2 else "shape"
    excepted = () if variant is None else tuple(f"{name}." for name, _ in variant.exceptions)
    by_name = any(name.startswith(excepted) for name in names)
    return "embedding" if type(owner) in EMBEDDINGS and not by_name else "name"
