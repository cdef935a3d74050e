"""The bytes that a model really holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor, nn

from qdemo.compress.modules import QModule, QWeight

KINDS = ("quantized weights", "scales and zero points", "float weights", "buffers")
"""What bytes are spent on; quantized weights are integers, or fp8 numbers that have a scale."""


@dataclass(frozen=True)
class SplitTie:
    """One matrix held twice: quantized in one module, float in another that it was tied to."""

    quantized: str
    float: str
    float_bytes: int


@dataclass(frozen=True)
class Footprint:
    """Bytes of storage held, memory that several tensors share counted once.

    `total` is the sum over `by_kind` (each of `KINDS`) and over `by_module` (the modules that own
    a tensor themselves; shared memory belongs to the first).
    """

    total: int
    by_kind: dict[str, int]
    by_module: dict[str, int]
    split_ties: tuple[SplitTie, ...] = ()


def footprint(model: nn.Module) -> Footprint:
    """Count the bytes of every parameter and buffer of `model`; meta tensors as if they had them.

    >>> footprint(nn.Linear(4, 2)).by_kind["float weights"]   # (4 · 2 + 2) · 4 bytes
    40
    """
    by_kind = dict.fromkeys(KINDS, 0)
    by_module: dict[str, int] = defaultdict(int)
    seen: set[int] = set()
    for name, kind, tensor in _held(model):
        storage = tensor.untyped_storage()
        if storage._cdata not in seen:  # the storage's identity, on the meta device too
            seen.add(storage._cdata)
            by_kind[kind] += storage.nbytes()
            by_module[name] += storage.nbytes()
    return Footprint(sum(by_kind.values()), by_kind, dict(by_module), tuple(_split_ties(model)))


def _held(model: nn.Module) -> Iterator[tuple[str, str, Tensor]]:
    for name, module in model.named_modules():
        owner = name.rpartition(".")[0] if isinstance(module, QWeight) else name
        for parameter in module.parameters(recurse=False):
            yield owner, "float weights", parameter
        for key, buffer in module.named_buffers(recurse=False):
            yield owner, _kind(module, key), buffer


def _kind(module: nn.Module, key: str) -> str:
    if not isinstance(module, QWeight):
        return "buffers"
    return "quantized weights" if key == "packed" else "scales and zero points"


def _split_ties(model: nn.Module) -> Iterator[SplitTie]:
    floats = dict(model.named_parameters(remove_duplicate=False))
    for name, module in model.named_modules():
        if isinstance(module, QModule) and module.frozen:
            for other in module.tied_with:
                if other in floats:  # it may be quantized too by now
                    yield SplitTie(name, other, floats[other].nbytes)
