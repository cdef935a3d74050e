"""Small models of our own, drawn at random."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from qdemo.models.building import BUILDING


@contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """Layers that are made meanwhile draw from `seed` on, undisturbed by what others build; the
    random state outside is left as it was."""
    with BUILDING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
