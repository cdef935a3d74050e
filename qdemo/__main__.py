"""The command line: `python -m qdemo compare`, `footprint` and `models`."""

from __future__ import annotations

import argparse
import codecs
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from torch import nn

from qdemo import Footprint, Variant, compare, footprint
from qdemo.compress.footprint import KINDS
from qdemo.report import as_json, summary
from qdemo.results import Comparison, Event, Finished, Written
from qdemo.views.tables import same_top
from qdemo.views.wording import read_as, too_far
from qdemo.models.access import download, skeleton
from qdemo.models.availability import get_entry
from qdemo.models.catalogue import CATALOGUE

_COMPARED = ("fp16", "bf16", "int8")
_FORMATS = ("fp32", "bf16", "int8", "int8+emb", "int4-g64")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 2 where the input was wrong."""
    _write_what_can_be_written()
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, OSError) as error:
        print(f"qdemo: {error}", file=sys.stderr)
        return 2
    return 0


def _write_what_can_be_written() -> None:
    """Have no character end a run in a terminal that lacks it: Windows' and C's encodings do."""
    codecs.register_error("qdemo", _plainer)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="qdemo")


def _plainer(error: UnicodeError) -> tuple[str | bytes, int]:
    """Signs of ours in ASCII, all else by its number."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    wrong = error.object[error.start : error.end]
    plain = "".join(_ASCII.get(c) or c.encode("ascii", "backslashreplace").decode() for c in wrong)
    return plain, error.end


_ASCII = {"Δ": "d", "–": "-", "×": "x", "…": "...", "▁": "_"}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m qdemo", description=__doc__)
    commands = parser.add_subparsers(required=True)
    comparison = commands.add_parser("compare", help="run a model in several formats")
    comparison.add_argument("model", help="a name that `models` lists")
    comparison.add_argument(
        "--input", required=True, help="the prompt, or the file name of a picture, or scene:NUMBER"
    )
    comparison.add_argument("--formats", nargs="+", default=_COMPARED, metavar="FORMAT")
    comparison.add_argument("--max-tokens", type=int, default=64, metavar="N")
    comparison.add_argument("--json", metavar="FILE", help="write all that was measured")
    comparison.set_defaults(run=_compare)
    sizes = commands.add_parser("footprint", help="the bytes a model holds in each format")
    sizes.add_argument("model", help="a name that `models` lists")
    sizes.add_argument("--formats", nargs="+", default=_FORMATS, metavar="FORMAT")
    sizes.add_argument(
        "--untied", action="store_true", help="count tied matrices apart (transformers below 5)"
    )
    sizes.set_defaults(run=_footprint)
    commands.add_parser("models", help="the models there are").set_defaults(run=_models)
    return parser


def _compare(options: argparse.Namespace) -> None:
    given = _picture(options.input) if _captions(options.model) else options.input
    with _file(options.json) as write:  # before anything slow
        _bring(options.model)
        for event in compare(options.model, given, options.formats, options.max_tokens):
            _show_progress(event)
            if isinstance(event, Finished):
                _report(event.comparison)
                write(json.dumps(as_json(event.comparison), indent=1, allow_nan=False))


@contextmanager
def _file(name: str | None) -> Iterator[Callable[[str], object]]:
    """What writes a file at the end of what may be long; that it can, is found out before.

    Raises:
        ValueError: it can't be written; what it held stays until there is something else to hold.
    """
    if name is None:
        yield lambda _: None
        return
    path = Path(name)
    is_new = not path.exists()
    try:
        path.open("a").close()
    except OSError as error:
        raise ValueError(f"can't write {name}: {error.strerror}") from None
    try:
        yield partial(path.write_text, encoding="utf-8")
    except BaseException:
        if is_new:
            path.unlink()
        raise


def _captions(model: str) -> bool:
    return get_entry(model).task == "captioning"


def _picture(name: str) -> object:
    from qdemo.models.pictures import named_picture, read_picture

    if name.startswith(("scene:", "gallery:")):
        return named_picture(name)
    return read_picture(name, Path(name).name)


def _bring(model: str) -> None:
    """Download it, where it is not here, with a line that is written over."""
    for known in download(get_entry(model)):
        if sys.stderr.isatty():
            done = f"{known.done / 1e6:,.0f} of {known.total / 1e6:,.0f} MB"
            print(f"\r\x1b[Kdownloading {model}: {done}", end="", file=sys.stderr, flush=True)


def _show_progress(event: Event) -> None:
    """One line that is written over, where a person is looking on."""
    if isinstance(event, Written) and sys.stderr.isatty():
        print(f"\r\x1b[K{event.variant}: {event.text[-60:]}", end="", file=sys.stderr, flush=True)
    elif isinstance(event, Finished) and sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _report(comparison: Comparison) -> None:
    rows = summary(comparison)
    if rows:
        print(f"{comparison.model}: {comparison.shown!r}\n")
        if any(token.kind for token in comparison.read[:-1]):
            print(f"{read_as([asdict(token) for token in comparison.read])}\n")
        _table(list(_COLUMNS), [[show(row) for show in _COLUMNS.values()] for row in rows])
    for row in rows:
        if row["span"] and (first := row["span"]["overflow"]):
            print(f"\n{row['format']}: {too_far(row['format'], first)}")
    for failure in comparison.failures:
        print(f"\n{failure.variant} failed: {failure.reason}")


def _number(key: str, digits: str) -> Callable[[dict[str, Any]], str]:
    return lambda row: "–" if row[key] is None else format(row[key], digits)


_COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "format": lambda row: str(row["format"]),
    "MB": lambda row: f"{row['bytes'] / 1e6:,.2f}",
    "times smaller": _number("times_smaller", ".2f"),
    "ms/token": _number("token_ms", ".1f"),
    "mean |Δlogit|": _number("logit_mean_abs", ".5f"),
    "max |Δlogit|": _number("logit_max_abs", ".4f"),
    "KL, nats": _number("logit_kl_mean", ".2e"),
    "same top, 95%": same_top,
    "SQNR, dB": _number("weight_sqnr_db", ".1f"),
    "diverges at token": _number("first_divergent_token", "d"),
    "output": lambda row: repr(row["output"]),
}


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
    """Print columns: words to the left, numbers (and what stands for none) to the right."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = [
            cell.rjust(width)
            if rows[0][i][:1].isdigit() or rows[0][i] == "–"
            else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


if __name__ == "__main__":
    sys.exit(main())
