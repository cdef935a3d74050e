"""Our side of the course's second lesson: data types."""

from __future__ import annotations

from collections.abc import Callable

import torch

from qdemo.lab.course import Ours
from qdemo.lab.dots import COURSE, vector
from qdemo.numerics.bits import from_value
from qdemo.numerics.casting import cast_tensor
from qdemo.spec.formats import get_format


def _third(name: str) -> Callable[[], str]:
    return lambda: from_value("1/3", name).decimal(60)


def _finfo(dtype: torch.dtype) -> Callable[[], str]:
    format = get_format(dtype)
    return lambda: (
        f"resolution {torch.finfo(dtype).resolution:g}, min {format.min:.6g}, "
        f"max {format.max:.6g}, eps {format.eps:.6g}, "
        f"smallest_normal = tiny = {format.smallest_normal:.6g}"
    )


def _iinfo(dtype: torch.dtype) -> Callable[[], str]:
    format = get_format(dtype)
    return lambda: f"min {format.min}, max {format.max}"


def _downcast() -> str:
    low = cast_tensor(torch.tensor(COURSE), "bf16").float()
    return " ".join(f"{value:.4f}" for value in low.tolist())


def _dot() -> str:
    x = vector(1000, 0)
    low = cast_tensor(x, "bf16")
    return f"{torch.dot(x, x).item():.4f} and {torch.dot(low, low).item():.0f}"


OURS: Ours = {
    "torch.iinfo(torch.uint8)": _iinfo(torch.uint8),
    "torch.iinfo(torch.int8)": _iinfo(torch.int8),
    "1/3 in fp64": _third("fp64"),
    "1/3 in fp32": _third("fp32"),
    "1/3 in fp16": _third("fp16"),
    "1/3 in bf16": _third("bf16"),
    "torch.finfo(torch.bfloat16)": _finfo(torch.bfloat16),
    "torch.finfo(torch.float32)": _finfo(torch.float32),
    "0.4897 0.0494 0.8093 0.6704 0.0713 downcast to bf16": _downcast,
    "torch.dot(x, x) of 1,000 random numbers, fp32 and bf16": _dot,
}
