"""Weights, and what they became, as the loop over their errors can read them.

The loop trusts its caller: all that it reads is checked here.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from qdemo.loops import machine
from qdemo.loops.cells import KINDS, NUMBERS
from qdemo.loops.machine import FLOATS, LANES, takes_fp16
from qdemo.numerics.fast import levels
from qdemo.numerics.insides import is_plain
from qdemo.numerics.qtensor import QTensor
from qdemo.spec.formats import FORMATS

_DTYPES = {FORMATS[name].dtype: name for name in FLOATS}
_BYTES = {
    torch.int8: "integers", torch.uint8: "bytes",
    torch.float8_e4m3fn: "fp8_e4m3", torch.float8_e5m2: "fp8_e5m2",
}  # fmt: skip

_POSITIVE = ("fp32", "e8m0", "e4m3")
"""In what scales are never 0 or below. Others are looked at: errors are told in steps of them."""

_LENGTH = 4096
"""Of the rows that a tensor of floats is cut into."""

_MOST = 1 << 31
"""Weights that can be counted in 32 bits."""


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


@dataclass(frozen=True)
class Weights:
    """Weights that the loop takes, and what they became."""

    w: Tensor
    form: _Form

    @classmethod
    def of(cls, w: Tensor, w_hat: Tensor | QTensor) -> Weights | None:
        """Those, of one shape; None where the loop can't take them."""
        here = machine.machine()
        if here is None or not 0 < w.numel() < _MOST or not _is_whole(w, torch.float32):
            return None
        form = _of_floats(w_hat) if isinstance(w_hat, Tensor) else _of_codes(w_hat)
        if form is None or ("fp16" in (form.kind, form.rounded) and not takes_fp16(here.kind)):
            return None
        return cls(w, form)

    @property
    def filled(self) -> int:
        """How many zeros fill up rows to whole vectors."""
        form = self.form
        last = self.w.numel() - (form.n - 1) * form.length
        return (form.n - 1) * (-form.length % LANES) + -last % LANES

    @property
    def numbers(self) -> list[int]:
        """What the loop is told of them."""
        form = self.form
        told = {
            "rows": form.n, "length": form.length, "group": form.group, "numel": self.w.numel(),
            "kind": KINDS.index(form.kind), "rounded": FLOATS.index(form.rounded),
            "bits": form.bits, "offset": form.offset, "stride": form.stride, **form.steps,
            "w": self.w.data_ptr(),
        }  # fmt: skip
        for name, tensor in form.tensors.items():
            told[name] = tensor.data_ptr()
        return [told.get(name, 0) for name in NUMBERS]


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
    if groups is None or meaning is None or q.dtype not in _DTYPES or q.transform is not None:
        return None
    (n, length), (group, steps, scale), (kind, table) = q.shape, groups, meaning
    tensors = {"codes": q.packed, "scales": scale, "zeros": q.zero_point, "table": table}
    read = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    packing = (q.grid.bits, q.grid.offset) if q.panels else (0, 0)
    return _Form(n, length, kind, read, group, steps, _DTYPES[q.dtype], *packing)


def _groups(q: QTensor) -> tuple[int, dict[str, int], Tensor] | None:
    """The length of a group, how far on the scale of the next row and group is, and the scales;
    None where there is not one for each row and group, or row, or for all."""
    if q.scheme.zero_point != "int":
        return None
    scale, zero = q.scale, q.zero_point
    if q.scheme.scale not in _POSITIVE and not (scale > 0).all():
        return None
    if len(q.shape) != 2 or q.scheme.axis == 1 or not _is_there(scale, torch.float32):
        return None
    if zero is not None and not (_is_there(zero, torch.uint8) and _lie_alike(zero, scale)):
        return None
    n, length = q.shape
    if scale.shape == ():
        return length, {}, scale
    per_row = scale.shape[1] if scale.ndim == 2 else 1
    if scale.ndim > 2 or scale.shape[0] != n or not per_row or length % per_row:
        return None
    next_row, next_group = (*scale.stride(), 0)[:2]
    return length // per_row, {"next_row": next_row, "next_group": next_group}, scale


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
