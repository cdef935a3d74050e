"""What the safetensors files of a model hold, read from their headers alone."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from qdemo.models.availability import INDEX, WEIGHTS, UnavailableError, folder_of, shards
from qdemo.models.catalogue import Entry
from qdemo.spec.messages import say


@dataclass(frozen=True)
class Tensor:
    """One as a header has it; `dtype` as safetensors names it, BF16."""

    dtype: str
    shape: tuple[int, ...]
    n_bytes: int


@dataclass(frozen=True)
class Stored:
    """The tensors of a model's files, by name."""

    tensors: Mapping[str, Tensor]

    @property
    def names(self) -> frozenset[str]:
        """What they are called."""
        return frozenset(self.tensors)

    @property
    def n_bytes(self) -> int:
        """All of them together."""
        return sum(tensor.n_bytes for tensor in self.tensors.values())

    @property
    def dtype(self) -> str:
        """What most of the bytes are: fp32, fp16, bf16; or safetensors' name in small letters."""
        by_dtype: Counter[str] = Counter()
        for tensor in self.tensors.values():
            by_dtype[tensor.dtype] += tensor.n_bytes
        found = max(by_dtype, key=lambda dtype: by_dtype[dtype], default="")
        return _FLOATS.get(found, found.lower())


_FLOATS = {"F64": "fp64", "F32": "fp32", "F16": "fp16", "BF16": "bf16"}


def stored_in(folder: Path, name: str) -> Stored:
    """What the headers of a folder's weights say; `name` is what the model is called.

    Raises:
        UnavailableError: there are no weights as safetensors, or they are not whole.
    """
    from safetensors import SafetensorError

    files = _weights(folder)
    if not files:
        names = {path.name for path in folder.iterdir()}
        raise UnavailableError(no_safetensors(name, names))
    try:
        return Stored({key: tensor for file in files for key, tensor in _header(file)})
    except (SafetensorError, OSError, ValueError) as error:  # a name that no file has, too
        raise UnavailableError(not_whole(name)) from error


def _weights(folder: Path) -> list[Path]:
    """The files that transformers reads: one, or those that an index names."""
    if (one := folder / WEIGHTS).is_file():
        return [one]
    if not (index := folder / INDEX).is_file():
        return []
    return [folder / Path(shard).name for shard in sorted(shards(index))]


def _header(file: Path) -> Iterator[tuple[str, Tensor]]:
    from safetensors import safe_open

    with safe_open(file, framework="pt") as tensors:
        for name in tensors.keys():  # noqa: SIM118 - it is no dict
            part = tensors.get_slice(name)
            shape, dtype = tuple(part.get_shape()), str(part.get_dtype())
            yield name, Tensor(dtype, shape, math.prod(shape) * BITS.get(dtype, 8) // 8)


BITS = {"F64": 64, "F32": 32, "F16": 16, "BF16": 16, "I64": 64, "I32": 32, "I16": 16, "U64": 64,
        "U32": 32, "U16": 16, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "C64": 64}  # fmt: skip
"""Bits of a number where they are not 8, by safetensors' name."""


def parameters_of(entry: Entry) -> int:
    """The parameters of a model that is here; the catalogue knows its own.

    Raises:
        UnavailableError: it is not here, or not whole.
    """
    if entry.parameters:
        return entry.parameters
    return sum(math.prod(tensor.shape) for tensor in _here(entry).tensors.values())


def is_tied(entry: Entry, output: str) -> bool:
    """Whether the word embedding and the output layer are one matrix, which is then stored once;
    `output` is the name of the output layer's.

    Raises:
        UnavailableError: it is not here, or not whole, and the catalogue does not know it.
    """
    return entry.tied if entry.parameters else output not in _here(entry).names


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


def _here(entry: Entry) -> Stored:
    return stored_in(folder_here(entry), entry.name)


def no_safetensors(name: str, files: Collection[str]) -> str:
    """Why a model that has such files is refused."""
    if any(file.endswith((".bin", ".pt", ".pth", ".ckpt")) for file in files):
        return say(
            "{name} has its weights as pickles only, which can run code: not loaded here",
            name=name,
        )
    return say("{name} has no weights as safetensors", name=name)


def not_whole(name: str) -> str:
    """Why one is refused whose files can't be read."""
    return say("the weights of {name} are no whole safetensors file", name=name)
