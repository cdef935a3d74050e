"""Forty clients at once on the real app: python -m tests.bench.load [runs].

Most ask for comparisons and check that each answer is that of their own input, computed alone
beforehand; some cancel, some hang up, some send garbage. Who is refused, as the line is full,
comes again when the app said. Printed is what came of it, beside one client alone on the same
server just before and after; of all runs the median, the least and the most. What the app may keep
of results is set so low that this is full before. Threads and buffers of the first load stay with
the app, and the others have to add no more than their visitors' state.

The clients share the app's cores, so most are of `visitor.py`, which cost little; those who cancel
and those who send garbage are gradio's own.
"""

import random
import statistics
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import httpx2
from gradio_client import Client
from gradio_client.exceptions import AppError

import qdemo
from qdemo.models.pictures import named_picture
from tests.bench.server import DIRECT, serving
from tests.bench.visitor import RefusedError, Visitor

RUNS = 5
CLIENTS = 40
ROUNDS = 2
ALONE = 12
HONEST, CANCELS, HANGS_UP, GARBAGE = 28, 4, 4, 4
FORMATS = (["int8"], ["bf16", "int4-g64"], ["fp16", "int8", "int3"], ["int8+emb"])
BAD = (
    {"model": "nobody/nothing"}, {"formats": ["int9"]}, {"formats": []}, {"max_tokens": -1},
    {"model": "t5-tiny", "prompt": " "}, {"model": "t5-tiny", "prompt": "x" * 100_000},
    {"max_tokens": "many"}, {"model": None}, {"formats": [{}, 3]}, {"max_tokens": 10**30},
    {"picture_name": "../../etc/passwd", "model": "blip-tiny"}, {"formats": "x" * 10**5},
)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """A comparison and the answer of fp32, known beforehand."""

    asked: dict
    answer: str
    shown: str


@dataclass
class Tally:
    """What happened, counted by all threads."""

    counts: Counter = field(default_factory=Counter)
    faults: list = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, what, fault=None):
        with self.lock:
            self.counts[what] += 1
            if fault:
                self.faults.append(f"{what}: {fault}")


def jobs(count, seed):
    """Distinct comparisons of both models."""
    draw = random.Random(seed)
    return [_job(i, draw) for i in range(count)]


def _job(i, draw):
    formats = FORMATS[i % len(FORMATS)]
    if i % 3 == 2:
        name = f"scene:{draw.randrange(10**6)}"
        asked = {"model": "blip-tiny", "picture_name": name, "formats": formats}
        given = named_picture(name)
    else:
        given = f"What is {draw.randrange(10, 99)} + {draw.randrange(10, 99)}?"
        asked = {"model": "t5-tiny", "prompt": given, "formats": formats}
    *_, last = qdemo.compare(asked["model"], given, [], 64)
    return Job(asked | {"fresh": True}, last.report.results[0].output, last.report.input)


def compare(one, job, tally):
    """Until it is answered; the answer has to be that of this input, with all formats."""
    while True:
        try:
            *told, report = one.compare(job.asked)
        except RefusedError as refusal:
            if refusal.seconds is None:
                return tally.add("lost", refusal)
            tally.add("refused, as the line was full, and told when to come again")
            time.sleep(refusal.seconds * random.uniform(0.8, 1.2))
            continue
        except Exception as error:
            return tally.add("lost", f"{type(error).__name__}: {error}")
        if any("ahead" in known for known in told):
            tally.add("place in the line told")
        same = report["input"] == job.shown and report["results"][0]["output"] == job.answer
        ran = [row["format"] for row in report["results"]] == ["fp32", *job.asked["formats"]]
        return tally.add("answered" if same and ran else "swapped", None if same else report)


def honest(one, mine, tally):
    for job in mine:
        compare(one, job, tally)


def cancels(one, mine, tally):
    for job in mine:
        running = one.submit(api_name="/compare", **job.asked)
        time.sleep(random.uniform(0.0, 0.3))
        running.cancel()
        tally.add("cancelled")
    one.close()


def hangs_up(one, mine, tally):
    """Once there is a first word of an answer, or a refusal."""
    for job in mine:
        one.hang_up(job.asked)
        tally.add("hung up")
        time.sleep(0.2)


def garbage(one, mine, tally):
    for i, bad in enumerate(BAD):
        while not refused(one, mine[i % ROUNDS].asked | bad, tally):
            time.sleep(random.uniform(0.2, 1.0))
    one.close()


def is_full(error):
    """Whether all places of the line, or of gradio's queue before it, were taken."""
    return any(word in str(error).lower() for word in ("places are taken", "queue is full"))


def refused(one, asked, tally):
    """Whether it met the app's check, and not a full line."""
    try:
        one.predict(api_name="/compare", **asked)
    except Exception as error:
        said = str(error)
        if is_full(error):
            return False
        plain = isinstance(error, AppError) and "\n" not in said and "Traceback" not in said
        tally.add("garbage refused in a sentence" if plain else "garbage", None if plain else said)
        return True
    tally.add("garbage taken", f"{asked!r:.200}")
    return True


def gradio_client(server):
    return Client(server.url, verbose=False, httpx_kwargs=DIRECT, analytics_enabled=False)


def alone(server, tally, work):
    """The seconds of one client."""
    one = Visitor(server.url)
    start = time.monotonic()
    for job in work:
        compare(one, job, tally)
    return time.monotonic() - start


ROLES = (
    (honest, HONEST, lambda server: Visitor(server.url)),
    (cancels, CANCELS, gradio_client),
    (hangs_up, HANGS_UP, lambda server: Visitor(server.url)),
    (garbage, GARBAGE, gradio_client),
)


def together(server, tally, work):
    """The same of all clients at once, who have opened the page before."""
    roles = [(role, come(server)) for role, count, come in ROLES for _ in range(count)]
    threads = [
        threading.Thread(target=role, args=(one, work[i * ROUNDS : (i + 1) * ROUNDS], tally))
        for i, (role, one) in enumerate(roles)
    ]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads[:HONEST]:
        thread.join()
    speed = HONEST * ROUNDS / (time.monotonic() - start)
    for thread in threads[HONEST:]:
        thread.join()
    return speed


@dataclass(frozen=True)
class Found:
    """Of one run: comparisons a second, and bytes that the app holds after it."""

    alone: float
    together: float
    bytes: int

    @property
    def share(self):
        return self.together / self.alone


def measured(server, tally, work):
    """All clients at once, and one client alone: half before and half after, so that a machine that
    grows slower is none of the load's doing."""
    first, second = work[: ALONE // 2], work[ALONE // 2 : ALONE]
    before = alone(server, tally, first)
    speed = together(server, tally, work)
    one = ALONE / (before + alone(server, tally, second))
    found = Found(one, speed, server.settled())
    print(f"a run: {one:.2f}, {speed:.2f} ({found.share:.2f})", flush=True)
    return found


def line(what, value):
    print(f"{what:62}{value}", flush=True)


def spread(values):
    """The median, the least and the most."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main(count=RUNS):
    tally, work = Tally(), jobs(CLIENTS * ROUNDS, seed=1)
    with serving(QDEMO_RESULT_CACHE_MB="3") as server:
        alone(server, tally, work[:ALONE])
        at_first, files = server.settled(), server.files()
        runs = [measured(server, tally, work) for _ in range(count)]
        compare(Visitor(server.url), work[0], tally)  # it still does
        line("clients at once", CLIENTS)
        for what, counted in sorted(tally.counts.items()):
            line(what, counted)
        line("comparisons a second, one client alone", spread([run.alone for run in runs]))
        line("comparisons a second, all together", spread([run.together for run in runs]))
        line("of one client alone", spread([run.share for run in runs]))
        line("resident memory before any load, MB", f"{at_first / 1e6:.0f}")
        for number, run in enumerate(runs, 1):
            line(f"resident memory after load {number}, MB", f"{run.bytes / 1e6:.0f}")
        line("since the first load", f"{runs[-1].bytes / runs[0].bytes - 1:+.1%}")
        line("files left behind", len(server.files() - files))
        page = httpx2.get(server.url, **DIRECT).status_code
        line("the page still answers", page)
        line("lines in the log", len(server.said().splitlines()))
        for fault in tally.faults[:10]:
            print(fault)
        if "Traceback" in server.said():
            print(server.said()[-3000:])


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
