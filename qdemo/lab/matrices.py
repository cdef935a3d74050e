"""Weights to play with: small matrices that are typed, drawn at random, or taken from an embedded
model, and whole layers of it, downcast and quantized side by side."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from qdemo.lab import COURSE, NORMAL, PRESETS, UNIFORM
from qdemo.measure.histogram import LOG_BINS, LOG_RANGE
from qdemo.measure.weights import WeightError, weight_error
from qdemo.models.availability import get_entry
from qdemo.numerics.casting import cast_tensor
from qdemo.numerics.linear import quantize_tensor
from qdemo.spec.messages import say
from qdemo.spec.scheme import Scheme

CASTS = ("bf16", "fp16")
SCHEMES = ("fp8_e4m3", "int8", "int4", "int4-g64")
WAYS = (*CASTS, *SCHEMES)

MOST_ROWS, MOST_COLUMNS = 12, 16
OUTLIER = 20


def preset(name: str, seed: int = 0) -> Tensor:
    """The matrix of that name: 6 × 8 numbers, or the course's row of four.

    Raises:
        ValueError: there is none of that name.
    """
    generator = torch.Generator().manual_seed(seed)
    if name == COURSE:
        return torch.tensor([[0.0, 1.0, 2.0, 3.0]])
    if name == NORMAL:
        return torch.randn(6, 8, generator=generator)
    if name == UNIFORM:
        return 2 * torch.rand(6, 8, generator=generator) - 1
    if name in PRESETS:
        return layer(name.partition(": ")[2])[:6, :8].clone()
    raise ValueError(
        say("unknown matrix {name!r}; expected one of {names}", name=name, names=", ".join(PRESETS))
    )


@cache
def layer(name: str) -> Tensor:
    """The whole weight of that name of t5-tiny, read from its file."""
    folder = get_entry("t5-tiny").folder or Path()
    index = json.loads((folder / "model.safetensors.index.json").read_text(encoding="utf-8"))
    with safe_open(folder / index["weight_map"][name], framework="pt") as file:
        weight: Tensor = file.get_tensor(name)
    return weight.float()


def read(text: str) -> Tensor:
    """A matrix from text: a row a line (or a semicolon), numbers with blanks or commas between.

    >>> read("0 1 2 3").tolist()
    [[0.0, 1.0, 2.0, 3.0]]

    Raises:
        ValueError: no numbers, too many, rows of unlike length, something that is no finite number.
    """
    lines = [line for line in re.split(r"[\n;]", text) if line.strip(" ,\t\r")]
    rows = [[_number(word) for word in re.split(r"[\s,]+", line.strip(" ,\t\r"))] for line in lines]
    if not rows:
        raise ValueError(say("the matrix is empty; type numbers, a row a line"))
    lengths = {len(row) for row in rows}
    if len(rows) > MOST_ROWS or max(lengths) > MOST_COLUMNS:
        raise ValueError(
            say(
                "{count} rows of up to {most} numbers; at most {most_rows} rows of "
                "{most_columns} are shown",
                count=len(rows),
                most=max(lengths),
                most_rows=MOST_ROWS,
                most_columns=MOST_COLUMNS,
            )
        )
    if len(lengths) > 1:
        told = ", ".join(map(str, sorted(lengths)))
        raise ValueError(say("the rows have {told} numbers; make them equally long", told=told))
    return torch.tensor(rows)


def _number(word: str) -> float:
    try:
        number = float(word)
    except ValueError:
        raise ValueError(
            say("{found!r} is no number; type numbers such as 0.5 or -2e-3", found=word[:20])
        ) from None
    if not abs(number) < 1e30:
        raise ValueError(
            say("{found!r} can't be quantized: it is no number below 1e30 in size", found=word[:20])
        )
    return number


def write(x: Tensor) -> str:
    """The matrix as text that `read` reads, to four digits."""
    return "\n".join("  ".join(f"{value:.4g}" for value in row) for row in x.tolist())


def outlier_at(x: Tensor) -> tuple[int, int]:
    """Row and column of the largest |number|, counted from 0: where an outlier is put."""
    row, column = divmod(int(x.abs().argmax()), x.shape[1])
    return row, column


def with_outlier(x: Tensor) -> Tensor:
    """The matrix with its largest number made twenty times larger."""
    longer = x.clone()
    longer[outlier_at(x)] *= OUTLIER
    return longer


@cache
def layer_errors(name: str) -> dict[str, tuple[WeightError, int]]:
    """The error of each way on one layer of t5-tiny, and the bytes that the weights then take."""
    w = layer(name)
    found = {}
    for way in CASTS:
        low = cast_tensor(w, way)
        found[way] = weight_error(w, low), low.nbytes
    for way in SCHEMES:
        q = quantize_tensor(w, Scheme.parse(way))
        found[way] = weight_error(w, q), q.nbytes
    return found


def histogram(error: WeightError) -> tuple[list[float], list[float]]:
    """log10(|error| / rms(w)): where each bin begins, in decades, and its share of the weights."""
    low, high = LOG_RANGE
    width = (high - low) / LOG_BINS
    shares = (error.log_histogram / error.numel).tolist()
    return [low + width * i for i in range(LOG_BINS)], shares
