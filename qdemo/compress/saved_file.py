"""What a file of a quantized model holds: its tensors, and how each layer is quantized."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from qdemo.compress.convert import naming
from qdemo.numerics.casting import float_format
from qdemo.spec.messages import say
from qdemo.spec.scheme import COMPUTE_FORMATS, NAME_OF, Scheme
from qdemo.spec.step import Activations, Recipe, Step, field_of

KEY = "qdemo"
VERSION = 2
"""Of what is written; files of version 1, which say none, are read too (`saved_before`)."""


@dataclass(frozen=True)
class Held:
    """How a file holds the weight of one layer, how that was found, and what the layer makes of its
    input."""

    scheme: Scheme
    recipe: Recipe
    activations: Activations
    compute: torch.dtype


@dataclass(frozen=True, eq=False)
class File:
    """All tensors of a file under all their names, its quantized layers, and its version; `casts`
    are, of a model in several formats, those of modules, and that of the whole under no name."""

    tensors: dict[str, Tensor]
    held: dict[str, Held]
    version: int
    casts: dict[str, str]


def read(path: Path) -> File:
    """What a file holds.

    Raises:
        ValueError: it was not written by `save_quantized`, or is damaged.
    """
    try:
        with safe_open(path, framework="pt") as file:
            about = (file.metadata() or {}).get(KEY)
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, MemoryError):
        raise
    except Exception as error:  # of many kinds, on files that are cut or lie
        raise ValueError(
            say("{name} is not a whole safetensors file: {error}", name=path.name, error=error)
        ) from None
    if about is None:
        raise ValueError(
            say("{name} holds no schemes; expected a file of save_quantized", name=path.name)
        )
    try:
        found = json.loads(about)
        layers, same_as, version = found["modules"], found["same_as"], found.get("version", 1)
        if version not in range(1, VERSION + 1):
            raise ValueError(
                say(
                    "{name} is of version {found}, expected 1 to {version}; a newer qdemo wrote it",
                    name=path.name,
                    found=str(version)[:40],
                    version=VERSION,
                )
            )
        for key, first in same_as.items():
            tensors[key] = tensors[first]
        held = {name: _as_held(name, *told) for name, told in layers.items()}
        casts = {str(name): str(format) for name, format in found.get("casts", {}).items()}
        if not set(casts.values()) <= set(COMPUTE_FORMATS) or (casts and "" not in casts):
            raise KeyError
        return File(tensors, held, int(version), casts)
    except (KeyError, TypeError, AttributeError, RecursionError, json.JSONDecodeError):
        raise ValueError(
            say("what {name} says of its schemes can't be read", name=path.name)
        ) from None


_LONGEST = 100  # characters of a scheme; and of a name, in a message


def _as_held(name: str, scheme: str, compute: str) -> Held:
    with naming(name[:_LONGEST]):
        if len(f"{scheme}{compute}") > _LONGEST:
            raise ValueError(
                say(
                    "{scheme!r} in {compute!r} is no scheme",
                    scheme=str(scheme)[:40],
                    compute=str(compute)[:40],
                )
            )
        found = float_format(compute)
        if found.bits < 16:
            raise ValueError(say("torch computes nothing in {format}", format=found))
        return Held(*_step(scheme), found.dtype)


def held_text(scheme: Scheme, recipe: Recipe, activations: Activations) -> str:
    """What a file says of a layer. A float zero point is named by what finds it, -hqq."""
    is_free = scheme.zero_point == "float" and scheme not in NAME_OF
    if is_free and recipe.range != "hqq":
        recipe = replace(recipe, range="hqq")
    return str(Step(scheme, recipe, activations))


def _step(text: str) -> tuple[Scheme, Recipe, Activations]:
    name, *parts = text.split("-")
    if not (name.endswith("a8") or name == "llm.int8" or any(map(field_of, parts))):
        return Scheme.parse(text), Recipe(), Activations()
    step = Step.parse(text)
    if step.scheme is None:
        raise ValueError(say("{scheme!r} is no scheme", scheme=text))
    return step.scheme, step.recipe, step.activations
