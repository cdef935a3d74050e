"""What takes a while goes on between comparisons, one at a time, and ends where it is stopped."""

import threading
import time

import pytest

from qdemo.engine.between import between
from qdemo.engine.engine import ENGINE
from qdemo.engine.turns import Waiting, begun, stop
from qdemo.spec.request import InputError


def counting(end=3):
    yield from range(end)


def test_all_that_is_told_comes_in_its_order():
    with begun() as run:
        assert list(between("t5-tiny", counting, run, 60)) == [0, 1, 2]
    assert ENGINE.judging.is_empty


def test_it_waits_for_its_turn_and_says_how_long():
    with ENGINE.judging.place() as first, begun() as run:
        told = between("t5-tiny", counting, run, 60)
        assert next(told) == Waiting(1)
        assert not first.ahead()
        stop(run.number)
        assert list(told) == []  # it left the line


def test_a_comparison_goes_first():
    """While somebody compares there is no further step."""
    with begun() as run:
        told = between("t5-tiny", counting, run, 60)
        assert next(told) == 0
        found = []
        with ENGINE.computing.place():
            thread = threading.Thread(target=lambda: found.extend(told))
            thread.start()
            time.sleep(0.5)
            assert found == []
        thread.join()
    assert found == [1, 2]


def test_a_stop_ends_it():
    with begun() as run:
        told = between("t5-tiny", lambda: counting(10**9), run, 60)
        assert next(told) == 0
        stop(run.number)
        assert sum(1 for _ in told) < 10**6


def failing(error):
    yield 0
    raise error


@pytest.mark.parametrize("error", [ValueError("no such layer"), ArithmeticError("no such layer")])
def test_what_can_not_be_is_said(error):
    with begun() as run, pytest.raises(InputError, match="no such layer") as told:
        list(between("t5-tiny", lambda: failing(error), run, 60))
    assert told.value.field == "formats"
    assert ENGINE.judging.is_empty


def test_it_takes_no_longer_than_the_host_allows():
    with begun() as run, pytest.raises(InputError, match="the longest here"):
        list(between("t5-tiny", lambda: counting(10**9), run, 0))
