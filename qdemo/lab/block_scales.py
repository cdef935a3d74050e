"""Scales of blocks in few bits: which one would be wanted, which one is held, and what that costs.

MX holds a power of two for 32 weights (Open Compute Project, "Microscaling Formats", 2023); NVFP4
an e4m3 number for 16, in units of one fp32 scale of the whole tensor (NVIDIA, 2025). Their weights
are e2m1, ±0 … 6, so absmax / 6 is wanted.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from qdemo.numerics.linear import quantize_tensor
from qdemo.numerics.qtensor import QTensor, blocks_of
from qdemo.spec.scheme import Scheme

FORMATS = ("mxfp4", "nvfp4")


@dataclass(frozen=True)
class Block:
    """The scale of one block. `stored` is the number in the byte: of MX the exponent of 2, of NVFP4
    what the scale of the tensor is multiplied with. `ideal` and `error` are the RMS of ŵ − w with
    the scale that is wanted, and with the one that is held; `clipped` counts the weights beyond the
    largest number.
    """

    absmax: float
    wanted: float
    held: float
    stored: float
    ideal: float
    error: float
    clipped: int


@dataclass(frozen=True)
class Blocks:
    """All blocks of a matrix in one format, with the scale of the tensor, 1 where there is none;
    `rms` and `ideal` are the RMS errors of the whole."""

    format: str
    blocks: tuple[Block, ...]
    tensor_scale: float
    rms: float
    ideal: float


def block_scales(w: Tensor, format: str) -> Blocks:
    """The scales of weights (rows, columns) in one of `FORMATS`.

    Raises:
        ValueError: its blocks do not fit the rows.
    """
    scheme = Scheme.parse(format)
    wanted = quantize_tensor(w, Scheme(scheme.grid, group_size=scheme.group_size))
    held = quantize_tensor(w, scheme)
    ideal, error = _squares(w, wanted), _squares(w, held)
    blocks = blocks_of(w, scheme)
    beyond = blocks.abs() > held.scale.reshape(-1, 1) * scheme.qmax * (1 + 2**-20)
    columns = (
        blocks.abs().amax(1), wanted.scale, held.scale, _stored(held), ideal.mean(1).sqrt(),
        error.mean(1).sqrt(), beyond.sum(1),
    )  # fmt: skip
    rows = zip(*(column.reshape(-1).tolist() for column in columns), strict=True)
    found = tuple(Block(*row) for row in rows)
    own = held.tensors.get("tensor_scale", torch.ones(()))
    rms, least = (squares.mean().sqrt().item() for squares in (error, ideal))
    return Blocks(format, found, own.item(), rms, least)


def _squares(w: Tensor, q: QTensor) -> Tensor:
    """(ŵ − w)², a block a row, in fp64."""
    return blocks_of((q.dequantize() - w).double().square(), q.scheme)


def _stored(held: QTensor) -> Tensor:
    """What the byte of each scale says."""
    byte = held.tensors["scale"]
    return byte.float() if byte.is_floating_point() else byte.to(torch.float32) - 127
