"""The command `evaluate`: many inputs in several formats, with what they come to."""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from qdemo import listing
from qdemo.commands import bring, compute_on, file, write_over
from qdemo.spec.evidence import HELD_OUT
from qdemo.spec.messages import say
from qdemo.spec.request import DEFAULT_TOKENS, DEVICES
from qdemo.views import terminal

if TYPE_CHECKING:
    from qdemo.engine.datasets import DataSet
    from qdemo.engine.evaluation import Evaluation, Progress
    from qdemo.engine.trials import Trials
    from qdemo.spec.evidence import Evidence

FORMATS = ("fp16", "bf16", "int8", "int4-g64", "nf4-g64")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to those there are."""
    parser = commands.add_parser("evaluate", help=say("accuracy, flips and KL over many inputs"))
    named = say("a name that `models` lists, OWNER/NAME on the Hub, or a folder")
    parser.add_argument("model", help=named, type=listing.as_typed)
    data = say("`heldout`, a model's own items, or a file: txt, jsonl, csv, or pictures in a zip")
    parser.add_argument("--data", default=HELD_OUT, metavar="FILE", help=data)
    as_text = say("score the file as one text, in windows (perplexity)")
    parser.add_argument("--as-text", action="store_true", help=as_text)
    parser.add_argument("--formats", nargs="+", default=FORMATS, metavar="FORMAT")
    parser.add_argument(
        "--limit", type=int, metavar="N", help=say("so many items, drawn by --seed")
    )
    parser.add_argument("--seed", type=int, default=0, metavar="S", help=say("the order of items"))
    parser.add_argument("--max-tokens", type=int, default=DEFAULT_TOKENS, metavar="N")
    parser.add_argument("--device", choices=DEVICES, help=say("what computes (QDEMO_DEVICE)"))
    parser.add_argument("--json", metavar="FILE", help=say("write all that was measured"))
    resume = say("keep each trial in a file as it is through, and go on with what is there")
    parser.add_argument("--resume", metavar="FILE", help=resume)
    parser.set_defaults(run=evaluate)


def evaluate(options: argparse.Namespace) -> None:
    """Evaluate a model's formats, and tell what came out."""
    from qdemo.engine.evaluation import ask
    from qdemo.spec.evidence_file import as_text

    compute_on(options.device)
    found = _data(options)
    asked = ask(
        options.model, list(options.formats), found, options.limit, options.seed,
        options.max_tokens,
    )  # fmt: skip
    with file(options.json) as write:  # before anything slow
        bring(options.model)
        evidence = _told(asked, _trials(options.resume, asked))
        _report(evidence)
        write(as_text(evidence))


def _data(options: argparse.Namespace) -> DataSet:
    from qdemo.engine.asking import parse_model
    from qdemo.engine.datasets import from_file, held_out

    entry = parse_model(options.model)
    if options.data == HELD_OUT:
        return held_out(entry)
    path = Path(options.data)
    return from_file(entry, path, path.name, options.as_text)


def _trials(name: str | None, asked: Evaluation) -> Trials | None:
    from qdemo.engine.evaluating import depends_on
    from qdemo.engine.trials import Written

    if name is None:
        return None
    try:
        return Written(Path(name), depends_on(asked))
    except OSError as error:
        told = say("can't write {file}: {why}", file=name, why=error.strerror)
        raise ValueError(told) from None


def _told(asked: Evaluation, trials: Trials | None) -> Evidence:
    """The end of it; how far it is stands in a line that is written over."""
    from qdemo.engine.evaluating import judged
    from qdemo.engine.evaluation import Progress
    from qdemo.engine.turns import begun

    with begun() as run, closing(judged(asked, run, trials)) as steps:
        last = None
        for told in steps:
            if isinstance(told, Progress):
                last = told
                write_over(_line(told))
    write_over("")
    assert last is not None  # nobody stops it before it begins
    return last.evidence


def _line(at: Progress) -> str:
    from qdemo.views.evidence import progress_told
    from qdemo.views.finding import making

    told = making(at.making) if at.making else ""
    return progress_told(at.format, at.done, at.total, at.seconds_left, at.yielding, told)


def _report(evidence: Evidence) -> None:
    from qdemo.views.evidence import rules, tasks_table, verdicts
    from qdemo.views.evidence_points import Findings
    from qdemo.views.evidence_reading import reading

    found = Findings(evidence)
    for table in filter(None, (verdicts(found), tasks_table(found))):
        terminal.tell(f"{table.caption}\n\n{terminal.columns(table)}\n")
    terminal.tell(*filter(None, (reading(found), rules(evidence))))
