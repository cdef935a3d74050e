"""What a variant costs: the bytes it holds, and the time its tokens take."""

from __future__ import annotations

from dataclasses import replace
from weakref import WeakKeyDictionary

from torch import nn

from qdemo.compress.building import build
from qdemo.compress.convert import rebuild
from qdemo.compress.footprint import bits_per_weight, footprint
from qdemo.measure.measure import Found, Measure, Ran
from qdemo.measure.step import bandwidth
from qdemo.spec.figure import Figure
from qdemo.spec.variant import Variant


def _size(ran: Ran) -> Found:
    held = ran.footprint
    reference = held if ran.reference is None else ran.reference.footprint
    return Found(
        {
            "bytes": held.total,
            "times_smaller": reference.total / held.total,
            "bits_per_weight": bits_per_weight(ran.model, held),
            "bytes_with_embeddings": None
            if ran.reference is None
            else _bytes_with_embeddings(ran.reference.model, ran.variant),
        }
    )


def _bytes_with_embeddings(reference: nn.Module, variant: Variant) -> int | None:
    """Found without quantizing anything, on shapes alone, and once for a model."""
    if variant.scheme is None or variant.embeddings:
        return None
    known = _BYTES.setdefault(reference, {})
    if variant not in known:
        shapes = rebuild(reference, device="meta")
        known[variant] = footprint(build(shapes, replace(variant, embeddings=True))).total
    return known[variant]


_BYTES: WeakKeyDictionary[nn.Module, dict[Variant, int]] = WeakKeyDictionary()


def _time(ran: Ran) -> Found:
    first, *further = ran.seconds
    each = 1000 * sum(further) / len(further) if further else None
    return Found({"first_token_ms": 1000 * first, "token_ms": each} | _split(ran, each))


def _split(ran: Ran, token_ms: float | None) -> dict[str, int | float | None]:
    """The time of a token as its three parts; none where no step was looked into."""
    if ran.step is None or token_ms is None:
        return {}
    read = ran.step.bytes
    reading = 1000 * read / bandwidth(read, ran.logits.device)
    kernels = ran.step.kernels_ms(token_ms)
    return {
        "read_bytes": read,
        "reading_ms": reading,
        "kernels_ms": max(0.0, kernels - reading),
        "outside_ms": token_ms - kernels,
    }


SIZE = Measure(
    figures=(
        Figure(
            "bytes", "memory",
            "Bytes of storage really held; what several tensors share is counted once.",
            unit="bytes", better="low", form="bytes", alone=True, heads=(("summary", "memory"),),
        ),
        Figure(
            "times_smaller", "smaller", "fp32's bytes divided by this format's.",
            better="high", form="times", alone=True, heads=(("summary", "smaller"),),
        ),
        Figure(
            "bits_per_weight", "bits a weight",
            "Bits that each quantized weight takes, its share of scales and zero points counted.",
            unit="bits", better="low", digits=4, none="",
            heads=(("held", "a weight"), ("card", "bits a weight")),
        ),
        Figure(
            "bytes_with_embeddings", "with embeddings",
            "Bytes it would hold if the embeddings were quantized too.",
            unit="bytes", better="low", form="bytes",
        ),
    ),
    of=_size, alone=True,
)  # fmt: skip

TIME = Measure(
    figures=(
        Figure(
            "first_token_ms", "first token",
            "Time to the first token, after a warm-up, on the device that the report names.",
            unit="ms", better="low", alone=True,
            heads=(("card", "first token"), ("summary", "first token")),
        ),
        Figure(
            "token_ms", "each further token",
            "Milliseconds for each further token of the answer, after a warm-up.",
            unit="ms", better="low", alone=True,
            heads=(("row", "a token"), ("card", "each further"), ("summary", "a token")),
        ),
        Figure(
            "read_bytes", "read a token",
            "Bytes of weights that a further token reads: of the modules that run in its step, of "
            "a table of embeddings the rows that are taken.",
            unit="bytes", better="low", form="bytes", alone=True,
        ),
        Figure(
            "reading_ms", "reading the weights",
            "The least that a further token can take: those bytes, divided by the bandwidth at "
            "which this machine reads a block of about that size, measured once.",
            unit="ms", better="low", alone=True, heads=(("bar", "weights"),),
        ),
        Figure(
            "kernels_ms", "other time of kernels",
            "Milliseconds of each further token in layers that hold matrices and in torch's other "
            "operators, less those for reading the weights; their share was measured in two "
            "more steps.",
            unit="ms", better="low", alone=True, heads=(("bar", "kernels"),),
        ),
        Figure(
            "outside_ms", "outside of kernels",
            "Milliseconds of each further token outside of all kernels: Python, transformers' and "
            "ours, and the way from there to each kernel.",
            unit="ms", better="low", alone=True,
            heads=(("bar", "Python"), ("summary", "of it Python")),
        ),
    ),
    of=_time, alone=True, when="answered",
)  # fmt: skip
