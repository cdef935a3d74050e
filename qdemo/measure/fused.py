"""Errors of weights by one loop over vectors, of all tensors that it can take at once.

What it can't take, and what its cells are too few for, is left to torch, which finds the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from qdemo.loops import machine
from qdemo.loops.cells import (
    AT_CELLS,
    CELLS,
    EDGES,
    ERRORS,
    NUMBERS,
    PART,
    SLOT,
    SQUARES,
    Cells,
    Integers,
    histograms,
)
from qdemo.loops.machine import LANES
from qdemo.measure.difference import fits_fp32
from qdemo.measure.forms import Weights
from qdemo.measure.histogram import LinearHistogram, log_edges_of

_LEAST, _PARTS = 1 << 18, 32
"""Weights of a part of the work, and parts a thread."""


@dataclass(frozen=True)
class Counted:
    """What the loop found, as a `WeightError` has it."""

    sum_sq_error: float
    sum_sq_steps: float
    max_abs: float
    saturated: int
    zeroed: int
    exact: int
    histogram: LinearHistogram
    log_histogram: Tensor


def prepare() -> None:
    """Compile the loop, where there is one: it takes a third of a second, once."""
    if machine.machine() is not None:
        _kernel()


def _kernel() -> machine.Kernel:
    from qdemo.loops.errors import errors

    return machine.kernel(errors)


def sums_of_squares(every: Sequence[Weights], threads: int) -> list[float]:
    """Σw² of each, in fp64, by so many of torch's threads."""
    return _Work(every, threads).squares() if every else []


def counted(
    every: Sequence[Weights], units: Sequence[float], threads: int
) -> Iterator[Counted | None]:
    """What became of each, with its unit for the logarithmic histogram; None where errors are not
    finite, or too large or small for fp32 or the cells."""
    cells = Cells.around(log_edges_of(np.array(units)[:, None]))
    taken = np.flatnonzero(cells.are_floats).tolist()
    known: dict[int, Counted | None] = {}
    if taken:
        work = _Work([every[i] for i in taken], threads)
        known = dict(zip(taken, work.counted(cells.of(taken)), strict=True))
    return map(known.get, range(len(every)))


class _Work:
    """All of several tensors, which the loop is called for once."""

    def __init__(self, every: Sequence[Weights], threads: int) -> None:
        self._every, self._threads = every, machine.threads(threads)
        self._numbers = np.array([one.numbers for one in every], np.int64)
        self._numel = self._told("numel")
        size = max(_LEAST, int(self._numel.sum()) // (_PARTS * self._threads))
        chunk = -(-size // self._told("length") // LANES) * LANES  # rows of whole panels
        counts = -(-self._told("rows") // chunk)
        self._begin = np.cumsum(counts) - counts  # of each tensor, its first part
        self._of = np.repeat(np.arange(len(every)), counts)  # of each part, its tensor
        self._slots = np.empty((len(self._of), SLOT), np.uint8)
        self._parts = self._cut(chunk[self._of])

    def _told(self, name: str) -> Integers:
        found: Integers = self._numbers[:, NUMBERS.index(name)]
        return found

    def _cut(self, chunk: Integers) -> Integers:
        """What is told of each part, which has as many rows as its chunk at most."""
        first = (np.arange(len(chunk)) - self._begin[self._of]) * chunk
        panels = (LANES * self._told("stride") * (self._told("bits") > 0))[self._of]
        self._scratch = np.empty(int(panels.sum()), np.uint8)
        told = {
            "numbers": _rows_at(self._numbers)[self._of],
            "first": first,
            "last": np.minimum(first + chunk, self._told("rows")[self._of]),
            "slot": _rows_at(self._slots),
            "scratch": self._scratch.ctypes.data + np.cumsum(panels) - panels,
        }
        return np.stack([told[name] for name in PART], axis=1)

    def _run(self, way: int) -> None:
        work = machine.work(len(self._parts), 1, [self._parts.ctypes.data])
        _kernel().at_length(work, way, 0, 0, 0, self._threads)

    def _summed(self, of_parts: NDArray[Any]) -> NDArray[Any]:
        """Of each tensor, the sum over its parts."""
        return np.add.reduceat(of_parts, self._begin, axis=0)

    def squares(self) -> list[float]:
        """Σw² of each tensor."""
        self._run(SQUARES)
        found: list[float] = self._summed(self._slots[:, :8].view(np.float64)[:, 0]).tolist()
        return found

    def counted(self, cells: Cells) -> Iterator[Counted | None]:
        """What became of each tensor, whose cells are these."""
        self._told("low")[:] = cells.low
        self._told("edges")[:] = _rows_at(cells.edges)
        self._run(ERRORS)
        head = self._slots[:, :AT_CELLS]
        squares, steps = self._summed(head.view(np.float64)[:, :2]).T
        beyond, zeroed, exact = self._summed(head.view(np.int64)[:, 2:5]).T
        exact -= [one.filled for one in self._every]
        bits = np.maximum.reduceat(head.view(np.int64)[:, 5], self._begin)
        largest = bits.astype(np.int32).view(np.float32)
        power, has_room = cells.powers(largest)
        bins = self._histograms(cells.borders(power), self._numel - exact)
        linear, logarithmic = map(torch.from_numpy, bins)
        kept = [LinearHistogram(*one) for one in zip(power.tolist(), linear, strict=True)]
        columns = [x.tolist() for x in (squares, steps, largest, beyond, zeroed, exact)]
        fits = has_room & [fits_fp32(size) for size in largest.tolist()]
        for ok, *row in zip(fits, *columns, kept, logarithmic, strict=True):
            yield Counted(*row) if ok else None

    def _histograms(self, borders: Integers, nonzero: Integers) -> tuple[Integers, Integers]:
        below = self._slots[:, AT_CELLS:].view(np.uint32)
        cells = below[:, : 2 * (CELLS + 1)].reshape(-1, 2, CELLS + 1)
        edges = below[:, 2 * (CELLS + 1) :].reshape(-1, 2, EDGES)
        chosen = np.take_along_axis(cells, borders[self._of, None], axis=2)
        below_borders, below_edges = (self._summed(x.astype(np.int64)) for x in (chosen, edges))
        zeros = below_borders[:, :, -1].sum(1) - nonzero
        return histograms(below_borders, below_edges, zeros)


def _rows_at(x: NDArray[Any]) -> Integers:
    """Where each row of a matrix lies."""
    return x.ctypes.data + np.arange(len(x)) * x.strides[0]
