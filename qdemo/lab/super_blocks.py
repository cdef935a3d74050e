"""A super-block of Q4_K, GGUF's most used format of 4 bits: every number in its 144 bytes.

256 weights of a row in 8 blocks of 32; ŵ = d · s · q − dmin · m, with integers q of 4 bits, and s
and m of 6 bits for each block, in units of the fp16 pair d and dmin (llama.cpp, ggml-quants.c).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from qdemo.lab.matrices import layer
from qdemo.numerics.choosing import chosen
from qdemo.numerics.linear import quantize_tensor
from qdemo.numerics.qtensor import blocks_of
from qdemo.spec.scheme import SUPER_BLOCK, Scheme

FORMAT = "q4_k"


@dataclass(frozen=True)
class Block:
    """One of eight: the scale and the minimum that its weights ask for; the 6-bit integers that are
    held of them, and what these are worth; the RMS of ŵ − w."""

    scale: float
    scale_code: int
    scale_held: float
    minimum: float
    minimum_code: int
    minimum_held: float
    rms: float


@dataclass(frozen=True, eq=False)
class SuperBlock:
    """`w` are its weights, (8, 32), `values` what they become, and `levels`, (8, 16), all that they
    could; `d` and `dmin` its fp16 pair; `sizes` the bytes that are held, by role."""

    w: Tensor
    values: Tensor
    levels: Tensor
    d: float
    dmin: float
    blocks: tuple[Block, ...]
    sizes: Mapping[str, int]

    @property
    def bits(self) -> float:
        """A weight, with all that is held beside the integers."""
        return 8 * sum(self.sizes.values()) / self.w.numel()


def of_layer(name: str, row: int) -> SuperBlock:
    """The first super-block of that row, counted from 0, of a weight of t5-tiny."""
    return super_block(layer(name)[row, :SUPER_BLOCK])


def super_block(w: Tensor) -> SuperBlock:
    """That of 256 weights, (256,).

    Raises:
        ValueError: they are not 256, or one of them is not finite.
    """
    scheme = Scheme.parse(FORMAT)
    q = quantize_tensor(w[None], scheme)
    blocks = blocks_of(w[None], scheme)
    asked, held = chosen(blocks, scheme), q.qparams.columns()
    assert asked.minimum is not None
    assert held.minimum is not None
    pair = (q.tensors["super_scale"].float().item(), q.tensors["super_min"].float().item())
    values = blocks_of(q.dequantize(), scheme)
    columns = (
        asked.scale, _codes(held.scale, pair[0]), held.scale,
        -asked.minimum, _codes(-held.minimum, pair[1]), -held.minimum,
        (values - blocks).double().square().mean(1).sqrt(),
    )  # fmt: skip
    rows = zip(*(column.reshape(-1).tolist() for column in columns), strict=True)
    levels = held.scale * torch.arange(16) + held.minimum
    sizes = {role: tensor.nbytes for role, tensor in q.tensors.items()}
    return SuperBlock(blocks, values, levels, *pair, tuple(Block(*row) for row in rows), sizes)


def _codes(held: Tensor, unit: float) -> Tensor:
    """The integers that these are multiples of a unit by."""
    return (held / (unit or 1)).round().to(torch.int64)
