"""A comparison on a Space that lends a GPU for each call, to a fork: it comes to its end, with the
same figures, and what is worth keeping is kept where the fork can't take it along."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")


@dataclass(frozen=True)
class Ran:
    """What the script has told, and what happened meanwhile, by what was asked for then."""

    told: dict
    notes: list

    def during(self, number):
        """What happened after that question, and before the next."""
        asked = [i for i, note in enumerate(self.notes) if note["what"] == "asked"]
        return self.notes[asked[number] + 1 : [*asked, None][number + 1]]


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Runs the script on a Space that lends GPUs ("lent", or "kept" where its forks live on), and
    elsewhere ("here")."""
    known = {}

    def run(what):
        if what not in known:
            known[what] = _run(what, tmp_path_factory.mktemp("lent") / "notes")
        return known[what]

    return run


SCRIPT = """
import sys
from tests.engine import spaces_stand_in
sys.modules["spaces"] = None if sys.argv[1] == "here" else spaces_stand_in  # before qdemo
from tests.engine.lent_script import main
main(*sys.argv[1:])
"""


def _run(what, file):
    command = [sys.executable, "-W", "ignore", "-c", SCRIPT, what, str(file)]
    environment = {key: value for key, value in os.environ.items() if key != "OMP_NUM_THREADS"}
    run = subprocess.run(
        command, capture_output=True, text=True, cwd=ROOT, timeout=180, env=environment
    )
    assert run.returncode == 0, run.stderr
    return Ran(json.loads(run.stdout), [json.loads(line) for line in file.read_text().splitlines()])


def timeless(document):
    """The document without its times."""
    results = [
        {key: value for key, value in result.items() if key != "computed" and key[-3:] != "_ms"}
        for result in document["results"]
    ]
    return {**document, "results": results, "machine": None, "computed": None}


LENT = ("lent", "kept")
ASKED = ("first", "again", "more", "stopped", "after")


@pytest.mark.parametrize("what", LENT)
@pytest.mark.parametrize("asked", ASKED)
def test_the_figures_are_the_same_as_elsewhere(ran, what, asked):
    assert (ran(what).told["lent"], ran("here").told["lent"]) == (True, False)
    if (what, asked) != ("kept", "after"):  # what failed there has been computed here
        assert timeless(ran(what).told[asked]) == timeless(ran("here").told[asked])


@pytest.mark.parametrize("what", LENT)
def test_a_comparison_comes_to_its_end_in_a_fork(ran, what):
    report = ran(what).told["first"]
    assert [result["output"] for result in report["results"]] == ["68"] * 3
    assert [failure["format"] for failure in report["failures"]] == ["int8-g80"]
    layers = [note for note in ran(what).notes if note["what"] == "layer"]
    assert layers
    assert all(note["forked"] for note in layers)
    assert not any(note["forked"] for note in ran("here").notes)


@pytest.mark.parametrize("what", LENT)
def test_a_fork_computes_on_one_thread(ran, what):
    """Others would be waited for that are not there."""
    assert [note["more"] for note in ran(what).notes if note["what"] == "products"] > [0]
    layers = [note for note in ran(what).notes if note["what"] == "layer"]
    assert {note["torch"] for note in layers} == {1}
    assert len({note["all"] for note in layers}) == 1  # no others have begun
    assert ran(what).told["first"]["machine"]["threads"] == 1


@pytest.mark.parametrize("what", LENT)
def test_the_model_is_loaded_once_and_not_in_a_fork(ran, what):
    loads = [note for note in ran(what).notes if note["what"] == "load"]
    assert [note["forked"] for note in loads] == [False]


@pytest.mark.parametrize("what", LENT)
def test_what_was_computed_in_a_fork_is_kept(ran, what):
    assert ran(what).during(0)
    assert ran(what).during(1) == []  # nothing is computed
    assert ran(what).told["again"]["kept"] == ["fp32", "int8", "bf16"]
    assert ran(what).told["more"]["kept"] == ["fp32", "bf16"]


def test_what_is_kept_needs_no_gpu(ran):
    """All but the second question have one, each in a fork of its own."""
    assert ran("lent").told["forks"] == len(ASKED) - 1 + len(["failing"])
    assert ran("kept").told["forks"] == 1


@pytest.mark.parametrize("what", LENT)
def test_a_stop_ends_what_the_fork_does(ran, what):
    report = ran(what).told["stopped"]
    assert [result["format"] for result in report["results"]] == ["fp32"]
    assert [one["format"] for one in report["stopped"]] == ["int4", "int3"]
    assert ran(what).told["ended"]
    assert [result["format"] for result in ran(what).told["after"]["results"]] == ["fp32", "int2"]


def test_an_error_that_nobody_has_thought_of_comes_through(ran):
    assert ran("lent").told["failing"] == "WorkerError('LookupError')"
