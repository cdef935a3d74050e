"""Models in several dtypes: what makes their parts fit together, as forward pre-hooks.

The hooks look dtypes up when they are called, so they hold in copies and in other casts of the
model. What a module returns stays in its own dtype: torch widens where two meet in a sum, and
whatever can't cope with two has its input cast. Only parts that are multiplied with each other
and differ, such as the queries of an attention in fp16 and its keys in fp32, are beyond help.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from qdemo.compress.modules import QModule


def join(model: nn.Module, casts: Mapping[str, str]) -> None:
    """Hook the modules of `model`, in place, of which those named in `casts` are in formats of
    their own, each with all below it."""
    for module in model.modules():
        if _wants_one_dtype(module):
            module.register_forward_pre_hook(_cast_input)
    for name, format in casts.items():
        module = model.get_submodule(name)
        is_top = casts.get(name.rpartition(".")[0]) != format
        if is_top and any(module.children()):
            module.register_forward_pre_hook(_widen_input, with_kwargs=True)


def _wants_one_dtype(module: nn.Module) -> bool:
    """Whether its input must have the dtype of its own floats: so it is with torch's layers, and
    where a matrix is multiplied. A norm that is written out, as T5's and Llama's are, copes with
    two, and has to see the wider one: in fp16, what runs between T5's layers may overflow."""
    own = list(module.parameters(recurse=False))
    of_torch = type(module).__module__.startswith("torch.nn.")
    return not isinstance(module, QModule) and any(of_torch or p.ndim > 1 for p in own)


def _cast_input(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    dtype = _dtype(module, recurse=False)
    return tuple(x.to(dtype) if dtype and _is_float(x) else x for x in args)


def _widen_input(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """A block in a wider dtype than its surroundings wants all in it, its masks too: torch's
    attention takes a mask in fp32 for any query, but none in 16 bits for one in fp32."""
    dtype = _dtype(module, recurse=True)
    return (
        tuple(_widened(x, dtype) for x in args),
        {key: _widened(x, dtype) for key, x in kwargs.items()},
    )


def _dtype(module: nn.Module, recurse: bool) -> torch.dtype | None:
    floats = (p.dtype for p in module.parameters(recurse) if p.is_floating_point())
    return next(floats, None)


def _is_float(x: object) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point()


def _widened(x: Any, dtype: torch.dtype | None) -> Any:
    wider = dtype is not None and _is_float(x) and dtype.itemsize > x.dtype.itemsize
    return x.to(dtype) if wider else x
