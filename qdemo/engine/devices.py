"""What computes: the device that was asked for, what it is called, and ZeroGPU's way to it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from qdemo.spec.messages import say
from qdemo.spec.request import DEVICES

if TYPE_CHECKING:
    import torch
    from torch import nn

    from qdemo.compress.modules import QLinear

Function = TypeVar("Function", bound=Callable[..., object])


def on_gpu(function: Function) -> Function:
    """`spaces.GPU` on a Space that lends one for a call, else the function as it is."""
    spaces = _spaces()
    decorated: Function = function if spaces is None else spaces.GPU(function)
    return decorated


def is_lent() -> bool:
    """Whether a GPU is lent for each call, to a fork of this process: each Space has the package,
    which elsewhere leaves what it decorates as it is."""
    spaces = _spaces()
    config = getattr(getattr(spaces, "config", None), "Config", None)
    return spaces is not None and bool(getattr(config, "zero_gpu", True))


def _spaces() -> ModuleType | None:
    try:
        return import_module("spaces")
    except ImportError:
        return None


def chosen(name: str) -> torch.device:
    """The device of that name; `auto` is CUDA where there is one, and the CPU elsewhere.

    Products are computed in full: TensorFloat-32 would keep ten bits of fp32's fraction.

    Raises:
        ValueError: there is no such device here, or no such name.
    """
    import torch

    if name not in DEVICES:
        raise ValueError(
            say(
                "unknown device {name!r}; expected one of {names}",
                name=name,
                names=", ".join(DEVICES),
            )
        )
    here = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if name == "auto":
        name = "cuda" if here["cuda"] else "cpu"
    if not here[name]:
        raise ValueError(
            say("there is no {name} here; use --device cpu, or QDEMO_DEVICE=cpu", name=name)
        )
    if name == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = False
        torch.backends.cuda.matmul.allow_bf16_reduced_precision_reduction = False
    return torch.device(name)


def described(device: torch.device) -> str:
    """What it is called: `cpu`, or the GPU's own name.

    >>> import torch
    >>> described(torch.device("cpu"))
    'cpu'
    """
    if device.type != "cuda":
        return device.type
    import torch

    return f"cuda ({torch.cuda.get_device_name(device)})"


def ways(device: torch.device, model: nn.Module) -> tuple[str, ...]:
    """Which of `WAYS` a model took there, once it has run: on a CPU how its quantized weights were
    multiplied, on a GPU what was not done the fast way."""
    from qdemo.compress.kernels import way_of
    from qdemo.compress.modules import QLinear

    layers = [one for one in model.modules() if isinstance(one, QLinear) and one.frozen]
    if device.type == "cpu":
        return tuple(dict.fromkeys(way_of(layer.qweight) for layer in layers))
    return tuple(_slower(model, layers)) if device.type == "cuda" else ()


def _slower(model: nn.Module, layers: list[QLinear]) -> Iterator[str]:
    from qdemo.compress import cuda
    from qdemo.models.captured import is_captured

    if not all(cuda.is_used(one.qweight, one.compute_dtype) for one in layers):
        yield "general"
    if not is_captured(model):
        yield "uncaptured"


@cache
def processor() -> str:
    """The processor's name where the system tells it: Linux does so in a file only."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            names = [line.partition(":")[2] for line in lines if line.startswith("model name")]
    except OSError:
        names = []
    return names[0].strip() if names else platform.processor() or platform.machine()
