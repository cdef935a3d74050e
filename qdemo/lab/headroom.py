"""How near the activations of a model come to the end of fp16, and what a cast changes in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

from torch import Tensor, nn

from qdemo.compress.convert import cast
from qdemo.spec.formats import FORMATS

LIMIT = FORMATS["fp16"].max
MOST_TOKENS = 32


@dataclass(frozen=True)
class Peak:
    """The largest |number| that goes into one module or comes out of it, over a whole answer."""

    module: str
    kind: str
    largest: float

    @property
    def share(self) -> float:
        """largest / 65,504."""
        return self.largest / LIMIT


def headroom(model: nn.Module, answer: Iterable[int]) -> list[Peak]:
    """The peak of every module that has weights of its own, largest first.

    `answer` is what the model computes when it is asked for the next token.
    """
    peaks: dict[str, float] = {}
    with _watching(model, peaks):
        for _ in islice(answer, MOST_TOKENS):
            pass
    modules = dict(model.named_modules())
    found = [Peak(name, type(modules[name]).__name__, peak) for name, peak in peaks.items()]
    return sorted(found, key=lambda peak: -peak.largest)


@contextmanager
def _watching(model: nn.Module, peaks: dict[str, float]) -> Iterator[None]:
    def watch(name: str) -> Any:
        def seen(_module: nn.Module, inputs: Any, output: Any) -> None:
            for x in (*inputs, output):
                if isinstance(x, Tensor) and x.is_floating_point() and x.numel():
                    peaks[name] = max(peaks.get(name, 0.0), x.abs().max().item())

        return seen

    weighted = [
        (name, m)
        for name, m in model.named_modules()
        if next(m.parameters(recurse=False), None) is not None
    ]
    with ExitStack() as hooks:
        for name, module in weighted:
            hooks.enter_context(module.register_forward_hook(watch(name)))
        yield


def dtypes(model: nn.Module, format: str) -> list[tuple[str, str, int, int]]:
    """Parameters and buffers of `model` cast to a format: (what, dtype, how many, bytes)."""
    low = cast(model, format)
    counts: Counter[tuple[str, str]] = Counter()
    sizes: Counter[tuple[str, str]] = Counter()
    for what, tensors in (("parameters", low.parameters()), ("buffers", low.buffers())):
        for tensor in tensors:
            key = what, str(tensor.dtype).removeprefix("torch.")
            counts[key] += tensor.numel()
            sizes[key] += tensor.nbytes
    return [(*key, counts[key], sizes[key]) for key in counts]
