"""What the command line lists: models, formats, and what a model holds in each format."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qdemo.spec.messages import say
from qdemo.views import terminal

if TYPE_CHECKING:
    from qdemo.engine.shelf import Sized
    from qdemo.spec.cache import Cache
    from qdemo.views.tables import Table


def formats(options: argparse.Namespace) -> None:
    """The formats and methods there are, family by family."""
    from qdemo.spec.families import FAMILIES
    from qdemo.views.families import as_json, family_table, parts_table, told_for

    if options.json:
        print(json.dumps(as_json(), ensure_ascii=False, indent=1))
        return
    for table in (*map(family_table, FAMILIES), parts_table()):
        terminal.tell(f"{table.caption}\n\n{terminal.columns(table)}\n")
    terminal.tell(told_for())


def footprint(options: argparse.Namespace) -> None:
    """The bytes that a model holds in each format."""
    from qdemo.engine.looking import shapes_of
    from qdemo.engine.shelf import linear_layers, sized
    from qdemo.models.availability import MODELS
    from qdemo.models.cached import cache_of
    from qdemo.spec.variant import Variant
    from qdemo.views.numbers import stored_as

    variants = [Variant(), *(Variant.parse(text) for text in options.formats)]
    for variant in variants:  # before anything slow
        variant.check_built()
    tied = False if options.untied else None
    shapes = shapes_of(options.model, tied)
    reference, *sizes = sized(shapes, variants)
    print(
        say(
            "{model}: {parameters:,} parameters, {layers} Linear layers",
            model=options.model,
            parameters=reference.coverage.parameters,
            layers=linear_layers(shapes),
        )
    )
    entry = MODELS.get(options.model)
    if entry is not None and entry.dtype:
        print(stored_as(entry.dtype, entry.stored_bytes))
    unit = say(
        "built without weights; bytes of storage, shared storage once; 1 MB is 1,000,000 bytes"
    )
    print(f"{unit}\n")
    cache = cache_of(shapes.config) if options.context is not None else None
    read = None if cache is None else cache.at(options.context)
    print(terminal.columns(_table(sizes, reference.footprint.total, read)))
    if options.context is not None and cache is None:
        print("\n" + say("{model} has no cache that is known here", model=options.model))
    for one in sizes:
        for sentence in _told(one):
            print(f"\n{one.format}: {sentence}")


def _table(sizes: Sequence[Sized], reference: int, cache: Cache | None) -> Table:
    """A format a row; `reference` are the bytes of fp32, and `cache` what is held of a text."""
    from qdemo.spec.footprint import KINDS
    from qdemo.spec.variant import Variant
    from qdemo.views.tables import Table

    head = (say("format"), say("MB"), say("times smaller"), say("bytes"),
            *map(say, KINDS), say("bits a weight"), say("quantized"))  # fmt: skip
    rows = [_sizes(one, reference) for one in sizes]
    if cache is not None:
        head = (*head, say("cache"))
        held = [f"{cache.nbytes(Variant.parse(one.format)):,}" for one in sizes]
        rows = [(*row, own) for row, own in zip(rows, held, strict=True)]
    return Table("", head, tuple(rows))


def _told(one: Sized) -> Iterator[str]:
    """What a person should know of a format beside its bytes."""
    from qdemo.views.covering import covers, held_instead

    for tie in one.footprint.split_ties:
        yield say(
            "{quantized} was tied to {float}, which stays float: the same matrix is held twice "
            "({bytes:,} bytes as float). +emb shares it.",
            quantized=tie.quantized,
            float=tie.float,
            bytes=tie.float_bytes,
        )
    yield from held_instead(one.coverage)
    yield from covers(one.footprint, one.coverage)


def _sizes(one: Sized, reference: int) -> tuple[str, ...]:
    from qdemo.spec.footprint import KINDS
    from qdemo.views.wording import percent

    total = one.footprint.total
    numbers = [total, *(one.footprint.by_kind[kind] for kind in KINDS)]
    bits = "–" if one.bits_per_weight is None else f"{one.bits_per_weight:.3f}"
    return (
        one.format,
        f"{total / 1e6:,.2f}",
        f"{reference / total:.2f}",
        *(f"{number:,}" for number in numbers),
        bits,
        percent(one.coverage.share),
    )


def models(options: argparse.Namespace) -> None:
    """The models there are."""
    from qdemo.models.availability import MODELS, commit_of, to_install
    from qdemo.views.numbers import NONE
    from qdemo.views.tables import Table

    head = (say("model"), say("task"), say("parameters"), say("MB in {format}", format="fp32"),
            say("MB stored"), say("stored as"), say("licence"), say("commit"))  # fmt: skip
    rows = tuple(
        (
            entry.name,
            entry.task,
            f"{entry.parameters:,}" if entry.parameters else NONE,
            f"{4 * entry.parameters / 1e6:,.1f}" if entry.parameters else NONE,
            f"{entry.stored_bytes / 1e6:,.1f}" if entry.parameters else NONE,
            entry.dtype or NONE,
            entry.licence or NONE,
            (commit_of(entry) or NONE)[:10],
        )
        for entry in MODELS.values()
    )
    print(terminal.columns(Table("", head, rows)))
    told = say(
        "Stored is what there is to download. Numbers that are stored in 16 bits are made fp32 to "
        "compute with; casting back to what they were loses nothing."
    )
    missing = [how for name in MODELS if (how := to_install(name))]
    print("", told, *missing, sep="\n")


def as_typed(text: str) -> str:
    """A folder's name, as a shell completes it, as the whole path that a model is asked for by."""
    folder = Path(text)
    is_path = os.sep in text and (folder / "config.json").is_file()
    return str(folder.resolve()) if is_path else text


def bring(model: str) -> None:
    """Download it, where it is not here, with a line that is written over."""
    from qdemo.models.availability import get_entry
    from qdemo.models.download import download

    for known in download(get_entry(model)):
        told = say(
            "downloading {model}: {done:,.0f} of {total:,.0f} MB",
            model=model,
            done=known.done / 1e6,
            total=known.total / 1e6,
        )
        terminal.write_over(told)


def compute_on(device: str | None) -> None:
    """Have it computed there, and not where QDEMO_DEVICE says.

    Raises:
        ValueError: there is no such device here.
    """
    if device is None:
        return
    from qdemo.engine import devices
    from qdemo.engine.engine import ENGINE
    from qdemo.engine.first import libraries

    libraries()
    ENGINE.device = devices.chosen(device)
