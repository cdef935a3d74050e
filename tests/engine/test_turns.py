import threading
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdemo.engine import turns
from qdemo.engine.turns import FullError, Line, Waiting


def test_first_come_first_served():
    line = Line(places=2)
    with line.place() as second:
        with line.place() as third:
            assert (second.ahead(), third.ahead()) == (0, 1)
        with line.place() as last:
            assert last.ahead() == 1
    with line.place() as alone:
        assert alone.ahead() == 0


def test_one_is_served_and_as_many_wait_as_there_are_places():
    line = Line(places=2)
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(line.place())
        with pytest.raises(FullError, match="all 2 places are taken; try again in about 1 s"):
            held.enter_context(line.place())
    with line.place() as place:
        assert place.ahead() == 0


def test_a_place_is_left_whatever_ends_it():
    line = Line(places=1)
    with pytest.raises(ZeroDivisionError), line.place():
        1 / 0  # noqa: B018
    with line.place() as place:
        assert place.ahead() == 0


@given(st.lists(st.integers(0, 9), max_size=30))
def test_whoever_leaves_the_others_keep_their_order(leaving):
    line, held = Line(places=9), {}
    for who in range(10):
        held[who] = line.place()
        held[who] = (held[who], held[who].__enter__())
    waiting = list(range(10))
    for who in leaving:
        if who in held:
            held.pop(who)[0].__exit__(None, None, None)
            waiting.remove(who)
        assert [held[who][1].ahead() for who in waiting] == list(range(len(waiting)))


def test_who_is_refused_is_told_to_come_again_when_half_have_had_their_turn(monkeypatch):
    line, now = Line(places=4), [0.0]
    monkeypatch.setattr(turns.time, "monotonic", lambda: now[0])
    for _ in range(40):  # each takes 7 s
        with line.place():
            now[0] += 7
    with ExitStack() as held:
        for _ in range(5):
            held.enter_context(line.place())
        with pytest.raises(FullError) as refused:
            held.enter_context(line.place())
        assert (refused.value.places, refused.value.seconds) == (4, 14)


def test_only_whose_turn_it_is_is_woken():
    line, first, woken = Line(places=2), threading.Event(), threading.Event()

    def hold():
        with line.place():
            woken.set()
            first.wait(10)

    holding = threading.Thread(target=hold)
    holding.start()
    assert woken.wait(10)
    with line.place() as second, line.place() as third:
        assert not second.turn.is_set()
        first.set()
        assert second.turn.wait(10)
        assert (second.ahead(), third.ahead(), third.turn.is_set()) == (0, 1, False)
    holding.join()


def test_whose_turn_it_becomes_goes_on_at_once(monkeypatch):
    """Without another look, which here is never taken."""
    monkeypatch.setattr(turns, "_LOOKED_UP_S", 1000)
    line, told = Line(places=1), []
    with turns.begun() as run, ExitStack() as held:
        held.enter_context(line.place())
        with run.turn_in(line) as waiting:
            told.append(next(waiting))
            threading.Timer(0.05, held.close).start()
            told += waiting
    assert told == [Waiting(1)]


def test_a_run_is_told_its_place_and_leaves_the_line_when_it_is_stopped():
    line = Line(places=3)
    with line.place(), line.place(), turns.begun() as run, run.turn_in(line) as waiting:
        assert next(waiting) == Waiting(2)
        turns.stop(run.number)
        assert list(waiting) == []
        assert run.is_stopped
    with line.place() as place:
        assert place.ahead() == 0


def test_a_run_whose_turn_it_is_waits_for_nobody():
    with turns.begun() as run, run.turn_in(Line(places=0)) as waiting:
        assert list(waiting) == []
        assert not run.is_stopped


def test_who_waits_is_told_now_and_then_that_nothing_has_moved(monkeypatch):
    """So that gradio finds out whether anybody still looks."""
    monkeypatch.setattr(turns, "_TOLD_S", 0.01)
    monkeypatch.setattr(turns, "_LOOKED_UP_S", 0.01)
    line = Line(places=1)
    with line.place(), turns.begun() as run, run.turn_in(line) as waiting:
        assert [next(waiting) for _ in range(3)] == [Waiting(1)] * 3


def test_only_who_knows_a_run_s_number_stops_it():
    with turns.begun() as one, turns.begun() as other:
        assert one.number != other.number
        assert len(one.number) > 20
        turns.stop("")
        turns.stop(one.number[:-1])
        assert not one.is_stopped
        turns.stop(one.number)
        assert (one.is_stopped, other.is_stopped) == (True, False)
    turns.stop(one.number)  # it is over
    assert not one.is_stopped
