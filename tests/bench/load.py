"""Forty clients at once on the real app: python -m tests.bench.load.

Most ask for comparisons and check that each answer is that of their own input, computed alone
beforehand; some cancel, some hang up, some send garbage. Who is refused, as the line is full,
tries again. Printed is what came of it, beside one client alone on the same server. What the app
may keep of results is set so low that this is full before. The load comes twice: threads and
buffers of the first stay with the app, and a second has to add no more than its visitors' state.
"""

import random
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

CLIENTS = 40
ROUNDS = 4
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


def client(server):
    return Client(server.url, verbose=False, httpx_kwargs=DIRECT, analytics_enabled=False)


def compare(one, job, tally):
    """Until it is answered; the answer has to be that of this input, with all formats."""
    while True:
        running = one.submit(api_name="/compare", **job.asked)
        try:
            report = running.result()
        except Exception as error:
            if not is_full(error):
                return tally.add("lost", f"{type(error).__name__}: {error}")
            tally.add("refused, as the line was full, and said so")
            time.sleep(random.uniform(0.2, 1.0))
            continue
        if any("ahead" in told for told in running.outputs()):
            tally.add("place in the line told")
        same = report["input"] == job.shown and report["results"][0]["output"] == job.answer
        ran = [row["format"] for row in report["results"]] == ["fp32", *job.asked["formats"]]
        return tally.add("answered" if same and ran else "swapped", None if same else report)


def is_full(error):
    """Whether all places of the line, or of gradio's queue before it, were taken."""
    return any(word in str(error).lower() for word in ("places are taken", "queue is full"))


def honest(server, mine, tally):
    one = client(server)
    for job in mine:
        compare(one, job, tally)
    one.close()


def cancels(server, mine, tally):
    one = client(server)
    for job in mine:
        running = one.submit(api_name="/compare", **job.asked)
        time.sleep(random.uniform(0.0, 0.3))
        running.cancel()
        tally.add("cancelled")
    one.close()


def hangs_up(server, mine, tally):
    call = f"{server.url}gradio_api/call/compare"
    for job in mine:
        asked = job.asked
        data = [asked["model"], asked["formats"], asked.get("prompt", ""), None,
                asked.get("picture_name", ""), 64, True]  # fmt: skip
        answer = httpx2.post(call, json={"data": data}, **DIRECT)
        if answer.status_code == 200:
            event = answer.json()["event_id"]
            with httpx2.stream("GET", f"{call}/{event}", timeout=120, **DIRECT) as stream:
                next(stream.iter_raw(), None)
        tally.add("hung up")
        time.sleep(0.2)


def garbage(server, mine, tally):
    one = client(server)
    for i, bad in enumerate(BAD):
        while not refused(one, mine[i % ROUNDS].asked | bad, tally):
            time.sleep(random.uniform(0.2, 1.0))
    one.close()


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


def alone(server, tally):
    """Comparisons a second of one client at a time. As many visitors come as will in the load, so
    that what the app remembers of each is there before; and everything is warm afterwards."""
    visitors = [client(server) for _ in range(CLIENTS)]
    work = jobs(ALONE, seed=1)
    for i, visitor in enumerate(visitors):
        compare(visitor, work[i % ALONE], tally)
    start = time.monotonic()
    for job in work:
        compare(visitors[0], job, tally)
    took = time.monotonic() - start
    for visitor in visitors:
        visitor.close()
    return ALONE / took


def together(server, tally, seed):
    """The same of all clients at once."""
    work = jobs(CLIENTS * ROUNDS, seed)
    roles = [honest] * HONEST + [cancels] * CANCELS + [hangs_up] * HANGS_UP + [garbage] * GARBAGE
    threads = [
        threading.Thread(target=role, args=(server, work[i * ROUNDS : (i + 1) * ROUNDS], tally))
        for i, role in enumerate(roles)
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


def line(what, value):
    print(f"{what:52}{value}", flush=True)


def main():
    tally = Tally()
    with serving(QDEMO_RESULT_CACHE_MB="3") as server:
        before_load = alone(server, tally)
        at_first, files = server.settled(), server.files()
        together(server, Tally(), seed=5)
        memory = server.settled()
        speed = together(server, tally, seed=2)
        compare(client(server), jobs(1, seed=4)[0], tally)  # it still does
        after = server.settled()
        line("clients at once", CLIENTS)
        for what, count in sorted(tally.counts.items()):
            line(what, count)
        line("comparisons a second, one client alone", f"{before_load:.2f}")
        line("comparisons a second, all together", f"{speed:.2f} ({speed / before_load:.2f})")
        line("resident memory before any load, MB", f"{at_first / 1e6:.0f}")
        line("resident memory after a first load, MB", f"{memory / 1e6:.0f}")
        line("resident memory after this one, MB", f"{after / 1e6:.0f} ({after / memory - 1:+.1%})")
        line("files left behind", len(server.files() - files))
        page = httpx2.get(server.url, **DIRECT).status_code
        line("the page still answers", page)
        line("lines in the log", len(server.said().splitlines()))
        for fault in tally.faults[:10]:
            print(fault)
        if "Traceback" in server.said():
            print(server.said()[-3000:])


if __name__ == "__main__":
    main()
