"""In what scales are held: the tensors of each role, and what codes are decoded with.

Every scheme is decoded as x̂ = scale · (q − zero_point), or scale · q + minimum, with an fp32 scale
for each block; a scale format says how these are held, in fewer bits than that. It holds what it is
asked for as nearly as it can, and reads it again:

- fp32 is held as it is;
- e8m0, a power of two (Open Compute Project, "Microscaling Formats", 2023);
- e4m3, beside one fp32 scale of the whole tensor (NVIDIA's NVFP4);
- fp16, and minima too (GGUF);
- k4, k6 and k8, integers in units of an fp16 (GGUF's K-quants: `nested`);
- dq, bytes in blocks of 256 with scales of their own (Dettmers et al., "QLoRA", 2023).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Protocol

import torch
from torch import Tensor

from qdemo.numerics.blocks import scale_shape, take_rows
from qdemo.numerics.insides import is_watched
from qdemo.numerics.nested import BITS, Nested, super_shape
from qdemo.numerics.qparams import QParams, as_half
from qdemo.spec.messages import say
from qdemo.spec.scheme import NAME_OF, NAMED, Scheme


class ScaleFormat(Protocol):
    """A way of holding scales."""

    def hold(self, asked: QParams, scheme: Scheme) -> dict[str, Tensor]:
        """What is held of scales and minima, by role."""

    def read(self, held: Mapping[str, Tensor], scheme: Scheme) -> QParams:
        """What it is worth, in fp32 (fp64 where scales are held in that)."""

    def take(
        self, held: Mapping[str, Tensor], scheme: Scheme, index: slice | Tensor
    ) -> dict[str, Tensor]:
        """What is held of some rows, each of which has scales of its own."""


def format_of(scheme: Scheme) -> ScaleFormat:
    """In what that scheme keeps its scales.

    Raises:
        ValueError: no part of it is defined for that grid.
    """
    if scheme.scale in BITS and scheme not in NAME_OF:
        raise ValueError(
            say(
                "{scheme} keeps scales in {scale}, which only {names} do",
                scheme=scheme,
                scale=scheme.scale,
                names=", ".join(name for name, s in NAMED.items() if s.scale in BITS),
            )
        )
    return _FORMATS[scheme.scale]


def outer_shape(shape: tuple[int, ...], scheme: Scheme) -> tuple[int, ...]:
    """The shape of the scales of a tensor of that shape: (), (C,) or (C, G).

    Raises:
        ValueError: the scheme does not fit it.
    """
    if format_of(scheme) is _NESTED:
        return super_shape(shape, scheme)
    return scale_shape(shape, scheme.axis, scheme.group_size)


def hold(asked: QParams, scheme: Scheme) -> dict[str, Tensor]:
    """All that is held beside the codes, by role."""
    held = format_of(scheme).hold(asked, scheme)
    if asked.zero_point is not None:
        held["zero_point"] = asked.zero_point
    return held


def read(held: Mapping[str, Tensor], scheme: Scheme) -> QParams:
    """What codes are decoded with."""
    zero_point = held.get("zero_point")
    found = format_of(scheme).read(held, scheme)
    return found if zero_point is None else replace(found, zero_point=zero_point)


def take(
    held: Mapping[str, Tensor], scheme: Scheme, index: slice | Tensor
) -> tuple[Scheme, dict[str, Tensor]]:
    """What is held beside the codes of some rows of a matrix whose rows are apart, and in which
    scheme: blocks of bytes run on from row to row, so the scales of some rows are fp32 then."""
    own = {role: tensor for role, tensor in held.items() if role != "codes"}
    if scheme.axis != 0:
        return scheme, own
    found = format_of(scheme).take(own, scheme, index)
    return (replace(scheme, scale="fp32") if scheme.scale == "dq" else scheme), found


class _ByRow:
    """Roles whose tensors have axes begin with that of the rows."""

    def take(
        self, held: Mapping[str, Tensor], scheme: Scheme, index: slice | Tensor
    ) -> dict[str, Tensor]:
        return {role: take_rows(one, index) if one.ndim else one for role, one in held.items()}


class _Plain(_ByRow):
    """fp32, or fp64 where the tensor was."""

    def hold(self, asked: QParams, scheme: Scheme) -> dict[str, Tensor]:
        return {"scale": asked.scale}

    def read(self, held: Mapping[str, Tensor], scheme: Scheme) -> QParams:
        return QParams(held["scale"])


class _PowerOfTwo(_ByRow):
    """E8M0: the exponent of a power of two, biased by 127, a byte."""

    def hold(self, asked: QParams, scheme: Scheme) -> dict[str, Tensor]:
        fraction, exponent = torch.frexp(asked.scale)  # scale = fraction · 2^exponent, from ½ on
        nearest = exponent - (fraction < math.sqrt(0.5)).to(exponent.dtype)
        return {"scale": (nearest + 127).clamp(0, 254).to(torch.uint8)}

    def read(self, held: Mapping[str, Tensor], scheme: Scheme) -> QParams:
        bits = held["scale"].to(torch.int32) << 23
        bits = torch.where(bits == 0, 1 << 22, bits)  # 2^−127 is a subnormal number
        return QParams(bits.view(torch.float32))


_LARGEST, _LEAST = 448.0, 2.0**-6
"""Of the E4M3 scales of blocks that are used: the largest number, and the smallest normal one."""


class _TwoLevels(_ByRow):
    """E4M3, in units of one fp32 scale of the tensor, which makes the largest of them 448."""

    def hold(self, asked: QParams, scheme: Scheme) -> dict[str, Tensor]:
        scale = asked.scale.float()
        tiny = torch.finfo(torch.float32).tiny
        top = scale.amax() if scale.numel() else scale.new_zeros(())
        # The largest size that there is, exactly: (a / 6) · 6 = a, as 6 is a sum of two powers of
        # two (Goldberg, 1991, theorem 7).
        unit = top * scheme.qmax / (_LARGEST * scheme.qmax)
        unit = torch.where(top > tiny, unit.clamp(min=tiny), 1)
        own = (scale / unit).clamp(_LEAST, _LARGEST).to(torch.float8_e4m3fn)
        return {"scale": own, "tensor_scale": unit}

    def read(self, held: Mapping[str, Tensor], scheme: Scheme) -> QParams:
        own, unit = held["scale"].float(), held["tensor_scale"]
        return QParams(own * unit, per_step=(1 / unit) / own)


class _Half(_ByRow):
    """fp16, of scales and of minima."""

    def hold(self, asked: QParams, scheme: Scheme) -> dict[str, Tensor]:
        held = {"scale": as_half(asked.scale)}
        return held if asked.minimum is None else held | {"min": as_half(asked.minimum)}

    def read(self, held: Mapping[str, Tensor], scheme: Scheme) -> QParams:
        minimum = held.get("min")
        return QParams(held["scale"].float(), minimum=None if minimum is None else minimum.float())


_TOGETHER = 256
"""Scales that have a largest size in common."""

_KNOWN = 65535
"""Steps between −1 and 1 that have a code."""


class _DoubleQuantized(_ByRow):
    """A byte for what a scale is above the mean of all, in units of the largest of 256 of them."""

    def hold(self, asked: QParams, scheme: Scheme) -> dict[str, Tensor]:
        scale = asked.scale.float()
        mean = scale.mean() if scale.numel() else scale.new_zeros(())
        # The sum may be beyond fp32 where no scale is.
        mean = torch.where(torch.isfinite(mean), mean, (scale / max(1, scale.numel())).sum())
        blocks = _filled(scale.reshape(-1) - mean)  # (n_blocks, 256)
        largest = blocks.abs().amax(1)
        inverse = 1 / largest.clamp(min=torch.finfo(torch.float32).tiny)
        # bitsandbytes looks a value up among 2^16 even ones: beside a tie the farther may be taken.
        known = ((blocks * inverse[:, None] + 1) * (_KNOWN / 2)).round_() / (_KNOWN / 2) - 1
        places = torch.bucketize(known, _edges(scale.device))
        codes = places.reshape(-1)[: scale.numel()].to(torch.uint8).reshape(scale.shape)
        return {"scale": codes, "scale_absmax": largest, "scale_mean": mean}

    def read(self, held: Mapping[str, Tensor], scheme: Scheme) -> QParams:
        codes, largest = held["scale"], held["scale_absmax"]
        numbers = _filled(known_numbers(codes.device)[codes.reshape(-1).int()])
        apart = (numbers * largest[:, None]).reshape(-1)[: codes.numel()]
        return QParams((apart + held["scale_mean"]).reshape(codes.shape))

    def take(
        self, held: Mapping[str, Tensor], scheme: Scheme, index: slice | Tensor
    ) -> dict[str, Tensor]:
        every = held["scale"] if held["scale"].ndim == 2 else held["scale"][:, None]
        device, (rows, groups) = every.device, every.shape
        codes = take_rows(every, index)
        first = take_rows(torch.arange(rows, device=device), index) * groups
        places = (first[:, None] + torch.arange(groups, device=device)) // _TOGETHER
        scale = known_numbers(device)[codes.int()] * held["scale_absmax"][places]
        scale = (scale + held["scale_mean"]).reshape(len(codes), *held["scale"].shape[1:])
        others = {role: held[role] for role in held if not role.startswith("scale")}
        return super().take(others, scheme, index) | {"scale": scale}


def _filled(x: Tensor) -> Tensor:
    """(n_blocks, 256), with zeros at the end."""
    padding = -len(x) % _TOGETHER
    filled = torch.nn.functional.pad(x, (0, padding)) if padding else x
    return filled.reshape(-1, _TOGETHER)


@cache
def dynamic_map() -> tuple[float, ...]:
    """The 256 numbers from −0.993 to 1 that a byte stands for: seven decades, each of twice as many
    steps as the one below (Dettmers, "8-Bit Approximations for Parallelism in Deep Learning", 2016,
    arXiv 1511.04561; as bitsandbytes has them)."""
    found = [0.0, 1.0]
    for decade in range(7):
        edges = torch.linspace(0.1, 1, 2**decade + 1, dtype=torch.float32, device="cpu")
        sizes = 10.0 ** (decade - 6) * ((edges[:-1] + edges[1:]) / 2)
        found += [*sizes.tolist(), *(-sizes).tolist()]
    return tuple(sorted(found))


dynamic_map()  # here, as tensors have no values where a dispatch mode makes them


def known_numbers(device: torch.device) -> Tensor:
    """Those, fp32."""
    return (_known.__wrapped__ if is_watched() else _known)(device)


@cache
def _known(device: torch.device) -> Tensor:
    with torch.inference_mode(False):
        return torch.tensor(dynamic_map(), dtype=torch.float32, device=device)


def _edges(device: torch.device) -> Tensor:
    """Above which value the next number is nearer."""
    numbers = known_numbers(device)
    return (numbers[1:] + numbers[:-1]) / 2


_NESTED = Nested()

_FORMATS: dict[str, ScaleFormat] = {
    "fp32": _Plain(),
    "e8m0": _PowerOfTwo(),
    "e4m3": _TwoLevels(),
    "fp16": _Half(),
    "dq": _DoubleQuantized(),
    **dict.fromkeys(BITS, _NESTED),
}
"""By the `scale` of a scheme; a new one is one class."""
