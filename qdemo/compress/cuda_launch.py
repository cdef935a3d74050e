"""All that the GPU's kernels are given of a weight, looked at once and ready for each token.

They trust their caller, and this is the only one. What they are compiled for is chosen here: how
many rows a program goes along, and how much of them at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache, partial
from importlib import import_module
from math import prod
from typing import Any

import torch
from torch import Tensor

from qdemo.numerics.blocks import scale_shape
from qdemo.numerics.grids import Codebook, FloatGrid
from qdemo.numerics.packing import LANES
from qdemo.numerics.qtensor import QTensor
from qdemo.spec.formats import Format
from qdemo.spec.messages import say

# Of what was tried on an H200, with rows of 1280 and 3584 numbers:
_WARPS, _WARPS_OF_BYTES = 4, 8  # of a program, where a number is bits of a byte, and all of it
_AHEAD = 14  # tiles that are read before the first of them is used
_LEAST_WIDE, _PROGRAMS = 4, 2  # rows of a program, and programs for each processor
_ROLES = {"codes", "scale", "zero_point"}

_BLOCK = 1 << 24  # weights that are floats at a time
_MOST_READY = 256  # compiled for activations of so many kinds; no model has as many


def is_known(weight: QTensor) -> bool:
    """Whether it is a matrix with scales of its rows or their groups, and nothing else."""
    if len(weight.shape) != 2 or not prod(weight.shape) or weight.scheme.axis not in (0, None):
        return False
    scheme = weight.scheme
    if (scheme.scale, scheme.zero_point) != ("fp32", "int"):  # no kernel is for those yet
        return False
    return weight.tensors.keys() <= _ROLES and weight.scale.dtype == torch.float32


class Launch:
    """Products with one weight. `wide` rows of it are a program's, and scales of rows lie beside
    each other where it `is_turned`, not those of groups."""

    def __init__(self, weight: QTensor, wide: int | None = None) -> None:
        """Of a weight that `is_known`; a program goes along `wide` rows of it, if that is told.

        Raises:
            ValueError: a tensor of it does not fit its shape.
        """
        self.shape, self.device = weight.shape, weight.device
        scales = scale_shape(weight.shape, weight.scheme.axis, weight.scheme.group_size)
        zero_point = weight.scale if weight.zero_point is None else weight.zero_point
        codes, panels, table = weight.packed, weight.panels, _table_of(weight)
        self._check("codes", codes, (panels.n_bytes,) if panels else weight.shape)
        self._check("scale", weight.scale, scales)
        self._check("zero_point", zero_point, scales)
        if not codes.is_contiguous():
            raise ValueError(say("codes lie apart, expected one behind the other"))
        # What the kernel does not read is any pointer.
        codes, table = codes.view(torch.uint8), weight.scale if table is None else table
        self.held = (codes, weight.scale, zero_point, table)
        group = weight.shape[1] // weight.n_groups
        apart = (*_strides(weight.scale), *_strides(zero_point))
        self.sizes = (weight.shape[1], weight.n_groups, group, *apart)
        self.wide = wide or _wide(weight)
        self.is_turned = weight.scale.ndim == 2 and weight.scale.stride(0) == 1
        self.n_tiles, known = _constants(weight)
        # Ready for each token: first and last row, programs, and what their kernel is compiled for.
        self.runs = list(_spans(weight, self.wide, known, _is_even(weight, self.n_tiles, known)))
        self._ready: dict[tuple[object, ...], tuple[Any, tuple[int, ...]]] = {}

    def count(self, x: Tensor) -> int:
        """How many rows of activations x has.

        Raises:
            ValueError: it is not (..., length), or lies elsewhere.
        """
        length = self.shape[1]
        if not x.ndim or x.shape[-1] != length or x.device != self.device:
            raise ValueError(
                say(
                    "activations of shape {shape} on {device}, expected rows of {length} on "
                    "{expected}",
                    shape=tuple(x.shape),
                    device=x.device,
                    length=length,
                    expected=self.device,
                )
            )
        return x.numel() // length

    def run(self, x: Tensor, n_x: int) -> Tensor:
        """x · Ŵᵀ of what fits, of `n_x` rows, by the kernel."""
        out = x.new_empty(*x.shape[:-1], self.shape[0])
        row, column = self.shape[1], 1
        if not x.is_contiguous():
            x = x.flatten(0, -2) if x.ndim > 1 else x[None]
            row, column = x.stride()
        for first, last, programs, constants in self.runs:
            known = (first, x.dtype, n_x, row, column, x.data_ptr() % 16)
            given = (x, *self.held, out, n_x, self.shape[0], row, column, *self.sizes, first, last)
            self._start("multiply", known, (n_x * programs, 1, 1), given, constants)
        return out

    def pieces(self, dtype: torch.dtype) -> Iterator[tuple[slice, Tensor]]:
        """Rows, and their weights dequantized: as many at a time as a block has room for."""
        n, length = self.shape
        height = max(1, _BLOCK // length // LANES) * LANES
        for begin, end, _, constants in self.runs:
            for first in range(begin, end, height):
                last = min(first + height, end)
                out = torch.empty(last - first, length, dtype=dtype, device=self.device)
                programs = -(-(last - first) // constants["lanes"]) * constants["parts"]
                given = (*self.held, out, n, *self.sizes, first, last)
                grid = (programs, self.n_tiles, 1)
                self._start("dequantize", (first, dtype), grid, given, constants)
                yield slice(first, last), out

    def _start(
        self,
        name: str,
        known: tuple[object, ...],
        grid: tuple[int, int, int],
        given: tuple[Any, ...],
        constants: dict[str, int],
    ) -> None:
        """Have a kernel compiled for what is `known` the first time: to look up what it compiled
        takes Triton longer than a product does."""
        if self.device.type == "cuda" and self.device.index != torch.cuda.current_device():
            with torch.cuda.device(self.device):
                self._start(name, known, grid, given, constants)
            return
        if (ready := self._ready.get(known)) is not None:
            start, rest = ready
            start(*given, *rest)
            return
        # It imports Triton, which not all have.
        kernel = getattr(import_module("qdemo.compress.cuda_kernel"), name)
        made = kernel[grid](*given, **constants)
        if len(self._ready) >= _MOST_READY:
            self._ready.clear()
        rest = tuple(constants[name] for name in kernel.arg_names[len(given) :])
        interpreted = partial(kernel[grid], **constants)
        self._ready[known] = (interpreted, ()) if made is None else (made[grid], rest)

    def _check(self, role: str, held: Tensor, shape: tuple[int, ...]) -> None:
        if tuple(held.shape) != shape or held.device != self.device:
            raise ValueError(
                say(
                    "{role} of shape {found} on {device}, expected {shape} on {expected}",
                    role=role,
                    found=tuple(held.shape),
                    device=held.device,
                    shape=shape,
                    expected=self.device,
                )
            )


def _strides(scale: Tensor) -> tuple[int, int]:
    """How far scales lie apart, from row to row and from group to group."""
    row, column, *_ = (*scale.stride(), 0, 0)
    return row, column


def _constants(weight: QTensor) -> tuple[int, dict[str, int]]:
    """Tiles of a row, what kernels are compiled for, and how they go along a row."""
    n_groups, bits = weight.n_groups, weight.grid.bits
    group = weight.shape[1] // n_groups
    warps = _WARPS if weight.panels else _WARPS_OF_BYTES
    whole = 8 // (bits & -bits)  # numbers that fill bytes of all planes
    # A place must not go beyond its group, unless that ends the row.
    unit = min(whole, group & -group) if n_groups > 1 else whole
    n_tiles, places, several = _tiles(n_groups, -(-group // unit), 16 * warps)
    signed = 128 * (weight.packed.dtype == torch.int8)
    return n_tiles, {
        "bits": bits,
        "offset": weight.grid.offset if weight.panels else signed,
        "has_table": isinstance(weight.grid, FloatGrid | Codebook),
        "has_zero": weight.zero_point is not None,
        "unit": unit,
        "step": places * unit,
        "several": several,
        "per_group": -(-group // (places * unit)) if n_groups > 1 else 0,
        "ahead": _ahead(n_tiles),
        "num_warps": warps,
    }


def _is_even(weight: QTensor, n_tiles: int, known: dict[str, int]) -> bool:
    """Whether tiles end where rows do."""
    group = weight.shape[1] // weight.n_groups
    ends = (group % known["step"], weight.n_groups % known["several"], n_tiles % known["ahead"])
    return not any(ends)


def _tiles(n_groups: int, places: int, most: int) -> tuple[int, int, int]:
    """How many tiles there are, and how many places of a group, and groups, each has.

    There are as few places beyond the end as can be. A tile has fewer than there are threads
    (`most` is half of that): then each thread reads the activations that it needs itself, and
    waits for no other.
    """
    found = []
    for size in (most, most // 2, most // 4):
        of_group = min(_power(places), size)
        several = min(_power(n_groups), size // of_group)
        n_tiles = -(-n_groups // several) * -(-places // of_group)
        found.append((n_tiles * several * of_group, n_tiles, of_group, several))
    return min(found)[1:]


def _ahead(n_tiles: int) -> int:
    """How many of so many tiles are read ahead: so that none is beyond the last, if possible."""
    even = [count for count in range(_AHEAD // 2, _AHEAD + 1) if n_tiles % count == 0]
    return max(even, default=-(-n_tiles // -(-n_tiles // _AHEAD)))


def _wide(weight: QTensor) -> int:
    """Rows that a program goes along: fewer where a GPU would not be busy else."""
    wide = LANES
    while wide > _LEAST_WIDE and weight.shape[0] // wide < _PROGRAMS * _processors(weight.device):
        wide //= 2
    return wide


@cache
def _processors(device: torch.device) -> int:
    if device.type != "cuda":  # where the kernel is interpreted
        return 1
    return int(torch.cuda.get_device_properties(device).multi_processor_count)


def _spans(
    weight: QTensor, wide: int, known: dict[str, int], is_even: bool
) -> Iterator[tuple[int, int, int, dict[str, int]]]:
    """First and last row, programs, and all that is `known` with how the rows of a program lie: of
    full panels, and of the narrower last one. `is_even` tells that of rows."""
    n_rows = weight.shape[0]
    full = n_rows // LANES * LANES
    found = [(0, full, LANES, wide), (full, n_rows, n_rows - full, _power(n_rows - full))]
    for first, last, lanes, own in found if weight.panels else [(0, n_rows, wide, wide)]:
        if last > first:
            parts = max(1, lanes // own)
            beside = {"lanes": lanes, "wide": own, "parts": parts}
            ends = {"is_even": is_even and (last - first) % own == 0}
            yield first, last, -(-(last - first) // lanes) * parts, {**known, **beside, **ends}


def _power(count: int) -> int:
    """The least power of two that is no less."""
    return 1 << (count - 1).bit_length()


def _table_of(weight: QTensor) -> Tensor | None:
    """The number of each code, fp32; None where codes are integers."""
    grid = weight.grid
    if isinstance(grid, FloatGrid):
        return _table(grid.format, grid.values, weight.device)
    if isinstance(grid, Codebook):
        return _table(grid.format, grid.format.levels, weight.device)
    return None


_TABLES: dict[tuple[Format, torch.device], Tensor] = {}
"""Never given up, as CUDA graphs go on reading them; there are no more than there are grids."""


def _table(format: Format, values: tuple[float, ...], device: torch.device) -> Tensor:
    if (format, device) not in _TABLES:
        with torch.inference_mode(False):
            _TABLES[format, device] = torch.tensor(values, dtype=torch.float32, device=device)
    return _TABLES[format, device]
