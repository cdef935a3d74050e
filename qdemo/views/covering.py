"""What is said of how much a format quantizes, and of what is held twice or in another format."""

from __future__ import annotations

from qdemo.spec.footprint import WHY, Coverage, Footprint, Instead, SplitTie
from qdemo.spec.messages import say, say_counted
from qdemo.spec.variant import Variant
from qdemo.views.numbers import megabytes, percent

_WORTH_TELLING = 0.05
"""Of the parameters: what stays float and is less is not named."""


def covers(held: Footprint, coverage: Coverage | None) -> list[str]:
    """What a person should know of a format that quantizes little, or saves little: why.

    >>> from qdemo.spec.footprint import Left
    >>> gpt = Coverage(100, 30, (Left("Conv1D", "class", 70, 1, "c_attn.weight"),), 200)
    >>> covers(Footprint(231, {}, {}), gpt)[1]
    'It is no smaller than the bf16 cast, which holds 200 bytes and quantizes nothing.'
    """
    if coverage is None or not coverage.quantized:
        return []
    sentences = [_low(coverage)] if coverage.is_low else []
    if not coverage.saves(held):
        sentences.append(
            say(
                "It is no smaller than the bf16 cast, which holds {size} and quantizes nothing.",
                size=megabytes(coverage.bf16_bytes),
            )
        )
        if not coverage.is_low:
            sentences += [f"{left}." for left in stays_float(coverage)]
    return sentences


def held_twice(variant: str, held: Footprint) -> list[str]:
    """What a format holds quantized and as it was, because another module shares it."""
    return [_twice(variant, tie) for tie in held.split_ties]


def _twice(variant: str, tie: SplitTie) -> str:
    size = megabytes(tie.float_bytes)
    if Variant.parse(variant).embeddings:
        return say(
            "Held twice: {quantized} was tied to {float}, which stays float ({size}).",
            quantized=tie.quantized,
            float=tie.float,
            size=size,
        )
    return say(
        "Held twice: {quantized} was tied to {float}, which stays float ({size}). +emb shares it.",
        quantized=tie.quantized,
        float=tie.float,
        size=size,
    )


def held_instead(coverage: Coverage | None) -> list[str]:
    """Which layers hold another format than was asked for."""
    return [_instead(one) for one in (coverage.instead if coverage else ())]


def _instead(one: Instead) -> str:
    if one.why == "inputs":
        return say_counted(
            "{layers} weight is {held}, without what {asked} does with inputs, which are not "
            "looked at here: {example}.",
            "{layers} weights are {held}, without what {asked} does with inputs, which are not "
            "looked at here: such as {example}.",
            one.layers,
            **vars(one),
        )
    return say_counted(
        "{layers} layer is {held}, as in llama.cpp, where rows are no multiple of {asked}'s "
        "blocks: {example}.",
        "{layers} layers are {held}, as in llama.cpp, where rows are no multiple of {asked}'s "
        "blocks: such as {example}.",
        one.layers,
        **vars(one),
    )


def stays_float(coverage: Coverage) -> list[str]:
    """The larger parts that stay float, or else the largest, each with the reason."""
    least = _WORTH_TELLING * coverage.parameters
    large = [left for left in coverage.left if left.parameters >= least] or coverage.left[:1]
    return [
        say(
            WHY[left.why],
            share=percent(left.parameters / coverage.parameters),
            kind=left.kind,
            example=left.example,
        )
        for left in large
    ]


def _low(coverage: Coverage) -> str:
    """How little is quantized, and the larger parts that stay float with the reason."""
    share, left = percent(coverage.share), stays_float(coverage)
    if not left:
        return say("Only {share} of the parameters are quantized.", share=share)
    return say(
        "Only {share} of the parameters are quantized; {left}.", share=share, left="; ".join(left)
    )
