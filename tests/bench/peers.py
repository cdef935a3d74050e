"""The same model as others quantize it, and the bytes that each really holds."""

import copy
import importlib.util
import warnings
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn


def quanto_int8(model):
    from optimum.quanto import freeze, qint8, quantize

    quantize(model, weights=qint8)
    freeze(model)


def torchao_int8(model):
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    quantize_(model, Int8WeightOnlyConfig())


def torch_dynamic(model):
    from torch.ao.quantization import quantize_dynamic

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # deprecated in favour of torchao
        quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8, inplace=True)


@dataclass(frozen=True)
class Peer:
    """Another library: `change` quantizes a model in place."""

    package: str
    change: Callable[[nn.Module], None]


DYNAMIC = "torch quantize_dynamic (activations too)"
PEERS = {
    "optimum-quanto qint8": Peer("optimum", quanto_int8),
    "torchao Int8WeightOnly": Peer("torchao", torchao_int8),
    DYNAMIC: Peer("torch", torch_dynamic),
}


def is_installed(peer):
    return importlib.util.find_spec(peer.package) is not None


def changed(model, change):
    own = copy.deepcopy(model)
    change(own)
    return own


def held(model):
    """Bytes of every tensor in `model`, each memory once, whatever it is wrapped in."""
    alive = list(_tensors(model))  # all at once: memory that is free again counts as another's
    storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in alive}
    return sum(storages.values())


def _tensors(model):
    for module in model.modules():
        for tensor in (*module._parameters.values(), *module._buffers.values()):
            if tensor is not None:
                yield from _inner(tensor)
        if type(module).__name__ == "LinearPackedParams":  # torch's own, no parameter or buffer
            weight, bias = module._weight_bias()
            yield weight.int_repr()
            if bias is not None:
                yield bias


def _inner(tensor):
    """The tensors that a subclass is made of."""
    if hasattr(tensor, "__tensor_flatten__"):
        for name in tensor.__tensor_flatten__()[0]:
            yield from _inner(getattr(tensor, name))
    else:
        yield tensor
