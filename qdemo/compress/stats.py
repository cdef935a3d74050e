"""What methods know of a layer's inputs: sums over the rows that it is given in calibration passes.

No row is kept. A layer with K inputs has K² floats where products of inputs are added up, and 2 K
where only sizes are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from qdemo.compress.kinds import inputs_of, multiplies
from qdemo.numerics.insides import memory_of
from qdemo.spec.messages import say

Rows = Callable[[Tensor], Tensor]
"""Of an input (..., columns) the rows (n, columns) that count: padding left out."""


@dataclass(frozen=True, eq=False)
class Stats:
    """What is known of `count` rows x of a layer's inputs, (columns,) each: `absmax`, max |x|, and
    `mean_abs`, mean |x|; and `hessian`, 2XᵀX / n, (columns, columns), where that was collected. All
    are 0 of a layer that was given nothing."""

    count: int
    absmax: Tensor
    mean_abs: Tensor
    hessian: Tensor | None = None


@torch.no_grad()
def collect_stats(
    model: nn.Module, batches: Iterable[Mapping[str, Any]], *, hessian: bool = True
) -> dict[str, Stats]:
    """Statistics of what each layer of `model` that multiplies is given while it runs on `batches`,
    keyword arguments each, by the layer's name. The methods of `build` that look at inputs want
    them.

    Where an input of a layer is (B, S, columns), and the batch has an `attention_mask` or a
    `decoder_attention_mask` of shape (B, S), what that masks is left out. Without `hessian` there
    is enough for -sq, and not for -awq and -gptq.

    >>> stats = collect_stats(nn.Sequential(nn.Linear(2, 1)), [{"input": torch.eye(2)}])
    >>> stats["0"].hessian
    tensor([[1., 0.],
            [0., 1.]])

    Raises:
        ValueError: a layer is given infinite numbers or NaN, or two masks have one shape and
            differ.
    """
    collecting = Collecting(model, hessian)
    for batch in batches:
        with collecting.listening(_rows_of(batch)):
            model(**batch)
    return collecting.stats()


def _rows_of(batch: Mapping[str, Any]) -> Rows:
    masks = [batch[key] for key in ("attention_mask", "decoder_attention_mask") if key in batch]
    masks = [mask.bool() for mask in masks if isinstance(mask, Tensor) and mask.ndim == 2]
    shapes = {mask.shape for mask in masks}
    if len(shapes) < len(masks) and not torch.equal(*masks):
        raise ValueError(
            say(
                "both masks have the shape {shape}, and differ; pad one side to another length",
                shape=tuple(masks[0].shape),
            )
        )

    def rows(x: Tensor) -> Tensor:
        mask = next((mask for mask in masks if mask.shape == x.shape[:-1]), None)
        return x[None].flatten(0, -2) if mask is None else x[mask]  # one row alone has no axis

    return rows


class Collecting:
    """Sums over what the layers of a model that multiply are given, while it is `listening`."""

    def __init__(self, model: nn.Module, hessian: bool = True) -> None:
        """Nothing was given yet."""
        named = model.named_modules()
        self._layers = {name: m for name, m in named if multiplies(m)}
        self._sums = {name: _Sums.of(layer, hessian) for name, layer in self._layers.items()}

    @contextmanager
    def listening(self, rows: Rows) -> Iterator[None]:
        """Add up what layers are given meanwhile, of which `rows` count."""
        last = _Last(rows)

        def hear(name: str, args: tuple[Any, ...], named: Mapping[str, Tensor]) -> None:
            x = args[0] if args else named["input"]
            self._sums[name].add(last.of(x.detach()))

        with ExitStack() as hooks:
            for name, layer in self._layers.items():
                hooks.enter_context(
                    layer.register_forward_pre_hook(
                        lambda _, args, named, name=name: hear(name, args, named),
                        with_kwargs=True,
                    )
                )
            yield

    def stats(self) -> dict[str, Stats]:
        """What is known by now, by the name of the layer. Layers that were given the same all along
        hold one and the same.

        Raises:
            ValueError: something was infinite or NaN.
        """
        found: dict[str, Stats] = {}
        last: Stats | None = None
        for name, sums in self._sums.items():
            own = sums.stats()
            if not torch.isfinite(own.mean_abs).all():
                raise ValueError(say("{name} is given numbers that are infinite or NaN", name=name))
            last = found[name] = last if last is not None and _are_equal(own, last) else own
        return found


def n_bytes(stats: Mapping[str, Stats]) -> int:
    """What they hold; what several share is counted once."""
    held = {}
    for one in stats.values():
        for x in (one.absmax, one.mean_abs, one.hessian):
            if x is not None:
                held[memory_of(x)] = x.nbytes
    return sum(held.values())


@dataclass(frozen=True, eq=False)
class _Seen:
    """Rows in fp32, and their products, once they are asked for."""

    rows: Tensor
    products: list[Tensor]

    def product(self) -> Tensor:
        if not self.products:
            self.products.append(self.rows.t() @ self.rows)
        return self.products[0]


class _Last:
    """The last input: queries, keys and values are made of one, whose products are one."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._x: Tensor | None = None
        self._version: int | None = None
        self._seen: _Seen | None = None

    def of(self, x: Tensor) -> _Seen:
        version = None if x.is_inference() else x._version
        is_known = self._x is not None and version is not None and version == self._version
        if self._seen is None or not (is_known and _is_same(x, self._x)):
            self._x, self._version = x, version
            self._seen = _Seen(self._rows(x).float(), [])
        return self._seen


def _is_same(x: Tensor, other: Tensor | None) -> bool:
    """Whether both are one memory, seen the same way."""
    return (
        other is not None
        and x.data_ptr() == other.data_ptr()
        and (x.shape, x.stride(), x.dtype) == (other.shape, other.stride(), other.dtype)
    )


@dataclass(eq=False)
class _Sums:
    count: int
    absmax: Tensor
    sum_abs: Tensor
    products: Tensor | None

    @classmethod
    def of(cls, layer: nn.Module, hessian: bool) -> _Sums:
        weight: Tensor = layer.weight  # type: ignore[assignment]
        zeros = weight.new_zeros(inputs_of(layer), dtype=torch.float32)
        products = weight.new_zeros(2 * (len(zeros),), dtype=torch.float32)
        return cls(0, zeros, zeros.clone(), products if hessian else None)

    def add(self, seen: _Seen) -> None:
        if not len(seen.rows):
            return
        sizes = seen.rows.abs()
        self.count += len(sizes)
        self.absmax = torch.maximum(self.absmax, sizes.amax(0))
        self.sum_abs += sizes.sum(0)
        if self.products is not None:
            self.products += seen.product()

    def stats(self) -> Stats:
        n = max(1, self.count)
        hessian = None if self.products is None else self.products.mul(2 / n)
        return Stats(self.count, self.absmax, self.sum_abs / n, hessian)


def _are_equal(a: Stats, b: Stats) -> bool:
    if a.count != b.count or not torch.equal(a.mean_abs, b.mean_abs):
        return False
    return a.hessian is None or (b.hessian is not None and torch.equal(a.hessian, b.hessian))


def moved(stats: Stats, device: torch.device) -> Stats:
    """The same there."""
    hessian = None if stats.hessian is None else stats.hessian.to(device)
    return replace(
        stats,
        absmax=stats.absmax.to(device),
        mean_abs=stats.mean_abs.to(device),
        hessian=hessian,
    )
