"""Memory at real size: python -m tests.bench.real_size.

The whole shapes of FLAN-T5-small and BLIP-base with random weights go through Compare in every
format, each model in a process of its own. Peak resident size may be the fp32 model, the largest
variant and 600 MB.
"""

import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from qdemo.ui.own_format import FORMATS
from tests.bench.memory import memory_of

AROUND = 600_000_000


def run(folder, task):
    """One comparison as the page makes it; the largest variant, and the formats that ran."""
    from qdemo.engine import heap
    from qdemo.engine.asking import ask
    from qdemo.engine.engine import ENGINE
    from qdemo.engine.turns import begun
    from qdemo.models.availability import ALLOWED, MODELS, allowed

    heap.keep_little()  # as the app does
    name, found = Path(folder).name, allowed(f"{task}:{folder}", {})
    for known in (MODELS, ALLOWED):
        known.update(found)
    given = {"prompt": "What is 59 + 64?", "picture": "scene:7"}
    with begun() as asked:
        *_, last = ENGINE.told(ask(name, FORMATS, given, max_tokens=16), asked)
    reference, *others = last.results
    for failure in last.failures:
        print("failed", failure.format, failure.reason, file=sys.stderr)
    largest = max(result.footprint.total for result in others)
    print(reference.footprint.total, largest, len(others), memory_of("self", "VmHWM"))


def main():
    # Not for the processes that are measured: the app has none of it.
    from tests.hub_checkpoints import BLIP, FLAN, write_blip_base, write_flan_t5_small

    writers = {FLAN: (write_flan_t5_small, "text2text"), BLIP: (write_blip_base, "captioning")}
    print(
        f"{'model':40}{'formats':>8}{'fp32, MB':>10}{'largest':>9}{'peak':>8}{'allowed':>9}{'s':>6}"
    )
    with TemporaryDirectory() as folder:
        for name, (write, task) in writers.items():
            write(Path(folder) / name.rpartition("/")[2])
            start = time.monotonic()
            command = [sys.executable, "-m", "tests.bench.real_size"]
            out = subprocess.run(
                [*command, f"{folder}/{name.rpartition('/')[2]}", task], text=True,
                stdout=subprocess.PIPE, check=True,
            ).stdout  # fmt: skip
            fp32, largest, count, held = map(int, out.split())
            allowed = fp32 + largest + AROUND
            took = time.monotonic() - start
            figures = f"{fp32 / 1e6:10.0f}{largest / 1e6:9.0f}{held / 1e6:8.0f}{allowed / 1e6:9.0f}"
            print(f"{name:40}{count:8}{figures}{took:6.0f}", flush=True)


if __name__ == "__main__":
    run(*sys.argv[1:]) if sys.argv[1:] else main()
