"""The errors of all weights of a model, many tensors at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor, nn

from qdemo.compress.layout import ROWS
from qdemo.compress.modules import QModule
from qdemo.measure.weights import Pair, WeightError, weight_errors
from qdemo.numerics.insides import memory_of
from qdemo.numerics.qtensor import QTensor


def model_weight_errors(
    reference: nn.Module, variant: nn.Module, known: dict[str, float] | None = None
) -> Iterator[tuple[str, WeightError]]:
    """The error of each parameter of `reference` in `variant`, by name, one tensor at a time. What
    is `known` of Σw², by name, is not computed again; what is computed is added.

    A weight that still trains in quantized form is measured as it would be rounded now. A tied
    weight is measured once, and once more where the variant holds it in another form.

    Raises:
        AttributeError: the variant has no such parameter.
    """
    known = {} if known is None else known
    for names, pairs in _together(_pairs(reference, variant, known)):
        for name, error in zip(names, weight_errors(pairs), strict=True):
            known[name] = error.sum_sq_weight
            yield name, error


def _pairs(
    reference: nn.Module, variant: nn.Module, known: Mapping[str, float]
) -> Iterator[tuple[str, Pair]]:
    seen: set[tuple[int, object]] = set()
    modules = dict(variant.named_modules(remove_duplicate=False))
    for name, w in reference.named_parameters(remove_duplicate=False):
        owner, _, key = name.rpartition(".")
        held, own = _held(modules.get(owner) or variant.get_submodule(owner), key, w)
        pair = id(w), memory_of(held.packed if isinstance(held, QTensor) else held)
        if pair not in seen:
            seen.add(pair)
            yield name, Pair(own.detach(), held, known.get(name))


_MOST = 1 << 27
"""Weights that are measured together, or one tensor: what trains is quantized for that."""


def _together(pairs: Iterable[tuple[str, Pair]]) -> Iterator[tuple[list[str], list[Pair]]]:
    """Several at a time, with their names."""
    names: list[str] = []
    taken: list[Pair] = []
    size = 0
    for name, pair in pairs:
        if taken and size + pair.w.numel() > _MOST:
            yield names, taken
            names, taken, size = [], [], 0
        names.append(name)
        taken.append(pair)
        size += pair.w.numel()
    yield names, taken


def _held(module: nn.Module, key: str, w: Tensor) -> tuple[Tensor | QTensor, Tensor]:
    """What a module holds of a parameter `w`, and that as the matrix that was quantized."""
    held: Any = module if isinstance(module, QModule) and key == "weight" else getattr(module, key)
    if not isinstance(held, QModule):
        return held, w
    matrix = held.layout.matrix(w.detach())
    return held.qweight, w if held.layout == ROWS and w.ndim == 2 else matrix.contiguous()
