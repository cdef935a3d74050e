"""How far a model is from fp32 on calibration inputs: KL(P_ref ‖ P), their answers forced on both.

Held-out items only judge, and are never read here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from qdemo.engine import calibrating
from qdemo.models.families import Batch
from qdemo.models.families.base import device_of
from qdemo.models.loading import Loaded
from qdemo.numerics.blocks import with_fp64
from qdemo.spec.messages import say
from qdemo.spec.sensitivity import ITEMS, Kl

_TOGETHER = 32
_AT_ONCE = 2**22  # logits that are made fp64 at a time


@dataclass(frozen=True, eq=False)
class _Forced:
    """A batch, what fp32 makes of it, (P, V) at its P positions, and the item that each is of."""

    batch: Batch
    logits: Tensor
    item: Tensor


class Divergence:
    """Calibration items of a model, with what it makes of them in fp32."""

    @torch.inference_mode()
    def __init__(self, loaded: Loaded, items: int = ITEMS) -> None:
        """Take up to so many items, spread evenly over all that there are: a quarter of them are
        those that no method is fitted to, and more have these among them.

        Raises:
            ValueError: fewer than one is asked for, or the model can't take one.
        """
        if items < 1:
            raise ValueError(say("{count} items, expected at least 1", count=items))
        self._loaded, pairs = loaded, calibrating.pairs(loaded)
        chosen = [pairs[i] for i in calibrating.spread(len(pairs), items)]
        self.items = len(chosen)
        self._forced = [
            self._first(chosen[start : start + _TOGETHER], start)
            for start in range(0, len(chosen), _TOGETHER)
        ]
        self._item = torch.cat([one.item for one in self._forced]).cpu()
        self.positions = len(self._item)

    def _first(self, pairs: list[calibrating.Pair], start: int) -> _Forced:
        batch = self._loaded.family.calibration_batch(pairs).to(device_of(self._loaded.model))
        mask = batch.masks[-1]
        logits = self._loaded.family.forward(self._loaded.model, batch)[mask]
        return _Forced(batch, logits, mask.nonzero()[:, 0] + start)

    @torch.inference_mode()
    def of(self, model: nn.Module) -> Kl:
        """That of a variant; the mean over positions, and its standard error by item.

        Raises:
            ArithmeticError: a logit is infinite or NaN.
        """
        forward = self._loaded.family.forward
        found = [
            kl
            for one in self._forced
            for kl in kl_by_position(one.logits, forward(model, one.batch)[one.batch.masks[-1]])
        ]
        kl = torch.cat(found).cpu()
        if not kl.isfinite().all():
            raise ArithmeticError(say("the logits are not finite"))
        return mean_by_item(kl, self._item, self.items)


def kl_by_position(reference: Tensor, other: Tensor) -> Iterator[Tensor]:
    """KL of each position of logits (P, V), in fp64, some positions at a time."""
    rows = max(1, _AT_ONCE // reference.shape[1])
    for z_ref, z in zip(reference.split(rows), other.split(rows), strict=True):
        log_ref, log_p = (with_fp64(x).double().log_softmax(1) for x in (z_ref, z))
        yield log_ref.sub(log_p).mul_(log_ref.exp()).sum(1).clamp_(min=0)


def mean_by_item(values: Tensor, item: Tensor, items: int) -> Kl:
    """The mean of values (P,) over positions, which are of the `items` that `item` (P,) numbers,
    and its standard error: that of a ratio of sums over items, as the positions of one answer are
    not independent (Cochran, "Sampling Techniques", 1977, 6.3).

    >>> mean_by_item(torch.tensor([0.0, 2.0, 4.0]), torch.tensor([0, 0, 1]), 2)
    Kl(mean=2.0, error=1.3333333333333333)
    """
    zeros = torch.zeros(items, dtype=torch.float64)
    sums = zeros.index_add(0, item, values.double())
    counts = zeros.index_add(0, item, torch.ones_like(values, dtype=torch.float64))
    mean = (sums.sum() / counts.sum()).item()
    if items < 2:
        return Kl(mean, None)
    left = (sums - mean * counts).square().sum().item() * items / (items - 1)
    return Kl(mean, left**0.5 / counts.sum().item())
