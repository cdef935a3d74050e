"""torch and transformers are imported once, and whoever needs them waits; each in a new Python."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def printed(script):
    command = [sys.executable, "-W", "ignore", "-c", script]
    run = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout.split("\n")[:-1]


def test_many_ask_at_once_and_each_finds_them_whole():
    script = """
import sys, threading
from concurrent.futures import ThreadPoolExecutor
from qdemo.engine import first

def ask(_):
    first.libraries()
    return all(name in sys.modules for name in ("torch", "transformers.models.t5.modeling_t5"))

first.begin()
print("first import" in {thread.name for thread in threading.enumerate()})
with ThreadPoolExecutor(8) as pool:
    print(all(pool.map(ask, range(8))))
"""
    assert printed(script) == ["True", "True"]


FAILS = """
import sys
from qdemo.engine import first

sys.modules["torch"] = None  # importing it fails
for _ in range(2):
    try:
        first.libraries()
    except ImportError as error:
        print(error.name)
"""


def test_an_error_is_raised_to_everyone():
    assert printed(FAILS) == ["torch", "torch"]


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="there are no forks here")
def test_a_fork_begins_with_all_of_it_or_nothing():
    script = """
import os, sys
from qdemo.engine import first

def child():
    if os.fork() == 0:
        print("torch" in sys.modules, flush=True)
        first.libraries()
        print(sys.modules["torch"].tensor([1, 2]).tolist(), flush=True)
        os._exit(0)
    os.wait()

child()
first.begin()
child()
"""
    assert printed(script) == ["False", "[1, 2]", "True", "[1, 2]"]
