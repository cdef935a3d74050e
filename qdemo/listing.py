"""What the command line lists: models, formats, and what a model holds in each format."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from qdemo.spec.messages import say
from qdemo.views import terminal

if TYPE_CHECKING:
    from qdemo.engine.shelf import Sized


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
    from qdemo.engine.shelf import linear_layers
    from qdemo.engine.shelf import sizes as sizes_of
    from qdemo.spec.footprint import KINDS
    from qdemo.spec.variant import Variant
    from qdemo.views.tables import Table
    from qdemo.views.wording import covers, held_instead

    variants = [Variant(), *(Variant.parse(text) for text in options.formats)]
    for variant in variants:  # before anything slow
        variant.check_built()
    tied = False if options.untied else None
    reference, *sizes = sizes_of(options.model, variants, tied)
    print(
        say(
            "{model}: {parameters:,} parameters, {layers} Linear layers",
            model=options.model,
            parameters=reference.coverage.parameters,
            layers=linear_layers(options.model),
        )
    )
    unit = say(
        "built without weights; bytes of storage, shared storage once; 1 MB is 1,000,000 bytes"
    )
    print(f"{unit}\n")
    head = (say("format"), say("MB"), say("times smaller"), say("bytes"),
            *map(say, KINDS), say("bits a weight"), say("quantized"))  # fmt: skip
    rows = tuple(_sizes(one, reference.footprint.total) for one in sizes)
    print(terminal.columns(Table("", head, rows)))
    for one in sizes:
        for tie in one.footprint.split_ties:
            told = say(
                "{quantized} was tied to {float}, which stays float: the same matrix is held twice "
                "({bytes:,} bytes as float). +emb shares it.",
                quantized=tie.quantized,
                float=tie.float,
                bytes=tie.float_bytes,
            )
            print(f"\n{one.format}: {told}")
        for sentence in [*held_instead(one.coverage), *covers(one.footprint, one.coverage)]:
            print(f"\n{one.format}: {sentence}")


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
    from qdemo.engine.shelf import sizes as sizes_of
    from qdemo.models.availability import MODELS, UnavailableError
    from qdemo.spec.variant import Variant
    from qdemo.views.numbers import NONE
    from qdemo.views.tables import Table

    rows = []
    for entry in MODELS.values():
        try:
            (size,) = sizes_of(entry.name, [Variant()])
        except UnavailableError:  # the host's own, whose shape is not known before it is here
            rows.append((entry.name, entry.task, NONE, NONE))
            continue
        megabytes = f"{size.footprint.total / 1e6:,.1f}"
        rows.append((entry.name, entry.task, f"{size.coverage.parameters:,}", megabytes))
    head = (say("model"), say("task"), say("parameters"), say("MB in {format}", format="fp32"))
    print(terminal.columns(Table("", head, tuple(rows))))
