"""Products of activations on a CPU: by loops that are compiled for it, where they can be.

`loops` writes and compiles a kernel for each way of lying and meaning of the weights (`Form`). This
is the one place that checks what reaches them, as they trust their caller: a `_Weight` holds the
numbers and addresses of a weight, which are checked when it is made, and checks the activations
each time. Whatever no loop is for is left to torch's general ways.
"""

from __future__ import annotations

import ctypes
from dataclasses import replace
from functools import cache, cached_property
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from qdemo.loops import floats, machine, product
from qdemo.loops.codes import Form, Meaning
from qdemo.loops.machine import FLOATS, LANES, takes_fp16
from qdemo.numerics import fast
from qdemo.numerics.blocks import scale_shape, scratch
from qdemo.numerics.insides import is_plain
from qdemo.numerics.qtensor import QTensor
from qdemo.spec.formats import FORMATS

_SHARED_FROM = 1 << 18
"""Products of two numbers from which on threads share them; below, one is through before another
has begun."""

_BRIEF = 1 << 22
"""Products of two numbers up to which other threads of Python wait: so few are over soon."""

_BLOCK = 1 << 18
"""Weights that are floats at a time: 1 MiB, which a core's own cache holds."""


def times(x: Tensor, weight: QTensor, bits: int | None = None) -> Tensor | None:
    """x · Ŵᵀ, (rows, n), of the dtype of `x`, (rows, length), as exact as `loops.tiled` tells; with
    `bits` of 8, x is rounded to integers first. None where there is no loop for it, or where
    numbers went beyond fp32 on the way."""
    if not is_plain(x) or not len(x):
        return None
    try:
        known = _WEIGHTS[weight]
    except KeyError:
        known = _Weight.of(weight)
        if known is None or known.lies_as(weight):  # a copy would not see what changes in place
            _WEIGHTS[weight] = known
    if known is None or not known.takes(x, bits):
        return None
    if x.dtype not in known.floats:  # fp16 where the CPU does not convert it
        y = known.times(x.float().contiguous(), bits)
        return None if y is None else y.to(x.dtype)
    return known.times(x.contiguous(), bits)


def has_loop(weight: QTensor) -> bool:
    """Whether there is a loop for that weight on this machine."""
    return machine.machine() is not None and _form(weight) is not None


def prepare() -> None:
    """Compile the kernels of all usual formats, those of the first choices first."""
    for form in USUAL if machine.machine() is not None else ():
        machine.kernel(product.product, form)


USUAL = (
    Form((), "integer"),
    Form((4,), "table"),
    Form((2, 1), "table"),
    Form((2,), "table"),
    Form((4,), "table", has_zero_points=True),
)
"""int8; int4, nf4, fp4 and e2m1; int3; int2; int4 with zero points."""


def _here() -> machine.Machine:
    found = machine.machine()
    assert found is not None
    return found


@cache
def _most(here: machine.Machine) -> int:
    """Rows of activations up to which weights are decoded anew for each tile. For more, torch's
    products of floats make up for making the weights floats first; but on AMD's CPUs with wide
    registers these take twice as long as the loops, however many rows there are."""
    if here.kind != "avx512":
        return 24
    return 1 << 30 if here.cpu.startswith("znver") else 64


class _Weight:
    """What kernels are told of a weight; whatever they read is kept by."""

    @classmethod
    def of(cls, weight: QTensor) -> _Weight | None:
        """That of a weight; None where there is no loop for it."""
        form = _form(weight) if machine.machine() is not None else None
        return None if form is None else cls(weight, form)

    def __init__(self, weight: QTensor, form: Form) -> None:
        """Everything that is read is checked here and in `_form`, but for the activations."""
        self.form = form
        self.n, self.length = weight.shape
        self.floats = {
            FORMATS[name].dtype: i
            for i, name in enumerate(FLOATS)
            if name != "fp16" or takes_fp16(_here().kind)
        }
        self._held = [one for one in _held(weight) if one is not None]
        self._lay = [one.data_ptr() for one in self._held]
        table = fast.levels(weight.scheme.storage) if form.meaning == "table" else None
        # Not the tensors themselves, whose memory may be exchanged for another.
        outer = _by_group(weight.scale), _by_group(weight.zero_point)
        self._read = weight.packed.detach(), *outer, table
        self._numbers = (self.n, self.length, self.length // weight.n_groups,
                         *(0 if x is None else x.data_ptr() for x in self._read), 0)  # fmt: skip
        chunk = product.chunk(self.n, torch.get_num_threads(), _here(), form)
        self._work = machine.work(self.n, chunk, self._numbers)
        self._product = machine.kernel(product.product, form)
        self._most = _most(_here())
        self._rounds = product.takes_integers(form, self._numbers[2], _here())

    def lies_as(self, weight: QTensor) -> bool:
        """Whether what is read is the memory of `weight` itself, and no copy."""
        return all(
            one is None or (own is not None and one.data_ptr() == own.data_ptr())
            for one, own in zip(_held(weight), self._read, strict=False)
        )

    def takes(self, x: Tensor, bits: int | None) -> bool:
        """Whether these are activations for it, and its own memory was not exchanged."""
        if x.ndim != 2 or x.shape[1] != self.length or not x.is_cpu:
            return False
        if bits and not self._rounds:
            return False
        known = x.dtype in self.floats or x.dtype == torch.float16
        return known and [one.data_ptr() for one in self._held] == self._lay

    def times(self, x: Tensor, bits: int | None) -> Tensor | None:
        """x · Ŵᵀ of contiguous memory."""
        if bits:
            return self._times(self._of_integers, x)
        return self._times(self._product, x) if len(x) <= self._most else self._in_blocks(x)

    @cached_property
    def _of_integers(self) -> machine.Kernel:
        return machine.kernel(product.product, self.form, 8)

    def _times(self, kernel: machine.Kernel, x: Tensor) -> Tensor | None:
        rows = len(x)
        size = rows * self.n * self.length
        threads = machine.threads(torch.get_num_threads()) if size >= _SHARED_FROM else 1
        run = kernel.briefly if size <= _BRIEF else kernel.at_length
        y = x.new_empty(rows, self.n)
        place, which = ctypes.addressof(self._work), self.floats[x.dtype]
        return None if run(place, x.data_ptr(), y.data_ptr(), rows, which, threads) else y

    def _in_blocks(self, x: Tensor) -> Tensor:
        """With the weights made floats, some rows at a time."""
        dtype = x.dtype if x.dtype == torch.bfloat16 else torch.float32
        own, y = x.to(dtype), x.new_empty(len(x), self.n)
        kernel = machine.kernel(floats.floats, self.form, dtype == torch.bfloat16)
        height = max(1, _BLOCK // self.length // 64) * 64
        memory = scratch((height * self.length,), dtype=dtype, device=x.device)
        threads = machine.threads(torch.get_num_threads())
        chunk = -(-height // (4 * threads * LANES)) * LANES  # of whole panels
        work = machine.work(height, chunk, self._numbers)
        for start in range(0, self.n, height):
            rows = min(height, self.n - start)
            kernel.at_length(ctypes.addressof(work), memory.data_ptr(), start, rows, 0, threads)
            values = memory[: rows * self.length]
            is_turned = bool(self.form.planes)
            block = values.view(self.length, rows) if is_turned else values.view(rows, -1).t()
            y[:, start : start + rows] = torch.mm(own, block)
        return y


_WEIGHTS: WeakKeyDictionary[QTensor, _Weight | None] = WeakKeyDictionary()


def _form(weight: QTensor) -> Form | None:
    """How a weight lies and what it means; None where no loop is for that."""
    if len(weight.shape) != 2 or weight.scheme.axis == 1 or not all(weight.shape):
        return None
    if (weight.scheme.scale, weight.scheme.zero_point) != ("fp32", "int"):
        return None
    held, scale, zero = weight.packed, weight.scale, weight.zero_point
    if not (held.is_cpu and held.is_contiguous() and scale.is_cpu) or type(held) is not Tensor:
        return None
    scheme = weight.scheme
    outer = scale_shape(weight.shape, scheme.axis, scheme.group_size)
    if (scale.dtype, tuple(scale.shape)) != (torch.float32, outer):
        return None
    if zero is not None and (zero.dtype, zero.shape, zero.is_cpu) != (
        torch.uint8, scale.shape, True,
    ):  # fmt: skip
        return None
    form = _bytes(weight) if weight.panels is None else _panels(weight)
    if form is None or weight.shape[1] // weight.n_groups % form.multiple:
        return None
    return replace(form, are_shared=scale.ndim == 0)


def _bytes(weight: QTensor) -> Form | None:
    """That of numbers that are a byte each, in rows."""
    held, has_zero_points = weight.packed, weight.zero_point is not None
    integers = torch.uint8 if has_zero_points else torch.int8
    meanings: dict[torch.dtype, Meaning] = {
        integers: "integer", torch.float8_e4m3fn: "fp8_e4m3", torch.float8_e5m2: "fp8_e5m2",
    }  # fmt: skip
    if tuple(held.shape) != weight.shape or held.dtype not in meanings:
        return None
    return Form((), meanings[held.dtype], has_zero_points=has_zero_points)


def _panels(weight: QTensor) -> Form | None:
    """That of numbers below 8 bits, in panels."""
    panels, grid = weight.panels, weight.grid
    assert panels is not None
    held = weight.packed
    if held.dtype != torch.uint8 or tuple(held.shape) != (panels.n_bytes,):
        return None
    widths = tuple(plane.width for plane in panels.planes)
    has_zero_points = weight.zero_point is not None
    if grid.bits <= 4:
        return Form(widths, "table", has_zero_points=has_zero_points)
    if grid.format.kind != "integer":
        return None
    return Form(widths, "integer", grid.offset, has_zero_points)


def _held(weight: QTensor) -> tuple[Tensor, Tensor, Tensor | None]:
    return weight.packed, weight.scale, weight.zero_point


def _by_group(scales: Tensor | None) -> Tensor | None:
    """Scales or zero points one beside the other, those of groups as (groups, rows) in memory, as
    those of a weight lie that is frozen."""
    if scales is None:
        return None
    return (scales.detach().t() if scales.ndim == 2 else scales.detach()).contiguous()
