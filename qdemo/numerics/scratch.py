"""Memory that each thread uses again and again: a new large tensor costs more than the product
that it is for, since the system has to find and clear every page of it."""

from __future__ import annotations

import threading
from math import prod

import torch
from torch import Tensor


class _Own(threading.local):
    def __init__(self) -> None:
        self.held: dict[tuple[str, torch.dtype, torch.device], Tensor] = {}


_OWN = _Own()


def scratch(
    shape: tuple[int, ...], /, *, dtype: torch.dtype, device: torch.device, name: str = ""
) -> Tensor:
    """Memory of this thread, whose next call for the same name, dtype and device overwrites it."""
    memory = _OWN.held.get((name, dtype, device))
    if memory is None or len(memory) < prod(shape):
        with torch.inference_mode(False):  # such tensors could not be written to outside of it
            memory = torch.empty(prod(shape), dtype=dtype, device=device)
        _OWN.held[name, dtype, device] = memory
    return memory[: prod(shape)].view(shape)


def scratch_like(x: Tensor, name: str, dtype: torch.dtype | None = None) -> Tensor:
    """The same for the shape and the device of `x`."""
    return scratch(tuple(x.shape), dtype=dtype or x.dtype, device=x.device, name=name)


def converted(x: Tensor, dtype: torch.dtype, name: str) -> Tensor:
    """`x` in that dtype: itself where it has it already, else in scratch memory."""
    return x if x.dtype == dtype else scratch_like(x, name, dtype).copy_(x)
