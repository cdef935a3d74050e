"""How long a method is likely to take: said before it begins, and what a host refuses.

Seconds for a million weights, of one core of an AMD EPYC with torch 2.13.0, measured on matrices of
192 to 2,048 columns: a method looks at a weight about as often whatever the model. Nothing here
imports torch, so a page can say it at once.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from qdemo.models.availability import get_entry
from qdemo.models.catalogue import Entry
from qdemo.models.families import FAMILIES
from qdemo.models.pictures import gallery
from qdemo.spec.formats import GRIDS
from qdemo.spec.messages import say
from qdemo.spec.scheme import Scheme
from qdemo.spec.step import Step
from qdemo.spec.variant import Variant

CALIBRATION = "calibration.tsv"
"""A line a calibration input, beside a model's weights; else in `DEFAULT`."""

DEFAULT = Path(__file__).parents[2] / "assets" / CALIBRATION

_NEAREST, _NESTED = 0.015, 0.065  # rounding, and the weighted search of K-quants
_MSE, _MSE_CODES, _HQQ, _GPTQ, _SMOOTH, _ROTATION = 0.1, 0.38, 0.06, 0.18, 0.01, 0.01
_RATIOS = 25  # AWQ rounds twenty times, and more
_PASS = {"text": 0.0007, "picture": 0.006}
"""For a million parameters and one input: the model's pass, and sums of products of what layers are
given. A picture is hundreds of rows to a layer, a short text a dozen."""


def seconds(variant: Variant, parameters: int, inputs: int, kind: str = "text") -> float:
    """Seconds until that variant of a model of so many `parameters` is made, fitted to so many
    `inputs` of that kind, "text" or "picture". Where exceptions have other methods, the slowest
    counts as if it were everyone's.

    >>> f"{seconds(Variant.parse('int4-g64-gptq'), 77_000_000, 96):.0f} s"
    '20 s'
    """
    steps = [variant.default, *(step for _, step in variant.exceptions)]
    steps = [step for step in steps if step.scheme is not None]
    millions = parameters / 1e6
    found = millions * max((_rate(step) for step in steps), default=0.0)
    if any(step.recipe.looks_at_inputs for step in steps):
        found += millions * inputs * _PASS[kind]
    return found


def _rate(step: Step) -> float:
    """Seconds for a million weights."""
    assert step.scheme is not None
    rounding, recipe = _rounding(step.scheme), step.recipe
    found = rounding + _GPTQ * bool(recipe.compensate) + _of_transform(recipe.transform, rounding)
    if recipe.range == "hqq":
        found += _HQQ
    elif recipe.range == "mse":
        found += _MSE if GRIDS[step.scheme.grid].kind == "integer" else _MSE_CODES
    return found


def _rounding(scheme: Scheme) -> float:
    return _NESTED if scheme.scale.startswith("k") else _NEAREST


def _of_transform(transform: str | None, rounding: float) -> float:
    if transform == "awq":
        return _RATIOS * (rounding + 0.01)
    return 0.0 if transform is None else _ROTATION if transform == "rot" else _SMOOTH


def seconds_of(variant: Variant, model: str) -> float:
    """The same of a model that is offered, by its name; 0 where its size is not known yet, and of
    what is only rounded, which no one waits for.

    Raises:
        ValueError: there is no such model.
    """
    entry = get_entry(model)
    if not variant.is_found:
        return 0.0
    return seconds(variant, entry.parameters, 3 * count(entry) // 4, kind(entry))


def kind(entry: Entry) -> str:
    """What the model is given: "text" or "picture"."""
    return FAMILIES[entry.task].fields[0].kind


def own_file(entry: Entry) -> Path | None:
    """The calibration inputs that lie beside a model's weights; None where there are none."""
    file = entry.folder / CALIBRATION if entry.folder else None
    return file if file is not None and file.is_file() else None


def count(entry: Entry) -> int:
    """How many calibration inputs there are for a model."""
    if (own := own_file(entry)) is not None:
        return _lines(own)
    return len(gallery()) if kind(entry) == "picture" else _lines(DEFAULT)


@cache
def _lines(file: Path) -> int:
    return len(file.read_text(encoding="utf-8").splitlines())


def too_long(variant: Variant, expected: float, most: int) -> str:
    """Why a host refuses a variant, in a sentence."""
    return say(
        "{format} would take about {seconds:.0f} s here; this host allows {most} s for a method "
        "(QDEMO_METHOD_S)",
        format=str(variant)[:60],
        seconds=expected,
        most=most,
    )
