"""Quantized models as safetensors files, with their schemes, bit for bit."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from qdemo.compress import mixed, saved_before
from qdemo.compress.convert import freeze, rebuild, swap
from qdemo.compress.kinds import Site, sites
from qdemo.compress.modules import QModule, QWeight
from qdemo.compress.saved_file import KEY, VERSION, Held, held_text, read
from qdemo.compress.ties import alias_of
from qdemo.numerics.blocks import tiles
from qdemo.numerics.qtensor import QTensor
from qdemo.numerics.scales import read as read_scales
from qdemo.spec.formats import get_format
from qdemo.spec.messages import say
from qdemo.spec.scheme import Scheme


def save_quantized(model: nn.Module, path: str | Path) -> None:
    """Write the weights of a frozen model to one safetensors file; tied tensors are written once.

    Raises:
        ValueError: a module is quantized but not frozen, or a tensor has no storage.
    """
    modules: dict[str, list[str]] = {}
    for name, module in model.named_modules():
        if isinstance(module, QModule):
            if not module.frozen:
                raise ValueError(
                    say("{name} is not frozen; call freeze(model) before saving", name=name)
                )
            text = held_text(module.scheme, module.recipe, module.activations)
            modules[name] = [text, get_format(module.compute_dtype).name]
    tensors, same_as = _unshared(dict(_named_tensors(model)))
    told = {"version": VERSION, "modules": modules, "same_as": same_as}
    about = json.dumps(told | {"casts": mixed.casts_of(model)})
    save_file(tensors, path, metadata={"format": "pt", KEY: about})


def load_quantized(model: nn.Module, path: str | Path) -> None:
    """Read a file of `save_quantized` into a float model of the same architecture, in place.

    The float weights of `model` are dropped; it may be on the meta device, else what is read goes
    to where its own tensors are. What is read is memory-mapped, tensor by tensor. Everything is
    checked before anything of `model` is changed.

    Raises:
        ValueError: the file was not written by `save_quantized`, is damaged, or does not fit the
            model, which is as it was.
    """
    file = read(Path(path))
    tensors, held, version = file.tensors, file.held, file.version
    _check_casts(file.casts, model)
    shapes = rebuild(model, device="meta")
    _swap(shapes, held)
    freeze(shapes)  # of shapes: it has every name, shape and dtype that the file should have
    wanted, like = dict(_named_tensors(shapes)), dict(_named_weights(shapes))
    _check_tensors(tensors, saved_before.wanted(wanted, like) if version == 1 else wanted, like)
    _check_biases(tensors, held)
    if version == 1:
        tensors = saved_before.converted(tensors, like)
    tensors = _placed(tensors, model)
    weights = _qweights(shapes, tensors)
    _swap(model, held)
    for name, how in held.items():
        module = model.get_submodule(name)
        assert isinstance(module, QModule)
        module.compute_dtype, module.activations = how.compute, how.activations
        module.freeze(weights[name])
    _assign(model, tensors)
    if file.casts:
        casts = {name: format for name, format in file.casts.items() if name}
        mixed.join(model, casts, file.casts[""])


def _check_casts(casts: dict[str, str], model: nn.Module) -> None:
    modules = dict(model.named_modules(remove_duplicate=False))
    if unknown := casts.keys() - modules.keys():
        raise ValueError(
            say("the file has {name} in a format of its own; the model has no such module",
                name=min(unknown)[:100])
        )  # fmt: skip


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
            raise ValueError(say("{key} is on the meta device: there is nothing to save", key=key))
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


def _swap(model: nn.Module, held: dict[str, Held]) -> None:
    """Quantize the layers that the file holds quantized, each by its scheme."""
    every, modules = sites(model), dict(model.named_modules(remove_duplicate=False))
    for name in held:
        _check_layer(name, every.get(name), modules.get(name))
    swap(model, {name: how.scheme for name, how in held.items()})
    for name, how in held.items():
        model.get_submodule(name).recipe = how.recipe  # type: ignore[assignment]


def _check_layer(name: str, site: Site | None, module: nn.Module | None) -> None:
    if site is None:
        found = "nothing" if module is None else f"a {type(module).__name__}"
        raise ValueError(
            say(
                "the file has a quantized {name}, where the model has {found}",
                name=name,
                found=found,
            )
        )


def _check_tensors(
    tensors: dict[str, Tensor], wanted: dict[str, Tensor], weights: dict[str, QWeight]
) -> None:
    """Whether the file has exactly the tensors of a frozen model, each as it has to be."""
    if unknown := tensors.keys() - wanted.keys():
        raise ValueError(
            say("the file holds {name}, which the model does not have", name=min(unknown))
        )
    if missing := wanted.keys() - tensors.keys():
        raise ValueError(say("the file holds no {name}, which the model needs", name=min(missing)))
    for key, like in wanted.items():
        owner = key.rpartition(".")[0]
        _check_tensor(key, tensors[key], like, is_held=owner in weights)
        if owner in weights:
            _check_values(key, tensors[key], weights[owner].scheme)
    for owner, weight in weights.items():
        _check_decoded(owner, weight, tensors)


def _check_tensor(key: str, tensor: Tensor, like: Tensor, is_held: bool) -> None:
    """Floats may be those of another cast; those of a quantized weight only wider than fp32."""
    if tensor.shape != like.shape:
        raise ValueError(
            say(
                "{key} has shape {shape}, expected {expected}",
                key=key,
                shape=tuple(tensor.shape),
                expected=tuple(like.shape),
            )
        )
    least = 4 if is_held else 2
    if like.is_floating_point() and like.dtype.itemsize >= least:
        fits = tensor.is_floating_point() and tensor.dtype.itemsize >= least
    else:
        fits = tensor.dtype == like.dtype
    if not fits:
        raise ValueError(f"{key} is {tensor.dtype}, expected {like.dtype}")


def _check_biases(tensors: dict[str, Tensor], held: dict[str, Held]) -> None:
    """Whether each layer returns what it computes in."""
    for name, how in held.items():
        bias = tensors.get(f"{name}.bias")
        if bias is not None and bias.dtype != how.compute:
            raise ValueError(
                say(
                    "{name}.bias is {dtype}, where {compute} is computed in",
                    name=name,
                    dtype=bias.dtype,
                    compute=how.compute,
                )
            )


_LARGEST = (1 + 2**-20) * torch.finfo(torch.float32).max  # that a scale was rounded up is no fault


def _check_values(key: str, tensor: Tensor, scheme: Scheme) -> None:
    """Whether this part of a quantized weight can be computed with."""
    role = key.rpartition(".")[2]
    if role == "scale" and scheme.scale == "fp32":
        if not ((tensor > 0) & torch.isfinite(tensor)).all():
            raise ValueError(say("{key} is not positive and finite everywhere", key=key))
    elif role == "zero_point" and scheme.zero_point == "int":
        if (tensor > scheme.qmax).any():
            raise ValueError(f"{key} goes beyond {scheme.qmax:g}")
    elif tensor.is_floating_point():
        flat = tensor.reshape(1, -1)
        if not all(torch.isfinite(flat[tile].float()).all() for tile in tiles(flat)):
            raise ValueError(say("{key} is not finite everywhere", key=key))


def _check_decoded(owner: str, weight: QWeight, tensors: dict[str, Tensor]) -> None:
    """Whether the largest code of each block is a finite weight."""
    held = {role: tensors[f"{owner}.{role}"] for role in weight.tensors if role != "codes"}
    found = read_scales(held, weight.scheme)
    size = found.scale.double().abs()
    largest = size * weight.scheme.qmax
    if found.zero_point is not None and weight.scheme.zero_point == "float":
        largest += size * found.zero_point.double().abs()
    if found.minimum is not None:
        largest += found.minimum.double().abs()
    if not (largest <= _LARGEST).all():
        raise ValueError(say("{key} makes weights infinite", key=f"{owner}.scale"))


def _placed(tensors: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The tensors where those of `model` are that they replace; what is on the meta device is
    nowhere yet."""
    there = {key: tensor.device for key, tensor in _named_tensors(model)}
    moved: dict[int, Tensor] = {}
    for key, tensor in tensors.items():
        owner = key.rpartition(".quantized.")[0]  # a layer, or a weight itself
        device = there.get(key) or there.get(f"{owner}.weight") or there[owner]
        if id(tensor) not in moved:
            moved[id(tensor)] = tensor if device.type == "meta" else tensor.to(device)
    return {key: moved[id(tensor)] for key, tensor in tensors.items()}


def _named_weights(model: nn.Module) -> Iterator[tuple[str, QWeight]]:
    """The frozen weights under all their names."""
    for name, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, QWeight):
            yield name, module


def _qweights(shapes: nn.Module, tensors: dict[str, Tensor]) -> dict[str, QWeight]:
    """The frozen weight of each quantized layer; those of the same tensors are one."""
    made: dict[tuple[object, ...], QWeight] = {}
    found = {}
    for name, like in _named_weights(shapes):
        held = {role: tensors[f"{name}.{role}"] for role in like.tensors}
        key = like.scheme, *map(id, held.values())
        if key not in made:
            made[key] = QWeight(QTensor(like.scheme, like.shape, held))
        found[name.removesuffix(".quantized")] = made[key]
    return found


def _assign(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Give the model the tensors of the file; one that has several names stays one Parameter."""
    made: dict[int, nn.Parameter] = {}
    for key, old in dict(_named_tensors(model)).items():
        owner, _, name = key.rpartition(".")
        module, tensor = model.get_submodule(owner), tensors[key]
        if isinstance(old, nn.Parameter):
            parameter = nn.Parameter(tensor, requires_grad=old.requires_grad)
            module._parameters[name] = made.setdefault(id(tensor), parameter)
        elif not isinstance(module, QWeight):  # which has them, aligned
            module._buffers[name] = tensor
