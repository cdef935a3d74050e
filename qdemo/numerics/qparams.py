"""What codes are decoded with: scales, zero points, minima."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

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


def has_minima(scheme: Scheme) -> bool:
    """Whether scale · q + minimum is what codes mean."""
    return scheme.zero_point == "float" and scheme.scale not in ("fp32", "dq")


def as_half(x: Tensor) -> Tensor:
    """fp16; what is too large for it becomes the largest."""
    largest = torch.finfo(torch.float16).max
    return x.clamp(-largest, largest).half()
