"""What reaches into torch's insides, for the versions of torch that it was tried with.

Two products with int8 weights are undocumented and trust their caller: `_weight_int8pack_mm` takes
any stride for one (an expanded scale reads whatever lies behind it), reads 32 weights at once
(behind the end of a shorter row too), and breaks the process off where its operands don't begin at
a multiple of 16 or 32 bytes, as those that are mapped from a file needn't. Whatever reaches them
passes here; with another torch nothing should (`is_known`).
"""

from __future__ import annotations

import re
from functools import cache

import torch
from torch import Tensor
from torch.autograd import forward_ad

from qdemo.spec.messages import say

KNOWN = ((2, 10), (2, 13))
"""The first and the last version of torch that all of this was tried with."""

ALIGNMENT = 64
"""Bytes that operands begin at a multiple of, as memory that torch takes itself does."""

PACKED = 32
"""`packed` takes rows of a multiple of so many weights."""


@cache
def is_known(version: str = torch.__version__) -> bool:
    """Whether it is one of these versions, so that the two products may be used.

    >>> is_known("2.11.0+cu130"), is_known("2.14.1"), is_known("unknown")
    (True, False, False)
    """
    found = re.match(r"(\d+)\.(\d+)", version)
    return found is not None and KNOWN[0] <= (int(found[1]), int(found[2])) <= KNOWN[1]


def memory_of(x: Tensor) -> object:
    """What is equal for tensors of one storage, on the meta device too."""
    storage = x.untyped_storage()
    # Another torch may call it otherwise: then memory that has no address is its own.
    return getattr(storage, "_cdata", None) or storage.data_ptr() or id(x)


def is_plain(x: Tensor) -> bool:
    """Whether `x` has memory of its own that holds its values as they are, and nothing watches what
    is made of them: what reads it by its address may do so. (No view that is negated, no zeros
    without memory, no sparse ones; and no compiling, tracing, dispatch mode, functorch or
    forward gradients.)
    """
    return (
        not torch.compiler.is_compiling()
        and type(x) in _PLAIN
        and x.layout is torch.strided
        and not x.is_neg()
        and not x._is_zerotensor()
        and not is_watched()
        and torch._C._functorch.peek_interpreter_stack() is None
        and torch._C._get_tracing_state() is None
        and forward_ad._current_level < 0
    )


_PLAIN = (Tensor, torch.nn.Parameter)


def is_watched() -> bool:
    """Whether a dispatch mode makes what is made: perhaps no real tensor, and none to be kept."""
    return torch._C._len_torch_dispatch_stack() > 0


def aligned(x: Tensor) -> Tensor:
    """`x` as kernels of a CPU can read it, contiguous and aligned: itself, or else a copy."""
    x = x.contiguous()
    return x.clone() if x.is_cpu and x.data_ptr() % ALIGNMENT else x


def packed(x: Tensor, weights: Tensor, scale: Tensor) -> Tensor:
    """scale · (x · weightsᵀ), (n_rows, n), in bf16, added up in fp32.

    `x` is (n_rows, length), bf16, `weights` (n, length), int8, `scale` (n,), or one for all, ().

    Raises:
        ValueError: shapes, dtypes or devices are not these, or `PACKED` does not divide the length.
    """
    n, length = _sizes(x, weights, torch.bfloat16)
    if length % PACKED or not length:
        raise ValueError(
            say(
                "rows of {length} weights, expected a multiple of {packed}",
                length=length,
                packed=PACKED,
            )
        )
    if scale.shape not in ((), (n,)):
        raise ValueError(
            say("scales of shape {shape}, expected () or ({n},)", shape=tuple(scale.shape), n=n)
        )
    scale = scale.to(x.dtype).expand(n)
    return torch._weight_int8pack_mm(aligned(x), aligned(weights), aligned(scale))


def summed(x: Tensor, weights: Tensor) -> Tensor:
    """x · weightsᵀ, (n_rows, n), in int32; both int8, (n_rows, length) and (n, length).

    Raises:
        ValueError: shapes, dtypes or devices are not these, or there are single columns, with
            which torch 2.13 computes wrongly.
    """
    _, length = _sizes(x, weights, torch.int8)
    if length < 2:
        raise ValueError(say("rows of {length} weights, expected two or more", length=length))
    return torch._int_mm(aligned(x), aligned(weights).t())


def _sizes(x: Tensor, weights: Tensor, dtype: torch.dtype) -> tuple[int, int]:
    """The shape of the weights, which all fits."""
    if (x.dtype, weights.dtype) != (dtype, torch.int8) or not (x.is_cpu and weights.is_cpu):
        raise ValueError(
            say(
                "{dtype} on {device} and {weights_dtype} on {weights_device}, expected {expected} "
                "and int8 on the CPU",
                dtype=x.dtype,
                device=x.device,
                weights_dtype=weights.dtype,
                weights_device=weights.device,
                expected=dtype,
            )
        )
    if x.ndim != 2 or weights.ndim != 2 or x.shape[1] != weights.shape[1]:
        raise ValueError(
            say(
                "shapes {shape} and {weights_shape}, expected rows of one length",
                shape=tuple(x.shape),
                weights_shape=tuple(weights.shape),
            )
        )
    return weights.shape[0], weights.shape[1]
