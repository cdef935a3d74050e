"""Products of activations on a CPU: by loops that are compiled for it, where they can be.

`loops` writes and compiles a kernel for each way of lying and meaning of the weights (`Form`). This
is the one place that checks what reaches them, as they trust their caller: a `_Weight` holds the
numbers and addresses of a weight, which are checked when it is made, and checks the activations
each time. Whatever no loop is for is left to torch's general ways.
"""

from __future__ import annotations

import ctypes
from functools import cache, cached_property
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from qdemo.compress.cpu_forms import as_read, form_of, read_by_loops
from qdemo.loops import floats, machine, product
from qdemo.loops.form import ADDRESSES, Form
from qdemo.loops.machine import FLOATS, LANES, takes_fp16
from qdemo.numerics.blocks import scratch
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
    here = machine.machine()
    return here is not None and form_of(weight, here) is not None


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
        here = machine.machine()
        form = None if here is None else form_of(weight, here)
        return None if form is None else cls(weight, form)

    def __init__(self, weight: QTensor, form: Form) -> None:
        """Everything that is read was checked by `form_of`, but for the activations."""
        self.form = form
        self.n, self.length = weight.shape
        self.floats = {
            FORMATS[name].dtype: i
            for i, name in enumerate(FLOATS)
            if name != "fp16" or takes_fp16(_here().kind)
        }
        self._held = list(weight.tensors.values())
        self._lay = [one.data_ptr() for one in self._held]
        # Not the tensors themselves, whose memory may be exchanged for another.
        self._read = {name: as_read(name, one) for name, one in read_by_loops(weight, form).items()}
        addresses = (self._read[at].data_ptr() if at in self._read else 0 for at in ADDRESSES)
        self._numbers = (self.n, self.length, self.length // weight.n_groups, *addresses)
        chunk = product.chunk(self.n, torch.get_num_threads(), _here(), form)
        self._work = machine.work(self.n, chunk, self._numbers)
        self._product = machine.kernel(product.product, form)
        self._most = _most(_here())
        self._rounds = product.takes_integers(form, self._numbers[2], _here())

    def lies_as(self, weight: QTensor) -> bool:
        """Whether what is read is the memory of `weight` itself, and no copy."""
        return all(
            one.data_ptr() == self._read[name].data_ptr()
            for name, one in read_by_loops(weight, self.form).items()
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
