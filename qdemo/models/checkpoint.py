"""What the safetensors files of a folder hold, read from their headers alone."""

from __future__ import annotations

import math
from pathlib import Path

from safetensors import SafetensorError, safe_open

from qdemo.models.availability import UnavailableError, folder_of
from qdemo.models.catalogue import Entry
from qdemo.spec.messages import say


def shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor, by name.

    Raises:
        SafetensorError: a file is not whole.
    """
    found: dict[str, tuple[int, ...]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            found |= {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}  # noqa: SIM118 - it is no dict
    return found


def parameters_of(entry: Entry) -> int:
    """The parameters of a model that is here; the catalogue knows its own.

    Raises:
        UnavailableError: it is not here, or not whole.
    """
    return entry.parameters or sum(math.prod(shape) for shape in _here(entry).values())


def is_tied(entry: Entry, output: str) -> bool:
    """Whether the word embedding and the output layer are one matrix, which is then stored once;
    `output` is the name of the output layer's.

    Raises:
        UnavailableError: it is not here, or not whole, and the catalogue does not know it.
    """
    return entry.tied if entry.parameters else output not in _here(entry)


def folder_here(entry: Entry) -> Path:
    """Where the model's files lie on this machine.

    Raises:
        UnavailableError: they are not here, or not all.
    """
    folder = folder_of(entry)
    if folder is None:
        raise UnavailableError(
            say(
                "{name} is not on this machine yet, so its shape is not known; download it first",
                name=entry.name,
            )
        )
    return folder


def _here(entry: Entry) -> dict[str, tuple[int, ...]]:
    try:
        return shapes(folder_here(entry))
    except SafetensorError as error:
        raise UnavailableError(
            say("the weights of {name} are no whole safetensors file", name=entry.name)
        ) from error
