"""The smallest repair: the fewest layers which, put back, bring fp32's answer back."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tried:
    """Layers that were put back together, by the names that exceptions have: `kl` is KL(P_ref ‖ P)
    in nats, the mean over the positions of fp32's answer, and `is_back` whether that answer is
    given again, token by token."""

    modules: tuple[str, ...]
    kl: float
    is_back: bool


@dataclass(frozen=True)
class Repair:
    """What brings fp32's answer to one input back in `format`.

    `answer` is fp32's, and `before` the format's own. In `repaired`, whose answer is fp32's,
    `modules` are `step`; None where not even all `layers` so bring it back, and `format` itself
    where nothing is to be repaired. `is_smallest`: whether it is certain that no fewer layers do.
    `kl_before` and `kl_after` are KL(P_ref ‖ P) in nats over the positions of fp32's answer, with
    nothing and with `modules` put back, or all where that is not enough. `singles` is what each
    layer does alone, the most helpful first; `tries` were made in all.
    """

    model: str
    input: str
    format: str
    step: str
    answer: str
    before: str
    repaired: str | None
    modules: tuple[str, ...]
    layers: int
    is_smallest: bool
    kl_before: float
    kl_after: float
    singles: tuple[Tried, ...]
    tries: int

    @property
    def is_needed(self) -> bool:
        """Whether the format gives another answer than fp32."""
        return self.repaired != self.format
