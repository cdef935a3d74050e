"""How far the numbers inside a model go in half precision, and where they first go too far.

fp16 ends at 65,504. What is larger becomes infinite, and what is infinite may be made finite again
further on (T5 clamps its residuals), so that an answer can be wrong and every logit finite.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from qdemo.measure.measure import Found, Measure, Ran
from qdemo.spec.figure import Figure
from qdemo.spec.formats import FORMATS
from qdemo.spec.report import Overflow, Span


@dataclass
class Watch:
    """What was seen so far."""

    span: Span = field(default_factory=lambda: Span(0.0, "", None))

    def see(self, name: str, x: Tensor) -> None:
        """One module's output."""
        known = self.span
        largest, first = _largest_of(x), known.overflow
        if not math.isfinite(largest):
            first = first or _counted(name, x)
            finite = x[torch.isfinite(x)]
            largest = _largest_of(finite) if finite.numel() else 0.0
        elif first and first.clamped_in is None and _is_around(name, first.module):
            first = replace(first, clamped_in=name)
        where = name if largest > known.largest else known.module
        self.span = Span(max(largest, known.largest), where, first)


@contextmanager
def watching(model: nn.Module) -> Iterator[Watch]:
    """Look at what comes out of every module of `model` meanwhile.

    >>> model = nn.Sequential(nn.Upsample(scale_factor=2), nn.Tanh())
    >>> with watching(model) as seen:
    ...     _ = model(torch.tensor([[[3.0, -torch.inf]]]))
    >>> seen.span.overflow
    Overflow(module='0', infinite=2, nan=0, numbers=4, clamped_in='')
    """
    seen = Watch()
    with ExitStack() as hooks:
        for name, module in model.named_modules():
            hooks.enter_context(
                module.register_forward_hook(lambda _m, _in, out, name=name: _see(seen, name, out))
            )
        yield seen


def _see(seen: Watch, name: str, output: object) -> None:
    """Of several outputs the first is what goes on; others are masks, caches and the like."""
    first = output[0] if isinstance(output, tuple) and output else output
    if isinstance(first, Tensor) and first.is_floating_point() and first.numel():
        seen.see(name, first)


def _counted(name: str, x: Tensor) -> Overflow:
    infinite, nan = int(torch.isinf(x).sum()), int(torch.isnan(x).sum())
    return Overflow(name, infinite, nan, x.numel())


def _largest_of(x: Tensor) -> float:
    """The largest size; NaN where one is. No copy is made: logits may be half a gigabyte."""
    least, most = (end.item() for end in torch.aminmax(x))
    return max(abs(least), abs(most))


def _is_around(outer: str, inner: str) -> bool:
    return not outer or inner.startswith(f"{outer}.")


def _largest(ran: Ran) -> Found:
    """How near to its end the numbers inside come, where that is near enough to matter."""
    near = ran.variant.compute == "fp16" and ran.span is not None
    return Found({"largest_activation": ran.span.largest if near and ran.span else None})


MEASURE = Measure(
    figures=(
        Figure(
            "largest_activation", "largest activation",
            "The largest number that comes out of any layer of an fp16 model in the scoring pass; "
            "beyond 65,504 it is infinite, and the card says at which layer first.",
            unit=f"of {FORMATS['fp16'].max:,.0f}", better="low", none="",
            heads=(("card", "largest activation"),),
        ),
    ),
    of=_largest,
)  # fmt: skip
