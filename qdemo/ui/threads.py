"""How many threads compute: one for small work, which more threads only hold up."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from typing import TypeVar

import torch

Item = TypeVar("Item")

SMALL = 20_000_000
"""Parameters. Below this a step is over sooner than threads have agreed on their shares; where the
cores are busy, as on a shared machine, two threads took ten times as long as one."""

_ALL = torch.get_num_threads()


def for_size(parameters: int) -> int:
    """The number of threads for a model of that size."""
    return 1 if parameters < SMALL else _ALL


def on_threads(count: int, items: Generator[Item]) -> Generator[Item]:
    """The same items, each computed with `count` threads.

    torch keeps the number for each thread that asks, and each step of a generator that gradio
    runs can be in another one.
    """
    with closing(items):
        while True:
            torch.set_num_threads(count)
            try:
                item = next(items)
            except StopIteration:
                return
            yield item
