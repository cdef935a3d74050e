"""Models in several dtypes: what makes their parts fit together, as forward hooks.

A layer that is an exception has its input cast to its own dtype, and what it returns stays in that,
as transformers keeps T5's `wo` in fp32. A block that is one has all that comes in cast, its masks
too, and what it returns goes back to what is around it, so that inside and outside each is of one
dtype. The hooks look dtypes up when they are called, so they hold in copies and in other casts.
Only parts that are multiplied with each other and differ, such as the queries of an attention in
fp16 and its keys in fp32, are beyond help.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from qdemo.compress.modules import QModule
from qdemo.spec.formats import FORMATS


def join(model: nn.Module, casts: Mapping[str, str], compute: str) -> None:
    """Hook the modules of `model`, which computes in `compute`, in place; what `casts` names has
    a format of its own, with all below it."""
    model._casts = {"": compute, **casts}  # type: ignore[assignment]
    for module in model.modules():
        if _wants_one_dtype(module):
            module.register_forward_pre_hook(_cast_input)
    for name, format in casts.items():
        outer = casts.get(name.rpartition(".")[0], compute)
        if outer != format:
            for block in _blocks(model.get_submodule(name)):
                block.register_forward_pre_hook(_enter, with_kwargs=True)
                block.register_forward_hook(
                    partial(_leave, FORMATS[format].dtype, FORMATS[outer].dtype)
                )


def casts_of(model: nn.Module) -> dict[str, str]:
    """The formats of a mixed model's modules, that of the whole under no name; none of another."""
    return dict(getattr(model, "_casts", {}))


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    """What is called of it as a whole: a list of blocks is not, its blocks are."""
    if isinstance(module, nn.ModuleList | nn.ModuleDict):
        for child in module.children():
            yield from _blocks(child)
    elif any(module.children()):
        yield module


def _wants_one_dtype(module: nn.Module) -> bool:
    """Whether its input must have the dtype of its own floats: so it is with torch's layers, and
    where a matrix is multiplied. A norm that is written out, as T5's and Llama's are, copes with
    two, and has to see the wider one: in fp16, what runs between T5's layers may overflow."""
    own = list(module.parameters(recurse=False))
    of_torch = type(module).__module__.startswith("torch.nn.")
    return not isinstance(module, QModule) and any(of_torch or p.ndim > 1 for p in own)


def _cast_input(module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
    dtype = _dtype(module, recurse=False)
    return args if dtype is None else tuple(_mapped(x, partial(_to, dtype)) for x in args)


def _enter(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    dtype = _dtype(module, recurse=True)
    if dtype is None:
        return None
    cast = partial(_to, dtype)
    return (
        tuple(_mapped(x, cast) for x in args),
        {key: _mapped(x, cast) for key, x in kwargs.items()},
    )


def _leave(
    inner: torch.dtype, outer: torch.dtype, module: nn.Module, _: object, output: Any
) -> Any:
    """Back to what is around it, unless the model was cast as a whole since."""
    return _mapped(output, partial(_to, outer)) if _dtype(module, recurse=True) == inner else output


def _to(dtype: torch.dtype, x: Tensor) -> Tensor:
    """A mask's most negative number stays finite, or a row that is masked whole would be NaN."""
    if x.dtype == dtype or not x.is_floating_point():
        return x
    least = torch.finfo(dtype).min
    is_mask = x.numel() > 0 and x.ndim == 4 and dtype.itemsize < x.dtype.itemsize
    return x.clamp(min=least).to(dtype) if is_mask else x.to(dtype)


def _mapped(x: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Tensors changed, in tuples, lists and transformers' outputs too; caches are left alone."""
    if isinstance(x, Tensor):
        return change(x)
    if isinstance(x, tuple | list) and type(x) in (tuple, list):
        return type(x)(_mapped(one, change) for one in x)
    if isinstance(x, dict):
        for key, one in list(x.items()):
            x[key] = _mapped(one, change)
    return x


def _dtype(module: nn.Module, recurse: bool) -> torch.dtype | None:
    floats = (p.dtype for p in module.parameters(recurse) if p.is_floating_point())
    return next(floats, None)
