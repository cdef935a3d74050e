"""The figures of the course, and ours beside them, computed when they are shown.

The course is "Quantization Fundamentals with Hugging Face" (torch 2.1.1, transformers 4.35.0).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from qdemo.compress.building import build
from qdemo.compress.convert import cast
from qdemo.compress.footprint import Footprint, footprint
from qdemo.lab import dots
from qdemo.lab.dummy import DEFAULT_DTYPE, Cast, casts
from qdemo.models.availability import get_entry
from qdemo.models.loading import skeleton
from qdemo.numerics.bits import from_value
from qdemo.numerics.casting import cast_tensor
from qdemo.numerics.linear import choose_qparams, quantize_tensor
from qdemo.spec.formats import get_format
from qdemo.spec.messages import say
from qdemo.spec.scheme import Scheme
from qdemo.spec.variant import Variant

FILE = Path(__file__).parents[2] / "assets" / "course.json"


@dataclass(frozen=True)
class Figure:
    """What the course prints, what we compute, and a sentence where the two differ."""

    what: str
    course: str
    ours: str
    note: str


Ours = Mapping[str, Callable[[], str]]
"""How to compute each figure of a page, by what it is."""


def figures(page: str, ours: Ours) -> list[Figure]:
    """The figures of one page in the course's order, those in `ours` computed now."""
    printed = json.loads(FILE.read_text(encoding="utf-8"))[page]
    return [
        Figure(line["what"], line["course"], ours[line["what"]](), line.get("note", ""))
        for line in printed
        if line["what"] in ours
    ]


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
    low = cast_tensor(torch.tensor(dots.COURSE), "bf16").float()
    return " ".join(f"{value:.4f}" for value in low.tolist())


def _dot() -> str:
    x = dots.vector(1000, 0)
    low = cast_tensor(x, "bf16")
    return f"{torch.dot(x, x).item():.4f} and {torch.dot(low, low).item():.0f}"


FORMATS: Ours = {
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
"""Of the second lesson, on data types."""


@cache
def _casts() -> dict[str, Cast]:
    return {found.format: found for found in casts()}


def _parameters() -> str:
    every = [found.dtypes for found in _casts().values()]
    names = ", ".join(every[0])
    kinds = [dtype for dtypes in every for dtype in sorted(set(dtypes.values()))]
    return say(
        "{names}: all {first}, then all {second}, then all {third}",
        names=names,
        first=kinds[0],
        second=kinds[1],
        third=kinds[2],
    )


def _logits() -> str:
    rows = {" ".join(f"{z:.4f}" for z in row) for row in _casts()["fp32"].logits}
    return " or ".join(rows)


def _fp16() -> str:
    difference = _casts()["fp16"].difference
    return say(
        "runs; mean {mean_abs:.8f}, largest {max_abs:.8f}",
        mean_abs=difference.mean_abs,
        max_abs=difference.max_abs,
    )


def _default_dtype() -> str:
    under, before = DEFAULT_DTYPE
    return say(
        "a model built after it has {under} parameters; setting {before} again does "
        "not change that model",
        under=under,
        before=before,
    )


@cache
def _blip(format: str) -> Footprint:
    model = skeleton(get_entry("Salesforce/blip-image-captioning-base"), tied=False)
    return footprint(cast(model, format))


def _difference(name: str) -> Callable[[], str]:
    return lambda: repr(getattr(_casts()["bf16"].difference, name))


CASTING: Ours = {
    "parameters of the dummy model": _parameters,
    "fp32 logits, at each of the four positions": _logits,
    "fp16 on the CPU": _fp16,
    "bf16 against fp32, largest difference": _difference("max_abs"),
    "bf16 against fp32, mean difference": _difference("mean_abs"),
    "torch.set_default_dtype(torch.bfloat16)": _default_dtype,
}
"""Of the third lesson, on models: those of the dummy model, at once."""

BLIP: Ours = {
    "BLIP-base in fp32, bytes": lambda: f"{_blip('fp32').total:,}",
    "BLIP-base in bf16, MB": lambda: f"{_blip('bf16').total / 1e6:.6f}",
    "BLIP-base, bf16 / fp32": lambda: repr(_blip("bf16").total / _blip("fp32").total),
}
"""Of BLIP-base, built without weights: in some seconds, the first time."""


def _two_bits() -> str:
    x, scheme = torch.tensor([0.0, 1.0, 2.0, 3.0]), Scheme("int2", symmetric=False, axis=None)
    scale, _ = choose_qparams(x, scheme)
    q = quantize_tensor(x, scheme)
    numbers = " ".join(str(int(n)) for n in q.data.tolist())
    back = " ".join(f"{value:g}" for value in q.dequantize().tolist())
    return f"Δ = {scale.item():g}, q = {numbers}, x̂ = {back}"


@cache
def _flan(variant: str) -> Footprint:
    return footprint(build(skeleton(get_entry("google/flan-t5-small")), Variant.parse(variant)))


LINEAR: Ours = {"[0, 1, 2, 3] at 2 bits": _two_bits}
"""Of the fourth lesson, on linear quantization: at once."""

FLAN: Ours = {
    "FLAN-T5-small in fp32, GB": lambda: f"{_flan('fp32').total / 1e9:.9f}",
    "FLAN-T5-small in int8, GB": lambda: f"{_flan('int8').total / 1e9:.9f}",
}
"""Of FLAN-T5-small, built without weights: in some seconds, the first time."""
