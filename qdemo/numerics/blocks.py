"""Any granularity as a view: the numbers that share a scale are one row of a matrix.

And the memory in which one piece after another is computed, which each thread uses again and again.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from math import prod

import torch
from torch import Tensor

from qdemo.numerics.insides import is_watched
from qdemo.spec.messages import say

TILE = 1 << 18  # values: 1 MiB as fp32, which a core's own cache holds
_TILE_ELSEWHERE = 1 << 24  # on a GPU, which is told what to do as rarely as can be


def to_blocks(x: Tensor, axis: int | None, group_size: int | None = None) -> Tensor:
    """View `x` as (n_blocks, block_length), a block being the numbers that share a scale.

    A row that is shorter than `group_size` is one group.

    >>> import torch
    >>> x = torch.zeros(6, 8)
    >>> to_blocks(x, axis=None).shape                 # one scale in all
    torch.Size([1, 48])
    >>> to_blocks(x, axis=0).shape                    # one a row
    torch.Size([6, 8])
    >>> to_blocks(x, axis=1).shape                    # one a column
    torch.Size([8, 6])
    >>> to_blocks(x, axis=0, group_size=4).shape      # two a row
    torch.Size([12, 4])

    Raises:
        ValueError: there is no such axis, or `group_size` does not divide what lies along it.
    """
    if axis is None:
        return x.reshape(1, x.numel())
    n_blocks = prod(scale_shape(x.shape, axis, group_size))
    length = row_length(x.shape, axis)
    return x.movedim(axis, 0).reshape(
        n_blocks, length if group_size is None else min(length, group_size)
    )


def from_blocks(blocks: Tensor, shape: tuple[int, ...], axis: int | None) -> Tensor:
    """Undo `to_blocks`: a tensor of `shape` again.

    >>> import torch
    >>> x = torch.arange(24).reshape(2, 3, 4)
    >>> bool((from_blocks(to_blocks(x, axis=1), (2, 3, 4), axis=1) == x).all())
    True
    """
    if axis is None:
        return blocks.reshape(shape)
    moved = (shape[axis], *shape[:axis], *shape[axis + 1 :])
    return blocks.reshape(moved).movedim(0, axis)


def tiles(blocks: Tensor) -> Iterator[tuple[slice, slice]]:
    """Cut blocks into pieces of at most `tile_size` values: what is done to one stays in the cache.

    >>> import torch
    >>> list(tiles(torch.zeros(3, 2 * TILE)))[1:3]
    [(slice(0, 1, None), slice(262144, 524288, None)), (slice(1, 2, None), slice(0, 262144, None))]
    """
    n_blocks, length = blocks.shape
    most = tile_size(blocks.device)
    width = max(1, min(length, most))
    height = most // width
    for row in range(0, n_blocks, height):
        for column in range(0, length, width):
            yield slice(row, row + height), slice(column, column + width)


def tile_size(device: torch.device) -> int:
    """How many values a piece has at most: `TILE` on a CPU."""
    return TILE if device.type == "cpu" else _TILE_ELSEWHERE


def scale_shape(
    shape: tuple[int, ...], axis: int | None, group_size: int | None
) -> tuple[int, ...]:
    """The shape that scales and zero points have: (), (kept axis) or (kept axis, groups).

    >>> scale_shape((6, 8), None, None), scale_shape((6, 8), 0, None), scale_shape((6, 8), 0, 4)
    ((), (6,), (6, 2))

    Raises:
        ValueError: as `to_blocks`.
    """
    if axis is None:
        return ()
    length = row_length(shape, axis)
    if group_size is None:
        return (shape[axis],)
    if length <= group_size:
        return (shape[axis], 1)
    if length % group_size:
        raise ValueError(_ragged(group_size, length))
    return (shape[axis], length // group_size)


def row_length(shape: tuple[int, ...], axis: int) -> int:
    """How many numbers share one index along `axis`.

    Raises:
        ValueError: there is no such axis.
    """
    if axis >= len(shape):
        raise ValueError(
            say(
                "axis {axis} does not exist in a tensor of shape {shape}",
                axis=axis,
                shape=tuple(shape),
            )
        )
    return prod((*shape[:axis], *shape[axis + 1 :]))


def _ragged(group_size: int, length: int) -> str:
    divisors = [d for d in range(group_size, 1, -1) if length % d == 0]
    hint = f"use a divisor such as {divisors[0]}" if divisors else "leave group_size out"
    return say(
        "group_size {group_size} does not divide the row length {length}; {hint}",
        group_size=group_size,
        length=length,
        hint=hint,
    )


def take_rows(x: Tensor, index: slice | Tensor) -> Tensor:
    """x[index].

    Raises:
        IndexError: a row does not exist; they are not counted from the end.
    """
    return x[index] if isinstance(index, slice) else x.index_select(0, index.to(x.device))


def has_fp64(device: torch.device) -> bool:
    """Whether it computes in fp64; an Apple GPU doesn't."""
    return device.type != "mps"


def with_fp64(x: Tensor) -> Tensor:
    """`x` where fp64 exists: itself, or on the CPU."""
    return x if has_fp64(x.device) else x.cpu()


class _Own(threading.local):
    def __init__(self) -> None:
        self.held: dict[tuple[str, torch.dtype, torch.device], Tensor] = {}


_OWN = _Own()


def scratch(
    shape: tuple[int, ...], /, *, dtype: torch.dtype, device: torch.device, name: str = ""
) -> Tensor:
    """Memory of this thread, whose next call for the same name, dtype and device overwrites it.

    A new large tensor costs more than the product that it is for, since the system has to find and
    clear every page of it. A CUDA graph gets memory of its own, as it uses that for good, and so
    does what a dispatch mode makes.
    """
    is_captured = device.type == "cuda" and torch.cuda.is_current_stream_capturing()
    if is_captured or is_watched():
        return torch.empty(shape, dtype=dtype, device=device)
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
