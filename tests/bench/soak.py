"""Three hundred comparisons one after the other: python -m tests.bench.soak.

Printed is the memory that the app holds, after the first thirty and every thirty more. What it
may keep of results is set so low that this is full by then; by default it grows to 200 MB.
"""

import sys

from tests.bench.load import Tally, compare, jobs
from tests.bench.server import serving
from tests.bench.visitor import Visitor

COUNT, EVERY = 300, 30


def main(count=COUNT):
    tally = Tally()
    with serving(QDEMO_RESULT_CACHE_MB="3") as server:
        one, first, held, before = Visitor(server.url), None, 0, server.files()
        print(f"{'comparisons':>12}{'resident, MB':>14}{'since the first 30':>20}")
        for done, job in enumerate(jobs(count, seed=3), 1):
            compare(one, job, tally)
            if done % EVERY == 0:
                held = server.settled()
                first = first or held
                print(f"{done:12}{held / 1e6:14.0f}{held / first - 1:20.1%}", flush=True)
        print(
            f"answered {tally.counts['answered']}, files left behind {len(server.files() - before)}"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
