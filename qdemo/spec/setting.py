"""What a comparison ran on: the machine and the ways that products were taken there, calibration
inputs, and the input as the model reads it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

WAYS = {
    "avx512": "by vector loops (AVX-512)",
    "avx2": "by vector loops (AVX2)",
    "portable": "by vector loops",
    "general": "by torch's general way",
    "uncaptured": "without a CUDA graph",
}
"""How quantized weights were multiplied on a CPU; on a GPU, what was not done the fast way."""


@dataclass(frozen=True)
class Machine:
    """What computed: processor and device by name, threads, and the versions that matter."""

    processor: str = ""
    threads: int = 0
    python: str = ""
    torch: str = ""
    transformers: str = ""
    device: str = "cpu"


@dataclass(frozen=True)
class Calibration:
    """The calibration inputs of a model: methods that look at inputs were `fitted` to so many, and
    layers' output errors were `measured` on so many others. `own`: whether they are of the model's
    own training stream, and not texts or pictures of ours."""

    fitted: int
    measured: int
    own: bool


@dataclass(frozen=True)
class InputToken:
    """A token of the input as the model reads it: its `piece` of the vocabulary, the `text` that it
    stands for where that is known, and its `kind`: "" for an ordinary one, "unknown" for what the
    vocabulary lacks, "special" for marks such as the end."""

    piece: str
    text: str | None = None
    kind: Literal["", "unknown", "special"] = ""
