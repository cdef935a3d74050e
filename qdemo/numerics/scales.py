"""In what scales are held: the tensors of each role, and what codes are decoded with.

Every scheme is decoded as x̂ = scale · (q − zero_point), or scale · q + minimum, with an fp32 scale
for each block; a scale format says how these are held, in fewer bits than that. It holds what it is
asked for as nearly as it can, and reads it again:

- fp32 is held as it is;
- e8m0, a power of two (Open Compute Project, "Microscaling Formats", 2023);
- e4m3, beside one fp32 scale of the whole tensor (NVIDIA's NVFP4);
- fp16, and minima too (GGUF);
- dq, bytes in blocks of 256 with scales of their own (Dettmers et al., "QLoRA", 2023).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Protocol

import torch
from torch import Tensor

from qdemo.numerics.blocks import scale_shape
from qdemo.spec.messages import say
from qdemo.spec.scheme import Scheme


@dataclass(frozen=True, eq=False)
class QParams:
    """What codes are decoded with: x̂ = scale · (q − zero_point), or scale · q + minimum.

    All have one shape: () per tensor, (C,) per channel, (C, G) per group. Before it is rounded, a
    value is multiplied by `per_step` where a format defines that, and else divided by the scale.
    """

    scale: Tensor
    zero_point: Tensor | None = None
    minimum: Tensor | None = None
    per_step: Tensor | None = None

    def columns(self) -> QParams:
        """The same as (n_blocks, 1), to stand beside their blocks."""
        return self._each(lambda x: x.reshape(-1, 1))

    def rows(self, index: slice) -> QParams:
        """Those of some of the rows."""
        return self._each(lambda x: x[index])

    def shaped(self, shape: tuple[int, ...], device: torch.device) -> QParams:
        """The same in that shape, and there."""
        return self._each(lambda x: x.to(device).reshape(shape))

    def _each(self, function: Callable[[Tensor], Tensor]) -> QParams:
        others = (self.zero_point, self.minimum, self.per_step)
        made = (None if x is None else function(x) for x in others)
        return QParams(function(self.scale), *made)

    @classmethod
    def given(cls, scheme: Scheme, scale: Tensor, zero_point: Tensor | None) -> QParams:
        """Of a scale and a zero point, which a format with minima holds as one."""
        if zero_point is not None and has_minima(scheme):
            return cls(scale, minimum=-zero_point * _unit(scale))
        return cls(scale, zero_point)

    @property
    def zeros(self) -> Tensor | None:
        """The number that stands for zero; it is a minimum, seen in steps of the scale. (Where a
        scale is 0 it can't be: there it is the minimum itself, with its sign turned.)"""
        if self.minimum is None:
            return self.zero_point
        return -self.minimum / _unit(self.scale)


def _unit(scale: Tensor) -> Tensor:
    return torch.where(scale == 0, 1, scale)


class ScaleFormat(Protocol):
    """A way of holding scales. Roles whose tensors have axes begin with that of the rows."""

    def hold(self, asked: QParams, scheme: Scheme) -> dict[str, Tensor]:
        """What is held of scales and minima, by role."""

    def read(self, held: Mapping[str, Tensor], scheme: Scheme) -> QParams:
        """What it is worth, in fp32 (fp64 where scales are held in that)."""


def format_of(scheme: Scheme) -> ScaleFormat:
    """In what that scheme keeps its scales.

    Raises:
        ValueError: no part of it is defined for that grid.
    """
    found = _FORMATS.get(scheme.scale)
    if found is None:
        raise ValueError(
            say(
                "{scheme} keeps scales in {scale}, expected one of {names}",
                scheme=scheme,
                scale=scheme.scale,
                names=", ".join(_FORMATS),
            )
        )
    return found


def outer_shape(shape: tuple[int, ...], scheme: Scheme) -> tuple[int, ...]:
    """The shape of the scales of a tensor of that shape: (), (C,) or (C, G).

    Raises:
        ValueError: the scheme does not fit it.
    """
    return scale_shape(shape, scheme.axis, scheme.group_size)


def has_minima(scheme: Scheme) -> bool:
    """Whether scale · q + minimum is what codes mean."""
    return scheme.zero_point == "float" and scheme.scale not in ("fp32", "dq")


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


class _Plain:
    """fp32, or fp64 where the tensor was."""

    def hold(self, asked: QParams, scheme: Scheme) -> dict[str, Tensor]:
        return {"scale": asked.scale}

    def read(self, held: Mapping[str, Tensor], scheme: Scheme) -> QParams:
        return QParams(held["scale"])


class _PowerOfTwo:
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


class _TwoLevels:
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


class _Half:
    """fp16, of scales and of minima."""

    def hold(self, asked: QParams, scheme: Scheme) -> dict[str, Tensor]:
        held = {"scale": as_half(asked.scale)}
        return held if asked.minimum is None else held | {"min": as_half(asked.minimum)}

    def read(self, held: Mapping[str, Tensor], scheme: Scheme) -> QParams:
        minimum = held.get("min")
        return QParams(held["scale"].float(), minimum=None if minimum is None else minimum.float())


def as_half(x: Tensor) -> Tensor:
    """fp16; what is too large for it becomes the largest."""
    largest = torch.finfo(torch.float16).max
    return x.clamp(-largest, largest).half()


_TOGETHER = 256
"""Scales that have a largest size in common."""

_KNOWN = 65535
"""Steps between −1 and 1 that have a code."""


class _DoubleQuantized:
    """A byte for what a scale is above the mean of all, in units of the largest of 256 of them."""

    def hold(self, asked: QParams, scheme: Scheme) -> dict[str, Tensor]:
        scale = asked.scale.float()
        mean = scale.mean() if scale.numel() else scale.new_zeros(())
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


@cache
def known_numbers(device: torch.device) -> Tensor:
    """Those, fp32."""
    with torch.inference_mode(False):
        return torch.tensor(dynamic_map(), dtype=torch.float32, device=device)


@cache
def _edges(device: torch.device) -> Tensor:
    """Above which value the next number is nearer."""
    with torch.inference_mode(False):
        numbers = known_numbers(device)
        return (numbers[1:] + numbers[:-1]) / 2


_FORMATS: dict[str, ScaleFormat] = {
    "fp32": _Plain(),
    "e8m0": _PowerOfTwo(),
    "e4m3": _TwoLevels(),
    "fp16": _Half(),
    "dq": _DoubleQuantized(),
}
"""By the `scale` of a scheme; a new one is one class."""
