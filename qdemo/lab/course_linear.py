"""Our side of the course's fourth lesson: linear quantization, and FLAN-T5-small in 8 bits."""

from __future__ import annotations

from functools import cache

import torch

from qdemo.lab.course import Ours
from qdemo.compress.footprint import Footprint, footprint
from qdemo.spec.variant import Variant
from qdemo.numerics.linear import choose_qparams, quantize_tensor
from qdemo.spec.scheme import Scheme
from qdemo.models.access import skeleton
from qdemo.models.availability import get_entry


def _two_bits() -> str:
    x, scheme = torch.tensor([0.0, 1.0, 2.0, 3.0]), Scheme("int2", symmetric=False, axis=None)
    scale, _ = choose_qparams(x, scheme)
    q = quantize_tensor(x, scheme)
    numbers = " ".join(str(int(n)) for n in q.data.tolist())
    back = " ".join(f"{value:g}" for value in q.dequantize().tolist())
    return f"Δ = {scale.item():g}, q = {numbers}, x̂ = {back}"


@cache
def _flan(variant: str) -> Footprint:
    return footprint(Variant.parse(variant).build(skeleton(get_entry("google/flan-t5-small"))))


OURS: Ours = {"[0, 1, 2, 3] at 2 bits": _two_bits}
"""At once."""

FLAN: Ours = {
    "FLAN-T5-small in fp32, GB": lambda: f"{_flan('fp32').total / 1e9:.9f}",
    "FLAN-T5-small in int8, GB": lambda: f"{_flan('int8').total / 1e9:.9f}",
}
"""Of FLAN-T5-small, built without weights: in some seconds, the first time."""
