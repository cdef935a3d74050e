"""Our side of the course's third lesson: models in different data types."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from qdemo.lab.course import Ours
from qdemo.lab.dummy import DEFAULT_DTYPE, Cast, casts
from qdemo.compress.convert import cast
from qdemo.compress.footprint import Footprint, footprint
from qdemo.models.access import skeleton
from qdemo.models.availability import get_entry


@cache
def _casts() -> dict[str, Cast]:
    return {found.format: found for found in casts()}


def _parameters() -> str:
    every = [found.dtypes for found in _casts().values()]
    names = ", ".join(every[0])
    kinds = [dtype for dtypes in every for dtype in sorted(set(dtypes.values()))]
    return f"{names}: all {kinds[0]}, then all {kinds[1]}, then all {kinds[2]}"


def _logits() -> str:
    rows = {" ".join(f"{z:.4f}" for z in row) for row in _casts()["fp32"].logits}
    return " or ".join(rows)


def _fp16() -> str:
    difference = _casts()["fp16"].difference
    return f"runs; mean {difference.mean_abs:.8f}, largest {difference.max_abs:.8f}"


def _default_dtype() -> str:
    under, before = DEFAULT_DTYPE
    return (
        f"a model built after it has {under} parameters; setting {before} again does not change "
        "that model"
    )


@cache
def _blip(format: str) -> Footprint:
    model = skeleton(get_entry("Salesforce/blip-image-captioning-base"), tied=False)
    return footprint(cast(model, format))


def _difference(name: str) -> Callable[[], str]:
    return lambda: repr(getattr(_casts()["bf16"].difference, name))


OURS: Ours = {
    "parameters of the dummy model": _parameters,
    "fp32 logits, at each of the four positions": _logits,
    "fp16 on the CPU": _fp16,
    "bf16 against fp32, largest difference": _difference("max_abs"),
    "bf16 against fp32, mean difference": _difference("mean_abs"),
    "torch.set_default_dtype(torch.bfloat16)": _default_dtype,
}
"""Of the dummy model: at once."""

BLIP: Ours = {
    "BLIP-base in fp32, bytes": lambda: f"{_blip('fp32').total:,}",
    "BLIP-base in bf16, MB": lambda: f"{_blip('bf16').total / 1e6:.6f}",
    "BLIP-base, bf16 / fp32": lambda: repr(_blip("bf16").total / _blip("fp32").total),
}
"""Of BLIP-base, built without weights: in some seconds, the first time."""
