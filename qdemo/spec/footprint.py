"""The bytes that a model holds, and how much of it a variant has reached."""

from __future__ import annotations

from dataclasses import dataclass

KINDS = ("quantized weights", "scales and zero points", "float weights", "buffers")
"""What bytes are spent on; quantized weights are integers, or fp8 numbers that have a scale."""

WHY = {
    "cast": "{share} of the parameters are cast, and nothing is quantized",
    "embedding": "{share} of the parameters stay float: embeddings, which only +emb quantizes",
    "tied": "{share} of the parameters stay float: embeddings that are the output layer too, which "
    "only +emb quantizes, both as one",
    "convolution": "{share} of the parameters stay float: {kind}, convolutions, which are only "
    "quantized by name",
    "read": "{share} of the parameters stay float: {kind} whose weight the model reads itself, "
    "such as {example}",
    "name": "{share} of the parameters stay float: {kind}, left out by name",
    "class": "{share} of the parameters stay float: {kind}, which has no quantized class",
    "shape": "{share} of the parameters stay float: {kind}, whose weight is no matrix",
    "vector": "{share} of the parameters stay float: biases and norms, too few to matter",
}
"""Why parameters stay float: a short key, and what it says to a person of a class of modules."""

LOW = 0.5
"""Below this share of quantized parameters, what a variant shows is mostly the float model."""


@dataclass(frozen=True)
class SplitTie:
    """One matrix held twice: quantized in one module, float in another that it was tied to."""

    quantized: str
    float: str
    float_bytes: int


@dataclass(frozen=True)
class Footprint:
    """Bytes of storage held, memory that several tensors share counted once.

    `total` is the sum over `by_kind` (each of `KINDS`) and over `by_module` (the modules that own
    a tensor themselves; shared memory belongs to the first).
    """

    total: int
    by_kind: dict[str, int]
    by_module: dict[str, int]
    split_ties: tuple[SplitTie, ...] = ()


@dataclass(frozen=True)
class Left:
    """Parameters that stay float, of one `kind` (the class of module that owns them, or "bias" of a
    layer that can be quantized) and for one reason, a key of `WHY`. There are `tensors` of them;
    `example` names the first."""

    kind: str
    why: str
    parameters: int
    tensors: int
    example: str


@dataclass(frozen=True)
class Instead:
    """Layers, `layers` of them, that hold the format `held` where `asked` was asked for, because of
    their "rows", which are no multiple of its blocks, or of their "inputs", which nothing looks at,
    as those of experts; `example` names the first."""

    asked: str
    held: str
    layers: int
    example: str
    why: str = "rows"


@dataclass(frozen=True)
class Coverage:
    """How many `parameters` a model has and how many are quantized; a shared one counts once, and
    is quantized where one of its ends is (`Footprint.split_ties` names the other).

    `left` is the rest, the largest part first; `bf16_bytes` is what the bf16 cast of the same model
    holds, which costs no quantization at all. `instead` are layers that got another format.

    >>> found = Coverage(100, 30, (Left("Conv1D", "class", 70, 1, "c_attn.weight"),), 200)
    >>> found.share, found.is_low, found.saves(Footprint(190, {}, {}))
    (0.3, True, True)
    """

    parameters: int
    quantized: int
    left: tuple[Left, ...]
    bf16_bytes: int
    instead: tuple[Instead, ...] = ()

    @property
    def share(self) -> float:
        """The share of parameters that is quantized; 0 of a model without any."""
        return self.quantized / self.parameters if self.parameters else 0.0

    @property
    def is_low(self) -> bool:
        """Whether something is quantized, but most parameters are not."""
        return 0 < self.share < LOW

    def saves(self, held: Footprint) -> bool:
        """Whether `held`, what the variant holds, is less than the bf16 cast does."""
        return held.total < self.bf16_bytes
