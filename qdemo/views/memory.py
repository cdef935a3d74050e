"""Bytes that a format holds, in words: of its weights, and of the text that it goes on with."""

from __future__ import annotations

from qdemo.spec.cache import Cache
from qdemo.spec.messages import say
from qdemo.spec.report import Report, Trial
from qdemo.views.numbers import megabytes, percent

CACHE = "cache"
"""The kind of bytes that depends on the text, and not on the model alone."""


def cached(report: Report, trial: Trial) -> int:
    """The bytes of the cache in a format; 0 where there is none to tell of."""
    return report.cache.nbytes(trial.variant) if report.cache else 0


def held_by(report: Report, trial: Trial) -> dict[str, int]:
    """Bytes by kind, the cache's among them."""
    return {**trial.footprint.by_kind, CACHE: cached(report, trial)}


def title(report: Report) -> str:
    """What is held, and after how many tokens, where that matters."""
    if report.cache is None:
        return say("Memory held")
    return say("Memory held after {tokens:,} tokens", tokens=report.cache.context)


def contexts(cache: Cache | None) -> list[tuple[str, str]]:
    """Numbers of tokens to choose from, as they are read, each with its value."""
    return [(f"{tokens:,}", str(tokens)) for tokens in cache.contexts] if cache else []


def cache_told(report: Report) -> str:
    """What the cache is beside the weights, of the format in which that is most; nothing where
    there is none."""
    if report.cache is None or not report.results:
        return ""
    most = max(report.results, key=lambda one: cached(report, one) / one.footprint.total)
    size = cached(report, most)
    return say(
        "Beside its weights {format} holds {size} for {tokens:,} tokens of context, in "
        "{compute}: {share} of the whole.",
        format=most.format,
        size=megabytes(size),
        tokens=report.cache.context,
        compute=most.variant.compute,
        share=percent(size / (size + most.footprint.total)),
    )
