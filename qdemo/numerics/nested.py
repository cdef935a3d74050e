"""Scales that are integers in units of an fp16 scale of 256 weights: GGUF's K-quants.

A super-block is 256 weights of a row, in blocks of 16 or 32. The scale of a block is an integer of
4, 6 or 8 bits, and so is its minimum where it has one (ŵ = scale · q − minimum); the fp16 pair of
the super-block says what a one of each is worth. Integers below 8 bits are packed as codes are.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from qdemo.numerics.blocks import row_length, take_rows
from qdemo.numerics.packing import Panels
from qdemo.numerics.qparams import QParams, as_half
from qdemo.spec.messages import say
from qdemo.spec.scheme import SUPER_BLOCK, Scheme

BITS = {"k4": 4, "k6": 6, "k8": 8}
"""Of an integer, by the scale format of a scheme."""


class Nested:
    """Such scales: of signed ones the one of largest size becomes the lowest integer, as there is
    one more of these; what is not signed counts from 0."""

    def hold(self, asked: QParams, scheme: Scheme) -> dict[str, Tensor]:
        """What is held of scales and minima, by role."""
        own, unit = _split(asked.scale.float(), scheme)
        held = {"scale": own, "super_scale": unit}
        if asked.minimum is not None:
            held["min"], held["super_min"] = _split(-asked.minimum.float(), scheme)
        return held

    def read(self, held: Mapping[str, Tensor], scheme: Scheme) -> QParams:
        """What it is worth: products of few bits, exact in fp32."""
        scale = _joined(held["scale"], held["super_scale"], scheme)
        if "min" not in held:
            return QParams(scale)
        return QParams(scale, minimum=-_joined(held["min"], held["super_min"], scheme))

    def take(
        self, held: Mapping[str, Tensor], scheme: Scheme, index: slice | Tensor
    ) -> dict[str, Tensor]:
        """What is held of some rows."""
        found = {role: take_rows(one, index) for role, one in held.items() if one.ndim == 2}
        for role, packed in held.items():
            if packed.ndim == 1:
                panels = _panels(held["super_scale"], scheme)
                assert panels is not None
                found[role] = panels.take(packed, index)[1]
        return found


def super_shape(shape: tuple[int, ...], scheme: Scheme) -> tuple[int, int]:
    """The shape of the scales of such rows, (rows, groups).

    Raises:
        ValueError: rows are not whole super-blocks.
    """
    length = row_length(shape, 0)
    if length % SUPER_BLOCK:
        raise ValueError(
            say(
                "{scheme} has blocks of {size}, which do not divide the row length {length}",
                scheme=scheme,
                size=SUPER_BLOCK,
                length=length,
            )
        )
    return shape[0], length // (scheme.group_size or 1)


def _split(x: Tensor, scheme: Scheme) -> tuple[Tensor, Tensor]:
    """Integers for (rows, groups), packed, and what a one of them is worth, (rows, supers)."""
    bits, (rows, groups) = BITS[scheme.scale], x.shape
    per = SUPER_BLOCK // (scheme.group_size or 1)
    grouped = x.reshape(rows, groups // per, per)
    if scheme.symmetric:
        levels = 2 ** (bits - 1)
        largest = grouped.gather(2, grouped.abs().argmax(2, keepdim=True))[..., 0]
        unit, low, high = largest / -levels, -levels, levels - 1
    else:
        levels = 2**bits - 1
        unit, low, high = grouped.amax(2).clamp(min=0) / levels, 0, levels
    inverse = torch.where(unit == 0, 0, 1 / unit)
    own = (grouped * inverse[..., None]).round_().nan_to_num_(0.0).clamp_(low, high)
    return _packed(own.reshape(x.shape), bits, low), as_half(unit)


def _packed(own: Tensor, bits: int, low: int) -> Tensor:
    if bits == 8:
        return own.to(torch.int8)
    panels = Panels(bits, own.shape[0], own.shape[1])
    return panels.pack((own - low).to(torch.uint8))


def _joined(own: Tensor, unit: Tensor, scheme: Scheme) -> Tensor:
    """Integers in units of their super-block's, (rows, groups), fp32."""
    panels = _panels(unit, scheme)
    numbers = (own if panels is None else panels.unpack(own)).float()
    if panels is not None and scheme.symmetric:
        numbers -= 2 ** (panels.bits - 1)
    grouped = numbers.reshape(*unit.shape, SUPER_BLOCK // (scheme.group_size or 1))
    return (grouped * unit.float()[..., None]).reshape(numbers.shape)


def _panels(unit: Tensor, scheme: Scheme) -> Panels | None:
    """How integers lie beside units (rows, supers); None where each has a byte of its own."""
    per = SUPER_BLOCK // (scheme.group_size or 1)
    rows, supers = unit.shape
    return Panels.of((rows, supers * per), BITS[scheme.scale])
