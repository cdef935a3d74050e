"""One model whose layers can be exchanged, each for that of another build of the same model.

Nothing is built again and nothing is copied: the modules around the layers are new, the layers and
all tensors are those of the models that they come from, which stay as they are. To exchange a layer
is to set an entry in the module above it, which takes microseconds.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import torch
from torch import nn

from qdemo.compress.building import is_in
from qdemo.compress.convert import rebuild
from qdemo.compress.kinds import sites
from qdemo.compress.modules import QModule, QWeight
from qdemo.compress.parameter import QParameter
from qdemo.compress.ties import alias_of
from qdemo.spec.messages import say

_Slot = tuple[dict[str, "nn.Module | None"], str]


class Parts:
    """`model` is `base`, but for the layers that were `put`, which are those of `others`.

    `names` are the layers that any of the others has another way than `base`, by the name of the
    module: what lies below one of them goes with it.

    >>> base, other = nn.Sequential(nn.Linear(2, 1)), nn.Sequential(nn.Linear(2, 1))
    >>> parts = Parts(base, {"other": other})
    >>> parts.put({"0": "other"})[0] is other[0], parts.put({})[0] is other[0], parts.names
    (True, False, ('0',))
    """

    def __init__(self, base: nn.Module, others: Mapping[str, nn.Module]) -> None:
        """Begin as `base`.

        Raises:
            ValueError: one of the models computes in another type than fp32: layers of two types
                do not fit together.
        """
        for model in (base, *others.values()):
            _check_fp32(model)
        self.model = rebuild(base)
        self.names = tuple(_differing(base, others))
        own = {name: self.model.get_submodule(name) for name in self.names}
        slots = _slots(self.model)
        self._slots = {name: slots[id(module)] for name, module in own.items()}
        self._layers: dict[str | None, dict[str, nn.Module]] = {
            key: {name: other.get_submodule(name) for name in self.names}
            for key, other in others.items()
        }
        self._layers[None] = own
        self._now: dict[str, str] = {}

    def put(self, chosen: Mapping[str, str]) -> nn.Module:
        """Have the layers of those names be the ones of the other model that is named, and all the
        rest those of `base`; the model, which is always the same."""
        for name in self._now.keys() | chosen.keys():
            wanted = chosen.get(name)
            if wanted != self._now.get(name):
                for held, key in self._slots[name]:
                    held[key] = self._layers[wanted][name]
        self._now = dict(chosen)
        return self.model


def quantized_layers(reference: nn.Module, built: nn.Module) -> list[tuple[str, ...]]:
    """The names of the layers of `reference` that `built`, a variant of it, has quantized; those
    that hold one weight together, as tied ones do, stand together.

    >>> from qdemo import Variant
    >>> model = nn.Sequential(nn.Linear(2, 2), nn.GELU(), nn.Linear(2, 2))
    >>> quantized_layers(model, Variant.parse("int8~2=fp32").build(model))
    [('0',)]
    """
    held = dict(built.named_modules())
    group: dict[object, dict[str, None]] = {}
    for site in sites(reference).values():
        module = held.get(site.name)
        if isinstance(module, QModule):
            weight = id(module.quantized if module.frozen else module)
            own = group.get(weight) or group.get(site.owner_name) or {}
            own[site.owner_name] = None
            group[weight] = group[site.owner_name] = own
    together = {id(own): own for own in group.values()}
    return [tuple(names) for names in together.values()]


def _check_fp32(model: nn.Module) -> None:
    if not is_in(model, torch.float32):
        raise ValueError(
            say("layers are exchanged where all is computed in fp32; this model has another type")
        )


def _differing(base: nn.Module, others: Mapping[str, nn.Module]) -> Iterator[str]:
    """The names of modules that are not the same everywhere, and lie below no such module."""
    theirs = [dict(other.named_modules()) for other in others.values()]
    above = None
    for name, module in base.named_modules():
        if isinstance(module, QWeight | QParameter) or (above and name.startswith(above)):
            continue
        mine = _signature(module)
        if any(_signature(held[name]) != mine for held in theirs):
            above = f"{name}."
            yield name


def _signature(module: nn.Module) -> object:
    """Equal for modules that are the same but for those below them: class and tensors. A quantized
    weight is of the module that holds it."""
    own = {
        key: alias_of(tensor)
        for held in (module._parameters, module._buffers)
        for key, tensor in held.items()
        if tensor is not None
    }
    step = (module.scheme, module.recipe, module.activations) if isinstance(module, QModule) else ()
    weights = {
        key: _signature(child)
        for key, child in module._modules.items()
        if isinstance(child, QWeight | QParameter)
    }
    return type(module), own, step, weights


def _slots(model: nn.Module) -> dict[int, list[_Slot]]:
    """Where each module stands: a module that is used twice stands in two places."""
    found: dict[int, list[_Slot]] = defaultdict(list)
    for parent in model.modules():
        for key, child in parent._modules.items():
            found[id(child)].append((parent._modules, key))
    return found
