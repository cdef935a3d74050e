"""Compare by a model's name: loading and running in one call."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any

from qdemo.comparison import run
from qdemo.spec.variant import Variant
from qdemo.results import Event


def compare(
    model: str, given: Any, formats: Iterable[str | Variant], max_tokens: int = 64
) -> Generator[Event]:
    """Run a catalogue model on `given`, a prompt or a PIL picture, in fp32 and in each format.

    Yields the events of `qdemo.comparison`; the last one, `Finished`, has the whole comparison.

    Raises:
        ValueError: an unknown model or format, or an input that the model can't take.
        UnavailableError: the model is neither here nor to be had; an OSError.
    """
    from qdemo.models.access import download, load
    from qdemo.models.availability import get_entry

    entry = get_entry(model)
    variants = [Variant.parse(f) if isinstance(f, str) else f for f in formats]
    for _ in download(entry):  # nothing, where it is here
        pass
    return run(load(entry).given(given), variants, max_tokens)
