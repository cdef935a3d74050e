"""The smallest repair as a person asks for it: in the line, told now and then, stopped, in time."""

from dataclasses import replace

import pytest

from qdemo.engine.asking import ask
from qdemo.engine.engine import Engine
from qdemo.engine.mending import GivenUpError, Mended, mend
from qdemo.engine.shelf import sizes
from qdemo.engine.turns import Waiting, begun
from qdemo.settings import Settings
from qdemo.spec.report import Making
from qdemo.spec.sensitivity import Trying
from qdemo.spec.variant import Variant

REQUEST = ask("t5-tiny", ["int2-mse"], {"prompt": "What is 59 + 64?"}, 8)


@pytest.fixture(scope="module")
def engine():
    return Engine(Settings())


def told(engine, request=REQUEST, format="int2-mse", stopped=False):
    with begun() as run:
        if stopped:
            run.stop.set()
        return list(mend(engine, request, format, run))


def test_a_repair_is_told_while_it_is_looked_for_and_has_the_bytes_of_both(engine):
    *under_way, last = told(engine)
    assert isinstance(last, Mended)
    assert under_way
    assert all(isinstance(one, Making | Trying) for one in under_way)
    assert last.repair.answer == "123" != last.repair.before
    assert last.repair.is_smallest
    assert len(last.repair.modules) == 1
    variants = map(Variant.parse, ("int2-mse", last.repair.repaired))
    held = [one.footprint.total for one in sizes("t5-tiny", variants)]
    assert [last.before, last.after] == held
    assert last.after > last.before


def test_what_needs_no_repair_holds_what_it_held(engine):
    *_, last = told(engine, format="int8")
    assert not last.repair.is_needed
    assert last.before == last.after


def test_one_waits_for_ones_turn(engine):
    with engine.computing.place(), begun() as run:
        waiting = mend(engine, REQUEST, "int2-mse", run)
        assert next(waiting) == Waiting(1)
        run.stop.set()
        assert list(waiting) == []
    assert engine.computing.is_empty


def test_a_stop_ends_it(engine):
    assert told(engine, stopped=True) == []
    with begun() as run:
        seen = []
        for one in mend(engine, REQUEST, "int2-mse", run):
            seen.append(one)
            run.stop.set()
    assert len(seen) == 1
    assert engine.computing.is_empty


@pytest.mark.parametrize(
    ("format", "decoding", "why"),
    [
        ("bf16", {}, "another type"),
        ("int2~nothing=fp32", {}, "no such module"),
        ("int2-mse", {"temperature": 0.7}, "an answer is repaired that is greedy"),
    ],
)
def test_what_can_not_be_repaired_is_said(engine, format, decoding, why):
    request = replace(REQUEST, decoding=replace(REQUEST.decoding, **decoding))
    with pytest.raises(GivenUpError, match=why):
        told(engine, request, format)


def test_it_takes_no_longer_than_a_comparison_may():
    hasty = Engine(Settings(deadline_s=0))
    with pytest.raises(GivenUpError, match="stopped after 0 s, the longest here"):
        told(hasty)
    assert hasty.computing.is_empty
