"""Linear quantization by loops compiled for this CPU, where they can be; the same bit for bit.

The one place that checks what reaches those loops. Each function gives None where there is no loop
for what it is given, and torch's general way is taken.
"""

from __future__ import annotations

import ctypes
from functools import cache

import torch
from torch import Tensor

from qdemo.loops import machine
from qdemo.numerics.grids import grid_of
from qdemo.numerics.insides import is_plain
from qdemo.spec.formats import Format

_SHARED_FROM = 1 << 17
"""Values from which on threads share them."""


def ranges(blocks: Tensor) -> tuple[Tensor, Tensor] | None:
    """The lowest and highest value of each block and 0, fp32 (n_blocks,); also None where a value
    is infinite or NaN."""
    if not _fits(blocks):
        return None
    from qdemo.loops import rounding

    low, high = torch.empty(2, len(blocks), dtype=torch.float32, device="cpu").unbind()
    odd = _run(machine.kernel(rounding.ranges), blocks, low, high)
    return None if odd else (low, high)


def integers(
    blocks: Tensor,
    scale: Tensor,
    zero_point: Tensor | None,
    qmin: int,
    qmax: int,
    dtype: torch.dtype,
) -> Tensor | None:
    """clamp(round(x / scale) + zero point) of blocks (n, length) as integers of a byte, `dtype`;
    scales and zero points are (n, 1)."""
    outer = (len(blocks), 1)
    if not _fits(blocks) or dtype not in (torch.int8, torch.uint8):
        return None
    if (scale.dtype, tuple(scale.shape), scale.is_cpu) != (torch.float32, outer, True):
        return None
    zeros = zero_point
    if zeros is not None and (zeros.dtype, tuple(zeros.shape), zeros.is_cpu) != (
        torch.uint8, outer, True,
    ):  # fmt: skip
        return None
    from qdemo.loops import rounding

    codes = torch.empty(blocks.shape, dtype=dtype, device="cpu")
    kernel = machine.kernel(rounding.integers, qmin, qmax, zero_point is not None)
    own = None if zero_point is None else zero_point.contiguous()
    _run(kernel, blocks, scale.contiguous(), own, codes)
    return codes


@cache
def levels(format: Format) -> Tensor:
    """The values of a grid's codes as they are packed, of at most four bits, again and again up to
    sixteen: fp32, as loops look them up."""
    grid = grid_of(format)
    with torch.inference_mode(False):
        codes = torch.arange(1 << grid.bits, dtype=torch.uint8, device="cpu")
        codes = codes.sub_(grid.offset).view(grid.dtype) if grid.offset else codes
        found = torch.empty(codes.shape, dtype=torch.float32, device="cpu")
        return grid.decode(codes, found).repeat(16 >> grid.bits).contiguous()


def _fits(blocks: Tensor) -> bool:
    return (
        is_plain(blocks)
        and machine.machine() is not None
        and not blocks.requires_grad
        and (blocks.dtype, blocks.is_cpu, blocks.ndim) == (torch.float32, True, 2)
        and blocks.is_contiguous()
        and blocks.numel() > 0
        and blocks.shape[1] % machine.LANES == 0
    )


def _run(kernel: machine.Kernel, blocks: Tensor, *own: Tensor | None) -> int:
    n, length = blocks.shape
    shared = blocks.numel() >= _SHARED_FROM
    threads = machine.threads(torch.get_num_threads()) if shared else 1
    addresses = (0 if one is None else one.data_ptr() for one in (blocks, *own))
    work = machine.work(n, -(-n // (8 * threads)), (length, *addresses))
    return int(kernel.at_length(ctypes.addressof(work), 0, 0, 0, 0, threads))
