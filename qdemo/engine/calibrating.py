"""Calibration inputs: what the layers of a model are given by a few dozen ordinary inputs.

They are collected in one pass of the model in fp32, layer by layer, padding left out, as few rows
as the measures need. An embedded model brings inputs out of its own training stream, never of the
items that it is judged by; every other one gets short texts of ours, or the gallery's pictures.

Methods that look at inputs are fitted to three quarters of them (`fitted`), and layers' output
errors are measured on the others, which no method has seen.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from qdemo.compress.building import at_once
from qdemo.compress.kinds import inputs_of, multiplies
from qdemo.compress.probing import is_probed, probe
from qdemo.compress.stats import Collecting, Stats
from qdemo.engine.estimating import DEFAULT, count, kind, own_file
from qdemo.models.families import Batch
from qdemo.models.families.base import device_of
from qdemo.models.loading import Loaded
from qdemo.models.memory import free_bytes
from qdemo.models.pictures import captions, named_picture
from qdemo.spec.setting import Calibration

_TOGETHER = 16
_ROWS = (24, 256)
_WORK = 1_000_000_000  # weights times rows that a measure multiplies for one format: some 50 ms
_GOLDEN = (5**0.5 - 1) / 2

Pair = tuple[object, str]


def pairs(loaded: Loaded) -> list[Pair]:
    """Inputs and their answers, as the model's family takes them. In a file a line has an input, of
    a picture its name, and behind a tab its answer."""
    looks, file = kind(loaded.entry) == "picture", own_file(loaded.entry)
    if file is not None:
        own = _lines(file)
        return [(named_picture(asked), answer) for asked, answer in own] if looks else [*own]
    return list(_gallery()) if looks else [*_lines(DEFAULT)]


def _lines(file: Path) -> list[tuple[str, str]]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return [(asked, answer) for asked, _, answer in (line.partition("\t") for line in lines)]


def _gallery() -> Iterator[Pair]:
    for name, caption in captions().items():
        yield named_picture(name), caption


@torch.no_grad()
def know_reads(loaded: Loaded) -> None:
    """Have one ordinary input tell once which weights the model reads in another place than their
    layers, which can't be quantized. Of a model that can't take it, a list says what is known."""
    model = loaded.model
    if is_probed(model):
        return
    pair = next(_gallery()) if kind(loaded.entry) == "picture" else _lines(DEFAULT)[0]
    try:
        batch = loaded.family.calibration_batch([pair]).to(device_of(model))
    except ValueError:
        probe(model, lambda: None)
    else:
        probe(model, lambda: loaded.family.forward(model, batch))


def fitted(pairs: Sequence[Pair]) -> list[Pair]:
    """Those that methods are fitted to: all but the quarter, spread evenly, that is left to
    measuring.

    >>> fitted([("a", "A"), ("b", "B"), ("c", "C"), ("d", "D")])
    [('b', 'B'), ('c', 'C'), ('d', 'D')]
    """
    left = set(spread(len(pairs), quarter(len(pairs))))
    return [pair for i, pair in enumerate(pairs) if i not in left]


def quarter(pairs: int) -> int:
    """How many of so many are left to measuring: `collect` is given that as the most that it may
    look at, and takes none of the others."""
    return -(-pairs // 4)


def statistics(
    loaded: Loaded, pairs: Sequence[Pair], hessian: bool = True
) -> Generator[int, None, dict[str, Stats]]:
    """Statistics of what each layer of the model that multiplies is given by all of the pairs, by
    its name; how many of them are through is told after each few, so that it can be shown, and
    stopped.

    Raises:
        ValueError: an input that the model can't take.
    """
    model, device = loaded.model, device_of(loaded.model)
    collecting = Collecting(model, hessian)
    for start in range(0, len(pairs), _TOGETHER):
        part = pairs[start : start + _TOGETHER]
        batch = loaded.family.calibration_batch(part).to(device)
        with torch.no_grad(), collecting.listening(batch.rows):
            loaded.family.forward(model, batch)
        yield start + len(part)
    return collecting.stats()


def described(loaded: Loaded) -> Calibration:
    """Which inputs methods are fitted to, and on how many others output errors are measured. Each
    comparison asks: they are counted, and none is read or drawn."""
    total = count(loaded.entry)
    measured = _chosen(rows_for(loaded.parameters), total, quarter(total))
    return Calibration(total - quarter(total), measured, own_file(loaded.entry) is not None)


def statistics_of(loaded: Loaded, hessian: bool = True) -> dict[str, Stats]:
    """Those of the model's own calibration inputs that methods are fitted to, all at once.

    Raises:
        ValueError: as `statistics`.
        MemoryError: there is no room for them.
    """
    return at_once(own_statistics(loaded, fitted(pairs(loaded)), hessian))


def own_statistics(
    loaded: Loaded, chosen: Sequence[Pair], hessian: bool
) -> Generator[int, None, dict[str, Stats]]:
    """`statistics`, where there is room for them.

    Raises:
        ValueError: as `statistics`.
        MemoryError: there is no room for them.
    """
    layers = [m for m in loaded.model.modules() if multiplies(m)]
    needed = 4 * sum(inputs_of(layer) ** 2 for layer in layers) if hessian else 0
    free = free_bytes() if device_of(loaded.model).type == "cpu" else None
    if free is not None and needed > free:
        raise MemoryError
    return (yield from statistics(loaded, chosen, hessian))


def rows_for(parameters: int) -> int:
    """How many rows are collected of each layer of a model of that size. From one choice of rows to
    another a model's output error differs by 1 to 3% with 24, by 0.4 to 0.9% with 256.

    >>> rows_for(4_000_000), rows_for(80_000_000), rows_for(10**9)
    (250, 24, 24)
    """
    least, most = _ROWS
    return max(least, min(most, _WORK // max(1, parameters)))


@torch.inference_mode()
def collect(
    loaded: Loaded, pairs: Sequence[Pair], rows: int, most: int | None = None
) -> dict[str, Tensor]:
    """Rows (n, inputs) that each layer of the model that multiplies is given, by its name; n is
    `rows` at most. They are spread evenly over pairs, `most` of them, that are spread evenly over
    all. No pairs, no rows.

    Raises:
        ValueError: an input that the model can't take.
    """
    model, device = loaded.model, device_of(loaded.model)
    count = _chosen(rows, len(pairs), most)
    chosen = [pairs[i] for i in spread(len(pairs), count)]
    found: dict[str, list[Tensor]] = {}
    for start in range(0, len(chosen), _TOGETHER):
        part = chosen[start : start + _TOGETHER]
        batch = loaded.family.calibration_batch(part).to(device)
        with _listening(model, batch, rows * len(part) // len(chosen), found):
            loaded.family.forward(model, batch)
    return {name: torch.cat(parts) for name, parts in found.items()}


def _chosen(rows: int, pairs: int, most: int | None) -> int:
    """How many pairs rows are taken of."""
    return min(max(_TOGETHER, rows // 4), pairs if most is None else most)


@cache
def spread(length: int, count: int) -> list[int]:
    """Up to `count` of the places below `length`, evenly over all of them and in step with nothing:
    every ninth row would find the same few of the 37 patches of each picture again and again. Fewer
    are always some of more.

    >>> spread(20, 5), spread(3, 4)
    ([0, 5, 10, 13, 18], [0, 1, 2])
    """
    return sorted(sorted(range(length), key=lambda place: place * _GOLDEN % 1)[:count])


@contextmanager
def _listening(
    model: nn.Module, batch: Batch, rows: int, found: dict[str, list[Tensor]]
) -> Iterator[None]:
    """Keep up to `rows` of what each layer that multiplies is given meanwhile, added to `found`."""

    def keep(name: str, x: Tensor) -> None:
        every = batch.rows(x)
        found.setdefault(name, []).append(every[spread(len(every), rows)])

    with ExitStack() as hooks:
        for name, module in model.named_modules():
            if multiplies(module):
                hooks.enter_context(
                    module.register_forward_pre_hook(lambda _, x, name=name: keep(name, x[0]))
                )
        yield
