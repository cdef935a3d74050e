"""Downcasting a seeded vector, and what that does to its dot product with itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from qdemo.numerics.casting import cast_tensor

LENGTHS = (10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000)
WAYS = ("fp32", "fp16", "bf16", "bf16 throughout")
"""The first three are torch.dot's; it adds bf16 up in fp32 and rounds once, at the end."""

COURSE = (0.4897, 0.0494, 0.8093, 0.6704, 0.0713)
"""The first five values of the course's vector, which had no seed."""


@dataclass(frozen=True)
class Dot:
    """A dot product and its relative error; `exact` is computed in fp64."""

    way: str
    value: float
    exact: float

    @property
    def error(self) -> float:
        """|value − exact| / exact; infinite where it overflowed."""
        return abs(self.value - self.exact) / self.exact


def vector(length: int, seed: int) -> Tensor:
    """`length` numbers spread evenly over [0, 1), fp32."""
    return torch.rand(length, generator=torch.Generator().manual_seed(seed))


def dots(x: Tensor) -> list[Dot]:
    """x · x in each of `WAYS`, on this machine.

    >>> [f"{dot.way}: {dot.value:.2f}" for dot in dots(vector(1000, 0))]
    ['fp32: 336.59', 'fp16: 336.50', 'bf16: 336.00', 'bf16 throughout: 256.00']
    """
    exact = torch.dot(x.double(), x.double()).item()
    found = [Dot(way, _dot(x, way), exact) for way in WAYS[:-1]]
    return [*found, Dot(WAYS[-1], running_sums(x)[-1], exact)]


def errors(seed: int) -> dict[str, list[float]]:
    """The relative error of each way at each of `LENGTHS`."""
    whole = vector(LENGTHS[-1], seed)
    exact = torch.cumsum(whole.double().square(), 0)[[n - 1 for n in LENGTHS]].tolist()
    values = {way: [_dot(whole[:length], way) for length in LENGTHS] for way in WAYS[:-1]}
    sums = running_sums(whole)
    values[WAYS[-1]] = [sums[length - 1] for length in LENGTHS]
    return {
        way: [Dot(way, *pair).error for pair in zip(found, exact, strict=True)]
        for way, found in values.items()
    }


def running_sums(x: Tensor) -> list[float]:
    """x · x after each element, every product and every sum rounded to bf16.

    A sum that has grown to 256 times what is added to it no longer grows.
    """
    low = cast_tensor(x, "bf16")
    products = (low * low).tolist()
    largest = max(products, default=0.0)
    sums, total = [], 0.0
    for product in products:
        if _bf16(total + largest) == total:  # nor does anything smaller change it
            break
        total = _bf16(total + product)
        sums.append(total)
    return sums + [total] * (len(products) - len(sums))


def _bf16(value: float) -> float:
    """The nearest number of 8 binary digits, ties to even: quicker than a tensor of one."""
    mantissa, exponent = math.frexp(value)
    return math.ldexp(round(mantissa * 256), exponent - 8)


def _dot(x: Tensor, way: str) -> float:
    low = cast_tensor(x, way)
    return float(torch.dot(low, low).item())


def first(seed: int, count: int = 5) -> list[tuple[str, list[float]]]:
    """The first numbers of a vector as each format stores them."""
    x = vector(count, seed)
    return [(name, cast_tensor(x, name).double().tolist()) for name in ("fp32", "fp16", "bf16")]
