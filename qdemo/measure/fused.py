"""Errors of weights by one loop over vectors, of tensors that it can take on the CPU that is found.

The loop trusts its caller: all that it reads is checked here. What it can't take, and what its
cells are too few for, is left to torch, which finds the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from qdemo.loops import machine
from qdemo.loops.cells import ERRORS, HEAD, KINDS, NUMBERS, SLOT, SQUARES, Cells, place_of
from qdemo.loops.machine import FLOATS, LANES, takes_fp16
from qdemo.measure.difference import fits_fp32
from qdemo.measure.histogram import LinearHistogram, log_edges_of
from qdemo.numerics.blocks import scratch
from qdemo.numerics.fast import levels
from qdemo.numerics.insides import is_plain
from qdemo.numerics.qtensor import QTensor
from qdemo.spec.formats import FORMATS

_DTYPES = {FORMATS[name].dtype: name for name in FLOATS}
_BYTES = {
    torch.int8: "integers", torch.uint8: "bytes",
    torch.float8_e4m3fn: "fp8_e4m3", torch.float8_e5m2: "fp8_e5m2",
}  # fmt: skip

_LENGTH = 4096
"""Of the rows that a tensor of floats is cut into."""

_LEAST, _PIECES = 1 << 15, 4
"""Weights a piece of the work, and pieces a thread."""

_MOST = 1 << 31
"""Weights that can be counted in 32 bits."""


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


@dataclass(frozen=True)
class _Form:
    """How ŵ lies, in `n` rows: what `cells.NUMBERS` tells of it, and the tensors that are read,
    which this holds on to."""

    n: int
    length: int
    kind: str
    tensors: dict[str, Tensor]
    group: int = 1
    steps: dict[str, int] = field(default_factory=dict)
    rounded: str = "fp32"
    bits: int = 0
    offset: int = 0

    @property
    def stride(self) -> int:
        """Bytes for a row of a panel: sixteen of the thinnest plane fill 128."""
        return -(-self.length // 128) * 128


class Weights:
    """Weights that the loop takes, and what they became. They hold until this thread makes the next
    ones."""

    def __init__(self, w: Tensor, form: _Form, threads: int) -> None:
        """Only `of` makes them, which checks."""
        self._w, self._form, self._kernel = w, form, _kernel()
        threads = machine.threads(threads)
        rows = max(-(-form.n // (_PIECES * threads)), -(-_LEAST // form.length))
        chunk = -(-rows // LANES) * LANES
        pieces = -(-form.n // chunk)
        self._threads = min(threads, pieces)
        slots = _own("slots", pieces * SLOT)
        panels = _own("panels", pieces * LANES * form.stride if form.bits else 0)
        self._slots = slots.numpy().reshape(pieces, SLOT)
        self._numbers = self._told(chunk, {"w": w, "slots": slots, "scratch": panels})

    @classmethod
    def of(cls, w: Tensor, w_hat: Tensor | QTensor, threads: int) -> Weights | None:
        """Those, of one shape, for so many of torch's threads; None where the loop can't take
        them."""
        here = machine.machine()
        if here is None or not 0 < w.numel() < _MOST or not _is_whole(w, torch.float32):
            return None
        form = _of_floats(w_hat) if isinstance(w_hat, Tensor) else _of_codes(w_hat)
        if form is None or ("fp16" in (form.kind, form.rounded) and not takes_fp16(here.kind)):
            return None
        return cls(w, form, threads)

    def _told(self, chunk: int, memory: dict[str, Tensor]) -> Any:
        form = self._form
        told = {
            "length": form.length, "group": form.group, "numel": self._w.numel(),
            "kind": KINDS.index(form.kind), "rounded": FLOATS.index(form.rounded),
            "bits": form.bits, "offset": form.offset, "stride": form.stride, **form.steps,
        }  # fmt: skip
        for name, tensor in (memory | form.tensors).items():
            told[name] = tensor.data_ptr()
        return machine.work(form.n, chunk, [told.get(name, 0) for name in NUMBERS])

    def _run(self, way: int) -> None:
        self._kernel.at_length(self._numbers, way, 0, 0, 0, self._threads)

    def sum_of_squares(self) -> float:
        """Σw², in fp64."""
        self._run(SQUARES)
        return float(self._slots[:, :8].view(np.float64).sum())

    def counted(self, unit: float) -> Counted | None:
        """What became of them, with `unit` for the logarithmic histogram; None where errors are not
        finite, or too large or small for fp32 or the cells."""
        cells = Cells.around(log_edges_of(unit))
        if cells is None:
            return None
        self._numbers[place_of("low")] = cells.low
        self._numbers[place_of("cells")] = cells.offsets.ctypes.data
        self._run(ERRORS)
        head = self._slots[:, : 8 * len(HEAD)]
        largest = float(head.view(np.int64)[:, -1].max().astype(np.int32).view(np.float32))
        fits = fits_fp32(largest)
        power = cells.power(largest) if fits else None
        return None if power is None else self._found(cells, largest, power)

    def _found(self, cells: Cells, largest: float, power: int) -> Counted:
        head = self._slots[:, : 8 * len(HEAD)]
        squares, steps = head.view(np.float64)[:, :2].sum(0).tolist()
        beyond, zeroed, exact = head.view(np.int64)[:, 2:5].sum(0).tolist()
        exact -= self._filled
        counts = self._slots[:, 8 * len(HEAD) :].view(np.uint32).sum(0, dtype=np.uint32)
        nonzero = self._w.numel() - exact
        linear, log = map(torch.from_numpy, cells.histograms(counts, nonzero, power))
        histogram = LinearHistogram(power, linear)
        return Counted(squares, steps, largest, beyond, zeroed, exact, histogram, log)

    @property
    def _filled(self) -> int:
        """How many zeros filled up rows to whole vectors."""
        form = self._form
        last = self._w.numel() - (form.n - 1) * form.length
        return (form.n - 1) * (-form.length % LANES) + -last % LANES


def _own(name: str, size: int) -> Tensor:
    return scratch((size,), dtype=torch.uint8, device=torch.device("cpu"), name=f"errors {name}")


def _is_there(x: Tensor, dtype: torch.dtype) -> bool:
    """Whether its very values are in memory of the CPU."""
    return is_plain(x) and x.is_cpu and x.dtype == dtype


def _is_whole(x: Tensor, dtype: torch.dtype) -> bool:
    """Whether they lie there one behind the other."""
    return _is_there(x, dtype) and x.is_contiguous()


def _of_floats(w_hat: Tensor) -> _Form | None:
    kind = _DTYPES.get(w_hat.dtype)
    if kind is None or not _is_whole(w_hat, w_hat.dtype):
        return None
    length = min(_LENGTH, w_hat.numel())
    return _Form(-(-w_hat.numel() // length), length, kind, {"codes": w_hat.detach()})


def _of_codes(q: QTensor) -> _Form | None:
    groups, meaning = _groups(q), _meaning(q)
    if groups is None or meaning is None or q.dtype not in _DTYPES:
        return None
    (n, length), (group, steps), (kind, table) = q.shape, groups, meaning
    tensors = {"codes": q.packed, "scales": q.scale, "zeros": q.zero_point, "table": table}
    read = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    packing = (q.grid.bits, q.grid.offset) if q.panels else (0, 0)
    return _Form(n, length, kind, read, group, steps, _DTYPES[q.dtype], *packing)


def _groups(q: QTensor) -> tuple[int, dict[str, int]] | None:
    """The length of a group, and how far on the scale of the next row and group is; None where
    there is not one for each row and group, or row, or for all."""
    scale, zero = q.scale, q.zero_point
    if len(q.shape) != 2 or q.scheme.axis == 1 or not _is_there(scale, torch.float32):
        return None
    if zero is not None and not (_is_there(zero, torch.uint8) and _lie_alike(zero, scale)):
        return None
    n, length = q.shape
    if scale.shape == ():
        return length, {}
    per_row = scale.shape[1] if scale.ndim == 2 else 1
    if scale.ndim > 2 or scale.shape[0] != n or not per_row or length % per_row:
        return None
    next_row, next_group = (*scale.stride(), 0)[:2]
    return length // per_row, {"next_row": next_row, "next_group": next_group}


def _lie_alike(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and a.stride() == b.stride()


def _meaning(q: QTensor) -> tuple[str, Tensor | None] | None:
    """The kind of the codes, and their table where that is what they mean."""
    shape = q.shape if q.panels is None else (q.panels.n_bytes,)
    if tuple(q.packed.shape) != shape or not _is_whole(q.packed, q.packed.dtype):
        return None
    kind, is_even = _BYTES.get(q.packed.dtype), q.scheme.storage.kind == "integer"
    if q.panels is None:
        return (kind, None) if kind and is_even == (kind in ("integers", "bytes")) else None
    if kind != "bytes" or not (is_even or q.grid.bits <= 4):
        return None
    return ("bytes", None) if is_even else ("table", levels(q.scheme.storage))
