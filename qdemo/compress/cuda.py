"""Products of few rows of activations with quantized weights on a GPU, by one Triton kernel.

The weights are read as they lie and become floats in registers, so a product takes little more than
reading their bytes does. (torch's own kernel for 4 bits wants them in another order, with scales in
bf16: a second copy, which no footprint would count.)

No kernel is taken on trust. Before it is first used on a device it multiplies a small weight; where
it raises there, or does not give the product of the dequantized weight, that device goes torch's
general way, which the log is told. `is_used` knows which way it is.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from math import prod
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from qdemo.numerics.blocks import scale_shape
from qdemo.numerics.grids import Codebook, FloatGrid
from qdemo.numerics.linear import quantize_tensor
from qdemo.numerics.packing import LANES
from qdemo.numerics.qtensor import QTensor
from qdemo.spec.formats import Format
from qdemo.spec.messages import say
from qdemo.spec.scheme import Scheme

ROWS = 16
"""Rows of activations up to which the kernel is used. Each of them reads the weights, from the
second on out of the cache; above, the weights are made floats once, and torch multiplies."""

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
"""Of activations."""

_AT_ONCE = 512  # numbers of a row of weights
_BYTES_BESIDE = 4  # rows of weights that are gone along together, where a number is a byte
_ROLES = {"codes", "scale", "zero_point"}
_LOGGER = logging.getLogger("qdemo")


def product(x: Tensor, weight: QTensor) -> Tensor | None:
    """x · Ŵᵀ, (rows, n), added up in fp32 and rounded once to the dtype of x, (rows, length).

    None where the kernel is not for that, or does not work on that device.

    Raises:
        ValueError: x, or what `weight` holds, does not fit the weight's shape.
    """
    if x.dtype not in DTYPES or not 0 < len(x) <= ROWS:
        return None
    launch = _launch_of(weight)
    if launch is None or not (trial := launch.trial(x.dtype, weight)).works:
        return None
    launch.check(x)
    try:
        return launch.run(x)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        if _is_capturing(x.device):  # what can't be captured may well work otherwise
            raise
        trial.fail(error)
        return None


def is_used(weight: QTensor, dtype: torch.dtype) -> bool:
    """Whether few activations of that dtype are multiplied by the kernel, where `weight` lies."""
    launch = _launch_of(weight)
    return dtype in DTYPES and launch is not None and launch.trial(dtype, weight).works


def _is_capturing(device: torch.device) -> bool:
    """Whether what is done on that device is only written down, for a CUDA graph."""
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()


@dataclass(frozen=True)
class _Kind:
    """What a trial is good for. A group has `step` numbers, or more, that are gone along at once,
    and `several` groups are; `rest` are rows of the last, narrower panel."""

    device: torch.device
    dtype: torch.dtype
    scheme: Scheme
    step: int
    several: int
    rest: int


class _Trial:
    """Whether the kernel works for a kind, as far as is known."""

    def __init__(self, kind: _Kind, weight: QTensor) -> None:
        """Find out with a small weight like `weight`.

        Raises:
            RuntimeError: a CUDA graph is being captured, in which nothing is computed.
        """
        if _is_capturing(kind.device):
            raise RuntimeError(say("a kernel can't be tried while a CUDA graph is captured"))
        self.kind, self.works = kind, True
        try:
            self._multiply(_small(weight))
        except Exception as error:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Use it no more, and tell the log why."""
        self.works = False
        kind, why = self.kind, str(error) or type(error).__name__
        told = (kind.scheme, kind.dtype, kind.device, why)
        _LOGGER.warning("products of %s and %s on %s go torch's general way: %.300s", *told)

    def _multiply(self, small: QTensor) -> None:
        device, length = self.kind.device, small.shape[1]
        x = torch.arange(2 * length, dtype=torch.float32).sin().view(2, length).to(self.kind.dtype)
        ours = _Launch(small.to(device)).run(x.to(device)).cpu().double()
        exact, w = x.double(), small.dequantize(torch.float64).t()
        bound = 8 * torch.finfo(x.dtype).eps * (exact.abs() @ w.abs())
        if not ((ours - exact @ w).abs() <= bound).all():
            raise ArithmeticError(say("the product is not that of the dequantized weight"))


_TRIALS: dict[_Kind, _Trial] = {}


def _small(weight: QTensor) -> QTensor:
    """A weight of the same kind, on the CPU: of two full panels and the same rest, with at most a
    thousand numbers a row, or sixteen groups."""
    n, length = weight.shape
    n_groups = weight.n_groups
    short = min(length, 1024 + length % LANES) if n_groups == 1 else length // n_groups
    shape = (2 * LANES + n % LANES, short * min(n_groups, LANES))
    return quantize_tensor(torch.arange(prod(shape)).cos().view(shape), weight.scheme)


class _Launch:
    """All that the kernel is given of one weight. It trusts that, so here it is looked at."""

    def __init__(self, weight: QTensor) -> None:
        """Of a weight that is `_known`.

        Raises:
            ValueError: a tensor of it does not fit its shape.
        """
        self.shape, self.device, self.bits = weight.shape, weight.device, weight.grid.bits
        shape, scheme, zero_point = weight.shape, weight.scheme, weight.zero_point
        self._check("codes", weight.packed, (weight.panels.n_bytes,) if weight.panels else shape)
        scales = scale_shape(shape, scheme.axis, scheme.group_size)
        self._check("scale", weight.scale, scales)
        self._check("zero_point", weight.scale if zero_point is None else zero_point, scales)
        codes = weight.packed
        self.codes = codes.view(torch.uint8) if codes.dtype.is_floating_point else codes
        self.scale, self.zero_point = weight.scale, zero_point
        self.table = _table_of(weight)
        self.offset = weight.grid.offset if weight.panels else 0
        self.n_groups = weight.n_groups
        self.group = shape[1] // self.n_groups
        self.step = min(_power(self.group), _AT_ONCE)
        self.several = min(_power(self.n_groups), _AT_ONCE // self.step)
        self.scale_row = self.n_groups if scheme.axis == 0 else 0
        spans = _spans(shape[0]) if weight.panels else ((0, shape[0], _BYTES_BESIDE),)
        # Ready for each token: where a run begins and ends, and what its kernel is compiled for.
        self.runs = [(first, last, lanes, self._constants(lanes)) for first, last, lanes in spans]
        self.trials: dict[torch.dtype, _Trial] = {}

    def trial(self, dtype: torch.dtype, weight: QTensor) -> _Trial:
        """That of its kind, `weight` being the one it was made of."""
        if dtype not in self.trials:
            rest = self.shape[0] % LANES
            kind = _Kind(self.device, dtype, weight.scheme, self.step, self.several, rest)
            if kind not in _TRIALS:
                _TRIALS[kind] = _Trial(kind, weight)
            self.trials[dtype] = _TRIALS[kind]
        return self.trials[dtype]

    def check(self, x: Tensor) -> None:
        """Whether it can multiply x.

        Raises:
            ValueError: it is not (rows, length), or lies elsewhere.
        """
        if x.ndim != 2 or x.shape[1] != self.shape[1] or x.device != self.device:
            raise ValueError(
                say(
                    "activations of shape {shape} on {device}, expected rows of {length} on "
                    "{expected}",
                    shape=tuple(x.shape),
                    device=x.device,
                    length=self.shape[1],
                    expected=self.device,
                )
            )

    def run(self, x: Tensor) -> Tensor:
        """x · Ŵᵀ of what fits, which starts the kernel."""
        from qdemo.compress.cuda_kernel import multiply  # imports Triton, which not all have

        n, length = self.shape
        out = x.new_empty(len(x), n)
        scale = self.scale
        zero_point = scale if self.zero_point is None else self.zero_point  # any pointer will do
        table = scale if self.table is None else self.table
        with torch.cuda.device_of(x):
            for first, last, lanes, constants in self.runs:
                multiply[(len(x) * -(-(last - first) // lanes),)](
                    x, self.codes, scale, zero_point, table, out,
                    len(x), n, length, self.n_groups, self.group, first, last,
                    x.stride(0), x.stride(1), self.scale_row,
                    **constants,
                )  # fmt: skip
        return out

    def _constants(self, lanes: int) -> dict[str, int]:
        return {
            "bits": self.bits,
            "offset": self.offset,
            "has_table": self.table is not None,
            "has_zero": self.zero_point is not None,
            "lanes": lanes,
            "wide": _power(lanes),
            "step": self.step,
            "several": self.several,
            "num_warps": 4,
            "enable_fp_fusion": True,
        }

    def _check(self, role: str, held: Tensor, shape: tuple[int, ...]) -> None:
        if tuple(held.shape) != shape or not held.is_contiguous() or held.device != self.device:
            raise ValueError(
                say(
                    "{role} of shape {found} on {device}, expected {shape}, one behind the other "
                    "on {expected}",
                    role=role,
                    found=tuple(held.shape),
                    device=held.device,
                    shape=shape,
                    expected=self.device,
                )
            )


def _spans(n_rows: int) -> tuple[tuple[int, int, int], ...]:
    """First and last row, and lanes of a panel: the full ones, and the narrower one."""
    full = n_rows // LANES * LANES
    both = ((0, full, LANES), (full, n_rows, n_rows - full))
    return tuple(span for span in both if span[1] > span[0])


def _power(count: int) -> int:
    """The least power of two that is no less."""
    return 1 << (count - 1).bit_length()


_LAUNCHES: WeakKeyDictionary[QTensor, _Launch | None] = WeakKeyDictionary()


def _launch_of(weight: QTensor) -> _Launch | None:
    """Kept as long as the weight is; None where the kernel can't multiply it."""
    try:
        return _LAUNCHES[weight]
    except KeyError:
        launch = _LAUNCHES[weight] = _Launch(weight) if _is_known(weight) else None
        return launch


def _is_known(weight: QTensor) -> bool:
    """A matrix with scales of its rows or their groups, and nothing else."""
    if len(weight.shape) != 2 or not prod(weight.shape) or weight.scheme.axis not in (0, None):
        return False
    return weight.tensors.keys() <= _ROLES and weight.scale.dtype == torch.float32


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
