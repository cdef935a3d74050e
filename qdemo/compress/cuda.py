"""Products of activations with quantized weights on a GPU, by kernels written for Triton.

Of few activations the weights are read as they lie and become floats in registers, so a product
takes little more than reading their bytes does. (torch's own kernel for 4 bits wants them in
another order, with scales in bf16: a second copy, which no footprint would count.) For many, a
block of them at a time is made floats.

No kernel is taken on trust. Before it is first used on a device it multiplies a small weight; where
it raises there, or does not give the product of the dequantized weight, that device goes torch's
general way, which the log is told. `is_used` knows which way it is.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from math import prod
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from qdemo.compress.cuda_launch import Launch, is_known
from qdemo.numerics.linear import quantize_tensor
from qdemo.numerics.packing import LANES
from qdemo.numerics.qtensor import QTensor
from qdemo.spec.messages import say
from qdemo.spec.scheme import Scheme

ROWS = 16
"""Rows of activations up to which a kernel multiplies. Each of them reads the weights, from the
second on out of the cache; above, another makes the weights floats once, and torch multiplies."""

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
"""Of activations."""

_LOGGER = logging.getLogger("qdemo")


def product(x: Tensor, weight: QTensor) -> Tensor | None:
    """x · Ŵᵀ, (..., n), added up in fp32 and rounded once to the dtype of x, (..., length).

    None where the kernel is not for that, or does not work on that device.

    Raises:
        ValueError: x, or what `weight` holds, does not fit the weight's shape.
    """
    launch = _launch_of(weight)
    if launch is None or x.dtype not in DTYPES:
        return None
    n_x = launch.count(x)
    if not n_x or not (trial := launch.trial(x.dtype)).works:
        return None
    try:
        return launch.run(x, n_x) if n_x <= ROWS else _by_floats(x, launch)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        if _is_capturing(x.device):  # what can't be captured may well work otherwise
            raise
        trial.fail(error)
        return None


def _by_floats(x: Tensor, launch: Launch) -> Tensor:
    """x · Ŵᵀ of many rows: by torch, with a block of the weights made floats at a time."""
    flat = x.flatten(0, -2)
    out = x.new_empty(len(flat), launch.shape[0])
    for rows, floats in launch.pieces(x.dtype):
        torch.mm(flat, floats.t(), out=out[:, rows])
    return out.view(*x.shape[:-1], launch.shape[0])


def is_used(weight: QTensor, dtype: torch.dtype) -> bool:
    """Whether few activations of that dtype are multiplied by the kernel, where `weight` lies."""
    launch = _launch_of(weight)
    return dtype in DTYPES and launch is not None and launch.trial(dtype).works


def _is_capturing(device: torch.device) -> bool:
    """Whether what is done on that device is only written down, for a CUDA graph."""
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()


@dataclass(frozen=True)
class _Kind:
    """What a trial is good for: all that the kernel is compiled for."""

    device: torch.device
    dtype: torch.dtype
    scheme: Scheme
    length: int
    wide: int
    rest: int
    is_turned: bool  # whether scales of rows lie beside each other, and not those of groups


class _Trial:
    """Whether the kernel works for a kind, as far as is known."""

    def __init__(self, kind: _Kind) -> None:
        """Find out with a small weight.

        Raises:
            RuntimeError: a CUDA graph is being captured, in which nothing is computed.
        """
        if _is_capturing(kind.device):
            raise RuntimeError(say("a kernel can't be tried while a CUDA graph is captured"))
        self.kind, self.works = kind, True
        try:
            self._multiply(_small(kind))
        except Exception as error:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Use it no more, and tell the log why."""
        self.works = False
        kind, why = self.kind, str(error) or type(error).__name__
        told = (kind.scheme, kind.dtype, kind.device, why)
        _LOGGER.warning("products of %s and %s on %s go torch's general way: %.300s", *told)

    def _multiply(self, small: QTensor) -> None:
        """Twice, as a kernel is compiled the first time, and only started the second."""
        device, length, info = self.kind.device, small.shape[1], torch.finfo(self.kind.dtype)
        x = torch.arange(2 * length, dtype=torch.float32).sin().view(2, length).to(self.kind.dtype)
        exact, w = x.double(), small.dequantize(torch.float64)
        bound = 8 * info.eps * (exact.abs() @ w.t().abs())
        launch, x = Launch(small.to(device), self.kind.wide), x.to(device)
        for _ in range(2):
            ours = launch.run(x, 2).cpu().double()
            if not ((ours - exact @ w.t()).abs() <= bound).all():
                raise ArithmeticError(say("the product is not that of the dequantized weight"))
            for rows, floats in launch.pieces(x.dtype):
                apart = (floats.cpu().double() - w[rows]).abs()
                if not (apart <= info.eps * w[rows].abs().clamp_min(info.tiny)).all():
                    raise ArithmeticError(say("the floats are not those of the dequantized weight"))


_TRIALS: dict[_Kind, _Trial] = {}


def _small(kind: _Kind) -> QTensor:
    """A weight of that kind, on the CPU: of two full panels and the rest."""
    shape = (2 * LANES + kind.rest, kind.length)
    made = quantize_tensor(torch.arange(prod(shape)).cos().view(shape), kind.scheme)
    if not kind.is_turned:
        return made
    turned = {role: x.t().contiguous().t() for role, x in made.tensors.items() if role != "codes"}
    return replace(made, tensors={**made.tensors, **turned})


class _Tried(Launch):
    """Products with a weight, and whether they can be trusted, by dtype of the activations."""

    def __init__(self, weight: QTensor) -> None:
        """Of a weight that `is_known`.

        Raises:
            ValueError: a tensor of it does not fit its shape.
        """
        super().__init__(weight)
        self.scheme = weight.scheme
        self.trials: dict[torch.dtype, _Trial] = {}

    def trial(self, dtype: torch.dtype) -> _Trial:
        """That of its kind."""
        if dtype not in self.trials:
            n, length = self.shape
            same = (self.scheme, length, self.wide, n % LANES, self.is_turned)
            kind = _Kind(self.device, dtype, *same)
            if kind not in _TRIALS:
                _TRIALS[kind] = _Trial(kind)
            self.trials[dtype] = _TRIALS[kind]
        return self.trials[dtype]


_LAUNCHES: WeakKeyDictionary[QTensor, _Tried | None] = WeakKeyDictionary()


def _launch_of(weight: QTensor) -> _Tried | None:
    """Kept as long as the weight is; None where the kernel can't multiply it."""
    try:
        return _LAUNCHES[weight]
    except KeyError:
        launch = _LAUNCHES[weight] = _Tried(weight) if is_known(weight) else None
        return launch
