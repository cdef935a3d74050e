"""The command line: its commands, each with what it reads and what it prints."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from qdemo import evaluating, listing, searching
from qdemo.commands import bring, compute_on, file, write_over
from qdemo.spec.decoding import READ_AS
from qdemo.spec.messages import say
from qdemo.spec.request import DEVICES, parse_decoding
from qdemo.views import terminal

if TYPE_CHECKING:
    from qdemo.spec.decoding import Decoding
    from qdemo.spec.figure import Figure
    from qdemo.spec.report import Event, Report

_COMPARED = ("fp16", "bf16", "int8")
_FORMATS = ("fp32", "bf16", "int8", "int8+emb", "int4-g64")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status is 2 where the input was wrong."""
    terminal.write_what_can_be_written()
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
    except (ValueError, OSError, ArithmeticError) as error:
        print(f"qdemo: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    about = say(
        "The command line: `python -m qdemo compare`, `evaluate`, `show`, `sensitivity`, `search`, "
        "`footprint`, `models` and `formats`."
    )
    parser = argparse.ArgumentParser(prog="python -m qdemo", description=about)
    commands = parser.add_subparsers(required=True)
    comparison = commands.add_parser("compare", help=say("run a model in several formats"))
    named = say("a name that `models` lists, OWNER/NAME on the Hub, or a folder")
    comparison.add_argument("model", help=named, type=listing.as_typed)
    given = say(
        "the prompt, or the file name of a picture, or scene:NUMBER; given again, one after the "
        "other"
    )
    comparison.add_argument("--input", required=True, action="append", help=given)
    comparison.add_argument("--formats", nargs="+", default=_COMPARED, metavar="FORMAT")
    comparison.add_argument("--max-tokens", type=int, default=64, metavar="N")
    how = say("as a message that is answered, a text that is gone on with, or one that is scored")
    comparison.add_argument("--read-as", choices=READ_AS, default="chat", help=how)
    drawn = say("draw tokens, above 0; 0 takes the likeliest")
    comparison.add_argument("--temperature", default="0", metavar="T", help=drawn)
    same = say("what tokens are drawn by, the same for every format")
    comparison.add_argument("--seed", default="0", metavar="S", help=same)
    comparison.add_argument("--device", choices=DEVICES, help=say("what computes (QDEMO_DEVICE)"))
    comparison.add_argument("--json", metavar="FILE", help=say("write all that was measured"))
    comparison.set_defaults(run=_compare)
    shown = commands.add_parser("show", help=say("a comparison that was written to a file"))
    shown.add_argument("file", help=say("what --json, or the page, has written; of any version"))
    as_file = say("write it as .html, .csv or .json, too")
    shown.add_argument("--write", metavar="FILE", help=as_file)
    shown.set_defaults(run=_show)
    searching.add_to(commands)
    sizes = commands.add_parser("footprint", help=say("the bytes a model holds in each format"))
    sizes.add_argument("model", help=named, type=listing.as_typed)
    sizes.add_argument("--formats", nargs="+", default=_FORMATS, metavar="FORMAT")
    untied = say("count tied matrices apart (transformers below 5)")
    sizes.add_argument("--untied", action="store_true", help=untied)
    context = say("tell what a language model holds of a text of so many tokens, too")
    sizes.add_argument("--context", type=int, metavar="N", help=context)
    sizes.set_defaults(run=listing.footprint)
    evaluating.add_to(commands)
    commands.add_parser("models", help=say("the models there are")).set_defaults(run=listing.models)
    formats = commands.add_parser("formats", help=say("the formats and methods there are"))
    formats.add_argument("--json", action="store_true", help=say("as JSON"))
    formats.set_defaults(run=listing.formats)
    return parser


def _compare(options: argparse.Namespace) -> None:
    from qdemo.engine.asking import typed
    from qdemo.spec.document import as_text

    decoding = parse_decoding(vars(options))
    compute_on(options.device)
    each = [typed(options.model, text) for text in options.input]
    with file(options.json) as write:  # before anything slow
        bring(options.model)
        reports = []
        for number, given in enumerate(each):
            terminal.tell(*[""] * bool(number))
            reports.append(as_text(_compared(options, given, decoding)))
        write(reports[0] if len(reports) == 1 else f"[{', '.join(reports)}]")


def _compared(options: argparse.Namespace, given: object, decoding: Decoding) -> Report:
    """One input's report, once it is told."""
    from qdemo.engine.engine import compare
    from qdemo.spec.report import Started

    report: Report | None = None
    for event in compare(options.model, given, options.formats, options.max_tokens, decoding):
        report = event.report if isinstance(event, Started) else report
        report = report and report.after(event)
        _show_progress(event)
    assert report is not None  # it begins with what is planned
    _report(report)
    return report


def _show(options: argparse.Namespace) -> None:
    from qdemo.models.pictures import thumbnail_by
    from qdemo.spec import document
    from qdemo.views.files import WRITERS, written

    ending = Path(options.write or "x.json").suffix.removeprefix(".")
    if ending not in WRITERS:
        endings = ", ".join(f".{ending}" for ending in WRITERS)
        raise ValueError(
            say(
                "can't write {file}; its name has to end in one of {endings}",
                file=options.write,
                endings=endings,
            )
        )
    try:
        text = Path(options.file).read_bytes()
    except OSError as error:
        told = say("can't read {file}: {why}", file=options.file, why=error.strerror)
        raise ValueError(told) from None
    with file(options.write) as write:
        try:
            reports = document.each_from_text(text, _figures_of_before(text))
        except ValueError as error:
            raise ValueError(f"{options.file}: {error}") from None
        if options.write and len(reports) > 1:
            raise ValueError(
                say("{file} holds {count} comparisons; one can be written as another kind of file",
                    file=options.file, count=len(reports))
            )  # fmt: skip
        for number, report in enumerate(reports):
            terminal.tell(*[""] * bool(number))
            _report(report)
            write(written(report, ending, thumbnail_by(report.input)))


def _figures_of_before(text: bytes) -> Sequence[Figure]:
    """What figures are, for a report that does not say it; that takes torch."""
    if b'"figures"' in text[:100_000]:
        return ()
    from qdemo.measure import FIGURES

    return FIGURES


def _show_progress(event: Event) -> None:
    from qdemo.spec.report import Finished, Making, Written
    from qdemo.views.finding import making

    if isinstance(event, Making):
        write_over(making(event))
    elif isinstance(event, Written):
        write_over(f"{event.format}: {event.text[-60:]}")
    elif isinstance(event, Finished):
        write_over("")


def _report(report: Report) -> None:
    from qdemo.views.covering import covers, held_instead, held_twice
    from qdemo.views.outcomes import chosen_told, ended_told, text_proves
    from qdemo.views.tables import summary
    from qdemo.views.wording import read_as, too_far

    if report.results:
        terminal.tell(f"{report.model}: {report.input!r}\n")
        if any(token.kind for token in report.read[:-1]):
            terminal.tell(f"{read_as(report.read, report.input)}\n")
        if how := chosen_told(report.decoding):
            terminal.tell(f"{how}\n")
        outputs = [] if report.is_scored else [repr(trial.output) for trial in report.results]
        terminal.tell(terminal.columns(summary(report), outputs))
        if report.is_scored:
            terminal.tell(f"\n{text_proves(report)}")
    for trial in report.results:
        if trial.span and trial.span.overflow:
            terminal.tell(f"\n{trial.format}: {too_far(trial.format, trial.span.overflow)}")
        if trial.ended == "repetition":
            terminal.tell(f"\n{trial.format}: {ended_told(trial)}")
        own = [*held_instead(trial.coverage), *held_twice(trial.format, trial.footprint)]
        for sentence in [*own, *covers(trial.footprint, trial.coverage)]:
            terminal.tell(f"\n{trial.format}: {sentence}")
    for ended in report.failures:
        told = say("{format} failed: {reason}", format=ended.format, reason=ended.reason)
        terminal.tell(f"\n{told}")
    for ended in report.stopped:
        terminal.tell(f"\n{ended.format}: {ended.reason}")


if __name__ == "__main__":
    sys.exit(main())
