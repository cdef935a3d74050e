"""The command line: `python -m qdemo footprint`, `python -m qdemo models`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from torch import nn

from qdemo import Footprint, Variant, footprint
from qdemo.modeling.footprint import KINDS
from qdemo.zoo.catalogue import CATALOGUE, get_entry

_FORMATS = ("fp32", "bf16", "int8", "int8+emb", "int4-g64")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 2 where the input was wrong."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except ValueError as error:
        print(f"qdemo: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m qdemo", description=__doc__)
    commands = parser.add_subparsers(required=True)
    sizes = commands.add_parser("footprint", help="the bytes a model holds in each format")
    sizes.add_argument("model", help="a name that `models` lists")
    sizes.add_argument("--formats", nargs="+", default=_FORMATS, metavar="FORMAT")
    sizes.add_argument(
        "--untied", action="store_true", help="count tied matrices apart (transformers below 5)"
    )
    sizes.set_defaults(run=_footprint)
    commands.add_parser("models", help="the models there are").set_defaults(run=_models)
    return parser


def _footprint(options: argparse.Namespace) -> None:
    entry = get_entry(options.model)
    variants = [Variant.parse(text) for text in options.formats]  # before anything slow
    model = _skeleton(entry.name, tied=False if options.untied else None)
    print(f"{entry.name}: {_parameters(model):,} parameters, {_linears(model)} Linear layers")
    print("built without weights; bytes of storage, shared storage once; 1 MB is 1,000,000 bytes\n")
    reference = footprint(model).total
    rows = [(str(variant), footprint(variant.build(model))) for variant in variants]
    _table(
        ["format", "MB", "times smaller", "bytes", *KINDS],
        [[name, *_figures(held, reference)] for name, held in rows],
    )
    for name, held in rows:
        for tie in held.split_ties:
            print(
                f"\n{name}: {tie.quantized} was tied to {tie.float}, which stays float: the same "
                f"matrix is held twice ({tie.float_bytes:,} bytes as float). +emb shares it."
            )


def _models(options: argparse.Namespace) -> None:
    rows = []
    for entry in CATALOGUE.values():
        model = _skeleton(entry.name)
        size = footprint(model).total / 1e6
        rows.append([entry.name, entry.task, f"{_parameters(model):,}", f"{size:,.1f}"])
    _table(["model", "task", "parameters", "MB in fp32"], rows)


def _skeleton(name: str, tied: bool | None = None) -> nn.Module:
    from qdemo.zoo.skeleton import skeleton  # transformers takes seconds: not for --help

    model: nn.Module = skeleton(get_entry(name), tied)
    return model


def _figures(held: Footprint, reference: int) -> list[str]:
    numbers = [held.total, *(held.by_kind[kind] for kind in KINDS)]
    return [
        f"{held.total / 1e6:,.2f}",
        f"{reference / held.total:.2f}",
        *(f"{number:,}" for number in numbers),
    ]


def _parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _linears(model: nn.Module) -> int:
    return sum(type(module) is nn.Linear for module in model.modules())


def _table(head: list[str], rows: list[list[str]]) -> None:
    """Print columns: words to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = [
            cell.rjust(width) if rows[0][i].replace(",", "")[:1].isdigit() else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


if __name__ == "__main__":
    sys.exit(main())
