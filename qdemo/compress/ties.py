"""Weights that several modules share: which of them may be quantized.

An output layer that is one matrix with the word embedding is quantized together with that, as one
quantized weight, or not at all: one end alone would hold the matrix twice, quantized and as floats,
and take more memory than before. It is done where someone asks for one end by name.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

from torch import Tensor, nn

from qdemo.compress.kinds import Site
from qdemo.compress.modules import QModule
from qdemo.numerics.insides import memory_of

Reached = Callable[[nn.Module], object]
"""By what a module is reached: equal for modules that are asked for alike."""


def alias_of(tensor: Tensor) -> object:
    """Equal for tensors that are the same memory seen the same way, which are tied."""
    return memory_of(tensor), tensor.storage_offset(), tensor.shape, tensor.stride(), tensor.dtype


def torn(model: nn.Module, taken: Mapping[str, Site], reached: Reached) -> frozenset[str]:
    """Those of the sites that are `taken` which another end, that is not, would be torn from though
    nobody asks for one end alone."""
    ends: dict[object, list[nn.Module]] = defaultdict(list)
    for module in model.modules():
        for parameter in module._parameters.values():
            if parameter is not None:
                ends[alias_of(parameter)].append(module)
    owners = {id(site.owner) for site in taken.values()}

    def is_torn(site: Site) -> bool:
        if site.parameter is None:
            return False
        tied = ends[alias_of(site.parameter)]
        left = [one for one in tied if id(one) not in owners and not isinstance(one, QModule)]
        return bool(left) and len({reached(one) for one in tied}) == 1

    return frozenset(name for name, site in taken.items() if is_torn(site))


def note_split(model: nn.Module) -> None:
    """Tell each quantized module which float weights were tied to its own."""
    floats: dict[object, list[str]] = defaultdict(list)
    for name, module in model.named_modules():
        if not isinstance(module, QModule):
            for key, parameter in module.named_parameters(name, recurse=False):
                floats[alias_of(parameter)].append(key)
    for module in model.modules():
        if isinstance(module, QModule) and not module.frozen:
            module.tied_with = tuple(floats[alias_of(module.weight)])
