"""All that is measured of speed: python -m tests.bench [--quick] [--json] [--write] [PART ...].

The parts are the table, and how time grows with the model's size, the tokens, the formats and the
rows of activations; without any, all of them. `--write` puts what was measured into README.md
beside this file, in the section of this machine. `python -m tests.bench.page`, `load`, `soak` and
`real_size` measure the page, and what it holds under load.
"""

import argparse
import datetime
import json
import logging
import sys
import time
import warnings
from dataclasses import asdict

import torch

from tests.bench import machine, products, tokens, weights, whole
from tests.bench.table import as_markdown, goals
from tests.bench.timing import TALLY, bandwidth
from tests.bench.written import README, Measured, written

ROUNDS, FEWER = 7, 3
GROWTH = {
    "size": tokens.by_size,
    "tokens": tokens.by_tokens,
    "formats": whole.by_formats,
    "rows": products.by_rows,
}


def table(speed, rounds, quick):
    """Each line as soon as it is known."""
    yield from tokens.generation(speed, rounds)
    yield from weights.quantizing(speed, rounds)
    yield from weights.errors(speed, rounds)
    yield from weights.logits(rounds)
    yield from whole.comparison(rounds)
    if not quick:
        yield from whole.loading()


def measured_lines(speed, rounds, quick):
    found = []
    for line in table(speed, rounds, quick):
        took = line.absent if line.seconds is None else f"{1000 * line.seconds:.0f} ms"
        print(f"{line.task}: {line.how}, {took}", file=sys.stderr)
        found.append(line)
    return found


def measured_growth(names):
    """The tables of the parts that are asked for."""
    found = []
    for name in names:
        print(f"growth: {name}", file=sys.stderr)
        found.append(GROWTH[name](FEWER))
    return found


def options():
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parts = ("table", *GROWTH)
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(parts))
    parser.add_argument("--quick", action="store_true", help="the table alone, in fewer rounds")
    parser.add_argument("--rounds", type=int, help="of the table's lines")
    parser.add_argument("--json", action="store_true", help="as JSON instead of tables")
    parser.add_argument("--write", action="store_true", help="into tests/bench/README.md too")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(parts):
        parser.error(f"{', '.join(sorted(unknown))}: expected {', '.join(parts)}")
    asked.parts = asked.parts or (["table"] if asked.quick else list(parts))
    asked.rounds = asked.rounds or (FEWER if asked.quick else ROUNDS)
    return asked


def main():
    asked = options()
    warnings.simplefilter("ignore")  # of the peers
    logging.disable(logging.WARNING)
    start = time.monotonic()
    here = machine.this(bandwidth())
    lines = []
    if "table" in asked.parts:
        lines = measured_lines(here.bandwidth, asked.rounds, asked.quick)
    grown = measured_growth([part for part in asked.parts if part in GROWTH])
    if asked.json:
        print(json.dumps(as_document(here, lines, grown), indent=2))
    else:
        print(as_text(here, lines, grown))
    if asked.write:
        write(here, lines, grown)
    print(f"{TALLY}; {time.monotonic() - start:.0f} s in all", file=sys.stderr)


def as_document(here, lines, grown):
    told = [asdict(line) | {"reached": line.reached} for line in lines]
    return {"machine": asdict(here), "lines": told, "growth": [asdict(each) for each in grown]}


def as_text(here, lines, grown):
    parts = [f"{here.heading}: {here.told()}"]
    parts += [about(lines), as_markdown(lines)] if lines else []
    return "\n\n".join([*parts, *(f"{each.title}\n\n{each}" for each in grown)])


def about(lines):
    return f"{goals(lines)} {TALLY}."


def write(here, lines, grown):
    """The tables into the README."""
    grown = {each.title: str(each) for each in grown}
    table = as_markdown(lines) if lines else ""
    measured = Measured(table, f"{here.told()} {about(lines)}", grown)
    today = datetime.date.today().isoformat()
    README.write_text(written(README.read_text(), here.heading, today, measured))


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
