"""What loops read of a quantized weight, and whether all of it is as they expect: they trust their
caller."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from qdemo.loops.form import STEP, Form, Held, Meaning
from qdemo.loops.machine import LANES, Machine, takes_fp16
from qdemo.numerics import fast
from qdemo.numerics.linear import quantize_tensor
from qdemo.numerics.nested import BITS
from qdemo.numerics.packing import Panels
from qdemo.numerics.qparams import has_minima
from qdemo.numerics.qtensor import QTensor
from qdemo.numerics.scales import known_numbers
from qdemo.spec.scheme import SUPER_BLOCK, Scheme

_HELD: dict[str, Held] = {
    "fp32": "fp32", "fp16": "fp16", "e8m0": "e8m0", "e4m3": "e4m3", "dq": "dq",
    "k4": "nested", "k6": "nested", "k8": "nested",
}  # fmt: skip
"""By the scale format of a scheme."""

_NAMES = {
    "codes": "codes", "scale": "scales", "zero_point": "zeros", "min": "minima",
    "tensor_scale": "outer", "scale_absmax": "outer", "scale_mean": "mean",
    "super_scale": "outer", "super_min": "outer_minima",
}  # fmt: skip
"""By role, what a loop calls the tensor."""


def form_of(weight: QTensor, here: Machine) -> Form | None:
    """How a weight lies and what it means; None where no loop is for that on such a machine."""
    if len(weight.shape) != 2 or weight.scheme.axis == 1 or not all(weight.shape):
        return None
    held = _HELD.get(weight.scheme.scale)
    if held is None or (held in ("fp16", "nested") and not takes_fp16(here.kind)):
        return None
    if not _is_whole(weight):
        return None
    form = _form(weight, held)
    if form is None or weight.shape[1] // weight.n_groups % form.multiple:
        return None
    return form


def read_by_loops(weight: QTensor, form: Form) -> dict[str, Tensor]:
    """The tensors that a loop reads, by what it calls them."""
    found = {_NAMES[role]: tensor for role, tensor in weight.tensors.items()}
    if form.meaning == "table":
        found["table"] = fast.levels(weight.scheme.storage)
    if form.scales == "dq":
        found["known"] = known_numbers(torch.device("cpu"))
    return found


def as_read(name: str, held: Tensor) -> Tensor:
    """The tensor of that name as loops read it: what belongs to groups as (groups, rows) in memory,
    as it lies in a weight that is frozen."""
    held = held.detach()
    return (held.t() if held.ndim == 2 and name != "codes" else held).contiguous()


def _is_whole(weight: QTensor) -> bool:
    """Whether each tensor has the shape and dtype that quantizing gives, and memory of a CPU."""
    wanted, held = _wanted(weight.scheme, weight.shape), weight.tensors
    return (
        held.keys() == wanted.keys()
        and weight.packed.is_contiguous()
        and all(type(one) is Tensor and one.is_cpu for one in held.values())
        and all((tuple(one.shape), one.dtype) == wanted[role] for role, one in held.items())
    )


@lru_cache(maxsize=512)
def _wanted(
    scheme: Scheme, shape: tuple[int, ...]
) -> dict[str, tuple[tuple[int, ...], torch.dtype]]:
    """Shape and dtype by role, of a weight in fp32 or a half."""
    like = quantize_tensor(torch.empty(shape, dtype=torch.float32, device="meta"), scheme)
    return {role: (tuple(one.shape), one.dtype) for role, one in like.tensors.items()}


def _form(weight: QTensor, held: Held) -> Form | None:
    scheme = weight.scheme
    codes = _codes(weight)
    if codes is None:
        return None
    planes, meaning, offset = codes
    inner = _inner(scheme)
    return Form(
        planes,
        meaning,
        offset,
        has_zero_points="zero_point" in weight.tensors,
        scales=held,
        are_shared=scheme.axis is None,
        zeros="fp32" if scheme.zero_point == "float" else "uint8",
        has_minima=has_minima(scheme),
        several=SUPER_BLOCK // (scheme.group_size or 1) if held == "nested" else 1,
        inner=inner,
        group=_known_group(weight, held, planes),
        inner_offset=2 ** (sum(inner) - 1) if inner and scheme.symmetric else 0,
    )


def _known_group(weight: QTensor, held: Held, planes: tuple[int, ...]) -> int:
    """The length of a group for which a kernel is compiled, where that is worth it."""
    group = weight.shape[1] // weight.n_groups
    if planes:
        return group if held == "e4m3" and group == 2 * STEP else 0
    return group if held != "fp32" and group == 2 * LANES else 0


def _inner(scheme: Scheme) -> tuple[int, ...]:
    """The planes of scales that are integers below 8 bits."""
    bits = BITS.get(scheme.scale, 8)
    return tuple(plane.width for plane in Panels(bits, 1, 1).planes) if bits < 8 else ()


_BYTES: dict[torch.dtype, Meaning] = {
    torch.int8: "integer", torch.uint8: "integer",
    torch.float8_e4m3fn: "fp8_e4m3", torch.float8_e5m2: "fp8_e5m2",
}  # fmt: skip


def _codes(weight: QTensor) -> tuple[tuple[int, ...], Meaning, int] | None:
    """The planes that numbers lie in, what they mean, and what they count from."""
    grid, panels = weight.grid, weight.panels
    if panels is None:  # numbers that are a byte each, in rows
        return (), _BYTES[weight.packed.dtype], 0
    widths = tuple(plane.width for plane in panels.planes)
    if grid.bits <= 4:
        return widths, "table", 0
    return (widths, "integer", grid.offset) if grid.format.kind == "integer" else None
