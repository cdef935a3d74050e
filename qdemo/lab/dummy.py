"""The course's dummy model, and what a cast does to its parameters and logits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qdemo.compress.convert import cast
from qdemo.lab import CASTS
from qdemo.measure.logits import LogitDifference, logit_difference
from qdemo.models.loading import BUILDING

IDS = ((1, 0), (0, 1))
"""The course's input: two sentences of two tokens."""

DEFAULT_DTYPE = ("bfloat16", "float32")
"""What `default_dtype("bfloat16")` finds. It is written down, since to try it out is to change
torch for all that this process computes meanwhile."""


@contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """Layers that are made meanwhile draw from `seed` on, undisturbed by what others build; the
    random state outside is left as it was."""
    with BUILDING, torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


class Dummy(nn.Module):
    """The model of the course's third lesson; its layers are drawn in this order from seed 123."""

    def __init__(self) -> None:
        """Draw the parameters; the random state outside is left as it was."""
        super().__init__()
        with drawn_from(123):
            self.token_embedding = nn.Embedding(2, 2)
            self.linear_1 = nn.Linear(2, 2)
            self.layernorm_1 = nn.LayerNorm(2)
            self.linear_2 = nn.Linear(2, 2)
            self.layernorm_2 = nn.LayerNorm(2)
            self.head = nn.Linear(2, 2)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits (…, 2) of token ids (…)."""
        x = self.token_embedding(ids)
        x = self.layernorm_1(self.linear_1(x))
        x = self.layernorm_2(self.linear_2(x))
        logits: Tensor = self.head(x)
        return logits


@dataclass(frozen=True, eq=False)
class Cast:
    """The model in one format: its parameters by name, its logits (4, 2), and how far they are."""

    format: str
    dtypes: dict[str, str]
    logits: list[list[float]]
    difference: LogitDifference


@torch.inference_mode()
def casts() -> list[Cast]:
    """The dummy model in each of `CASTS`, beside fp32.

    >>> [f"{c.format}: {c.difference.max_abs}" for c in casts()][2]
    'bf16: 0.0016907453536987305'
    """
    model = Dummy()
    reference = _logits(model)
    found = []
    for name in CASTS:
        low = cast(model, name)
        logits = _logits(low)
        dtypes = {key: _short(p.dtype) for key, p in low.named_parameters()}
        difference = logit_difference(reference, logits)
        found.append(Cast(name, dtypes, logits.double().tolist(), difference))
    return found


def default_dtype(name: str) -> tuple[str, str]:
    """`torch.set_default_dtype`: the dtypes of a model built under it, and of one built before it.

    >>> default_dtype("bfloat16") == DEFAULT_DTYPE
    True
    """
    before, usual = Dummy(), torch.get_default_dtype()
    torch.set_default_dtype(getattr(torch, name))
    try:
        under = Dummy()
    finally:
        torch.set_default_dtype(usual)
    return _short(under.head.weight.dtype), _short(before.head.weight.dtype)


def _logits(model: nn.Module) -> Tensor:
    logits: Tensor = model(torch.tensor(IDS))
    return logits.reshape(-1, logits.shape[-1])


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
