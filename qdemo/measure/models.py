"""The errors of all weights of a model, several tensors at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor, nn

from qdemo.measure.weights import Pair, WeightError
from qdemo.numerics.insides import memory_of
from qdemo.numerics.qtensor import QTensor


def model_weight_errors(
    reference: nn.Module, variant: nn.Module, known: dict[str, float] | None = None
) -> Iterator[tuple[str, WeightError]]:
    """The error of each parameter of `reference` in `variant`, by name, one tensor at a time. What
    is `known` of Σw², by name, is not computed again; what is computed is added.

    A weight that still trains in quantized form is measured as it would be rounded now. A tied
    weight is measured once, and once more where the variant holds it in another form.

    Raises:
        AttributeError: the variant has no such parameter.
    """
    known = {} if known is None else known
    for pair, error in _measured(_pairs(reference, variant, known), torch.get_num_threads()):
        known[pair.name] = error.sum_sq_weight
        yield pair.name, error


def _pairs(reference: nn.Module, variant: nn.Module, known: Mapping[str, float]) -> Iterator[Pair]:
    seen: set[tuple[int, object]] = set()
    for name, w in reference.named_parameters(remove_duplicate=False):
        held = _held(variant, name)
        pair = id(w), memory_of(held.packed if isinstance(held, QTensor) else held)
        if pair not in seen:
            seen.add(pair)
            yield Pair(name, w.detach(), held, known.get(name))


_LARGE = 1 << 22
"""Weights that threads share; of smaller tensors each measures its own, as waiting for each other
takes longer where the cores are busy. What only torch can measure, it does in the thread that asks.
"""


def _measured(pairs: Iterable[Pair], threads: int) -> Iterator[tuple[Pair, WeightError]]:
    """Each with its error, in their order, a few at a time."""
    under_way: deque[tuple[Pair, Future[WeightError | None]]] = deque()

    def ended(most: int) -> Iterator[tuple[Pair, WeightError]]:
        while len(under_way) > most:
            pair, error = under_way.popleft()
            yield pair, error.result() or pair.by_torch()

    with ThreadPoolExecutor(threads) as several:
        for pair in pairs:
            if threads > 1 and pair.w.numel() < _LARGE:
                under_way.append((pair, several.submit(pair.in_loop, 1)))
                yield from ended(2 * threads)
            else:
                yield from ended(0)
                yield pair, pair.in_loop(threads) or pair.by_torch()
        yield from ended(0)


def _held(model: nn.Module, name: str) -> Tensor | QTensor:
    owner, _, key = name.rpartition(".")
    module = model.get_submodule(owner)
    quantized = key == "weight" and hasattr(type(module), "qweight")
    held: Tensor | QTensor = getattr(module, "qweight" if quantized else key)
    return held
