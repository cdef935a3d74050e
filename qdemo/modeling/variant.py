"""A variant of a model as a value: what its weights are stored in, and what it computes in."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from qdemo.modeling.convert import Model, cast, freeze, quantize, rebuild, tensors
from qdemo.modeling.modules import QModule
from qdemo.numerics.formats import FORMATS
from qdemo.numerics.scheme import STORED_FORMATS, Scheme

COMPUTE_FORMATS = ("fp32", "fp16", "bf16")
"""What a model can compute in."""


@dataclass(frozen=True)
class Variant:
    """How a model is stored and computed.

    Without a `scheme` the whole model is cast to `compute`. With one, the weights of the Linear
    layers (of the Embedding layers too, where `embeddings`) are quantized by it, and the rest is
    in `compute`.

    >>> [str(Variant.parse(text)) for text in ("bf16", "int4-g64-affine+emb@bf16", "int8@fp32")]
    ['bf16', 'int4-g64-affine+emb@bf16', 'int8']

    Raises:
        ValueError: a combination that has no meaning.
    """

    scheme: Scheme | None = None
    embeddings: bool = False
    compute: str = "fp32"

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.compute not in COMPUTE_FORMATS:
            raise ValueError(
                f"cannot compute in {self.compute!r}; expected {', '.join(COMPUTE_FORMATS)}"
            )
        if self.embeddings and self.scheme is None:
            raise ValueError(f"{self.compute} casts the embeddings anyway; leave +emb out")

    def __str__(self) -> str:
        """The text form, which `parse` reads."""
        if self.scheme is None:
            return self.compute
        embeddings = "+emb" if self.embeddings else ""
        compute = "" if self.compute == "fp32" else f"@{self.compute}"
        return f"{self.scheme}{embeddings}{compute}"

    @classmethod
    def parse(cls, text: str) -> Variant:
        """Read a text form such as `bf16`, `int8`, `int4-g64-affine+emb@bf16`.

        Raises:
            ValueError: says which part is wrong, and what is allowed.
        """
        rest, at, compute = text.strip().partition("@")
        stored, plus, what = rest.partition("+")
        if plus and what != "emb":
            raise ValueError(
                f"{plus + what!r} in {text!r} is not known; only +emb (embeddings too) is"
            )
        if stored in COMPUTE_FORMATS:
            if at:
                raise ValueError(f"{stored!r} is computed in as well; leave @{compute} out")
            return cls(embeddings=bool(plus), compute=stored)
        if stored.partition("-")[0] not in STORED_FORMATS:
            allowed = ", ".join((*COMPUTE_FORMATS, *STORED_FORMATS))
            raise ValueError(f"unknown format {stored!r}; expected one of {allowed}")
        return cls(Scheme.parse(stored), bool(plus), compute if at else "fp32")

    def build(self, reference: Model) -> Model:
        """This variant of `reference`, which is untouched; what needs no change is shared with it.

        Raises:
            ValueError: a layer does not fit the scheme, or a weight is NaN or infinite.
        """
        compute = FORMATS[self.compute]
        if self.scheme is None:
            return cast(reference, compute)
        variant = rebuild(reference)
        quantize(variant, self.scheme, embeddings=self.embeddings)
        freeze(variant)
        return variant if _is_in(variant, compute.dtype) else rebuild(variant, compute.dtype)


def _is_in(model: nn.Module, dtype: torch.dtype) -> bool:
    """Whether all that is float in it has that dtype, and all that is quantized computes in it."""
    floats = {tensor.dtype for tensor, to_cast in tensors(model) if to_cast}
    computed = {m.compute_dtype for m in model.modules() if isinstance(m, QModule)}
    return floats | computed <= {dtype}
