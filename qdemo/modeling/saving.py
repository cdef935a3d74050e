"""Quantized models as safetensors files, with their schemes, bit for bit."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from glob import escape
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from qdemo.modeling.convert import alias_of, quantize
from qdemo.modeling.modules import QModule, QWeight
from qdemo.numerics.formats import get_format
from qdemo.numerics.qtensor import QTensor
from qdemo.numerics.scheme import Scheme

_KEY = "qdemo"


def save_quantized(model: nn.Module, path: str | Path) -> None:
    """Write the weights of a frozen model to one safetensors file; tied tensors are written once.

    Raises:
        ValueError: a module is quantized but not frozen, or a tensor has no storage.
    """
    modules: dict[str, list[str]] = {}
    for name, module in model.named_modules():
        if isinstance(module, QModule):
            if not module.frozen:
                raise ValueError(f"{name} is not frozen; call freeze(model) before saving")
            modules[name] = [str(module.scheme), get_format(module.compute_dtype).name]
    tensors, same_as = _unshared(dict(_named_tensors(model)))
    about = json.dumps({"modules": modules, "same_as": same_as})
    save_file(tensors, path, metadata={"format": "pt", _KEY: about})


def load_quantized(model: nn.Module, path: str | Path) -> None:
    """Read a file of `save_quantized` into a float model of the same architecture, in place.

    The float weights of `model` are dropped; it may be on the meta device. What is read is
    memory-mapped, tensor by tensor.

    Raises:
        ValueError: the file was not written by `save_quantized`, or does not fit the model, which
            is of no use then.
    """
    tensors, about = _read(Path(path))
    layers = dict(model.named_modules(remove_duplicate=False))
    by_scheme: dict[str, list[str]] = defaultdict(list)
    for name, (scheme, _) in about["modules"].items():
        _check_layer(name, layers.get(name))
        by_scheme[scheme].append(escape(name))
    for scheme, names in by_scheme.items():
        quantize(model, Scheme.parse(scheme), include=names, embeddings=True)
    made: dict[int, QWeight] = {}
    for name, (_, compute) in about["modules"].items():
        module = model.get_submodule(name)
        assert isinstance(module, QModule)
        module.compute_dtype = get_format(compute).dtype
        held = _qweight(name, module, tensors)
        module.freeze(made.setdefault(id(held.packed), held))
    _assign(model, tensors)


def _named_tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers under all their names, also the buffers that state_dict leaves out."""
    yield from model.named_parameters(remove_duplicate=False)
    yield from model.named_buffers(remove_duplicate=False)


def _unshared(named: dict[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors to write, and for each that is left out the one that it is."""
    first: dict[object, str] = {}
    kept: dict[str, Tensor] = {}
    same_as: dict[str, str] = {}
    for key, tensor in named.items():
        if tensor.is_meta:
            raise ValueError(f"{key} is on the meta device: there is nothing to save")
        if (alias := alias_of(tensor)) in first:
            same_as[key] = first[alias]
        else:
            first[alias] = key
            kept[key] = _own(tensor.detach())
    return kept, same_as


def _own(tensor: Tensor) -> Tensor:
    """The tensor as the only one in its storage, as safetensors wants it."""
    if tensor.is_contiguous() and tensor.untyped_storage().nbytes() == tensor.nbytes:
        return tensor
    return tensor.clone(memory_format=torch.contiguous_format)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path.name} is not a whole safetensors file: {error}") from None
    if _KEY not in metadata:
        raise ValueError(f"{path.name} holds no schemes; expected a file of save_quantized")
    about = json.loads(metadata[_KEY])
    return tensors | {key: tensors[first] for key, first in about["same_as"].items()}, about


def _check_layer(name: str, module: nn.Module | None) -> None:
    if type(module) not in (nn.Linear, nn.Embedding):
        found = "nothing" if module is None else f"a {type(module).__name__}"
        raise ValueError(f"the file has a quantized {name}, where the model has {found}")


def _qweight(name: str, module: QModule, tensors: dict[str, Tensor]) -> QWeight:
    packed, scale = (_take(tensors, f"{name}.quantized.{key}") for key in ("packed", "scale"))
    zero_point = None if module.scheme.symmetric else _take(tensors, f"{name}.quantized.zero_point")
    return QWeight(QTensor(packed, scale, zero_point, module.scheme, module.weight_shape))


def _take(tensors: dict[str, Tensor], key: str) -> Tensor:
    if key not in tensors:
        raise ValueError(f"the file holds no {key}, which the model needs")
    return tensors[key]


def _assign(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Give the model the tensors of the file; one that has several names stays one Parameter."""
    named = dict(_named_tensors(model))
    if unknown := tensors.keys() - named.keys():
        raise ValueError(f"the file holds {min(unknown)}, which the model does not have")
    made: dict[int, nn.Parameter] = {}
    for key, old in named.items():
        tensor = _take(tensors, key)
        if tensor.shape != old.shape:
            raise ValueError(f"{key} has shape {tuple(tensor.shape)}, expected {tuple(old.shape)}")
        owner, _, name = key.rpartition(".")
        module = model.get_submodule(owner)
        if isinstance(old, nn.Parameter):
            parameter = nn.Parameter(tensor, requires_grad=old.requires_grad)
            module._parameters[name] = made.setdefault(id(tensor), parameter)
        else:
            module._buffers[name] = tensor
