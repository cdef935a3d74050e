"""All that is measured of speed, in one table: python -m tests.bench [--quick] [--json].

Ways of one task take turns in one process; `python -m tests.bench.page`, `load`, `soak` and
`real_size` beside this file measure the page, and what it holds under load.
"""

import argparse
import json
import logging
import sys
import time
import warnings

import torch

from tests.bench import tokens, weights, whole
from tests.bench.table import as_document, as_markdown, machine
from tests.bench.timing import bandwidth


def lines(quick):
    """Each line as soon as it is known."""
    rounds = 3 if quick else 7
    speed = bandwidth()
    yield from tokens.generation(speed, rounds)
    yield from weights.quantizing(speed, rounds)
    yield from weights.errors(speed, rounds)
    yield from weights.logits(rounds)
    yield from whole.comparison(rounds)
    if not quick:
        yield from whole.loading()
        yield from tokens.growth(rounds)
        yield from whole.formats(rounds)


def main():
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="the short ones, below two minutes")
    parser.add_argument("--json", action="store_true", help="as JSON instead of a table")
    asked = parser.parse_args()
    warnings.simplefilter("ignore")  # of the peers
    logging.disable(logging.WARNING)
    start = time.monotonic()
    found = []
    for line in lines(asked.quick):
        print(f"{line.task}: {line.how}, {1000 * line.seconds:.0f} ms", file=sys.stderr)
        found.append(line)
    told = machine(bandwidth())
    if asked.json:
        print(json.dumps(as_document(found, told), indent=2))
    else:
        print(as_markdown(found))
        print("\n" + ", ".join(f"{name}: {value}" for name, value in told.items()))
    print(f"{time.monotonic() - start:.0f} s in all", file=sys.stderr)


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
