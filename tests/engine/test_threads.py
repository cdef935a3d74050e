import os
from threading import Event, Thread, current_thread

import pytest
import torch

from qdemo.engine import threads


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def numbers(closed, count=4):
    """The number of threads at each step."""
    try:
        for _ in range(count):
            yield torch.get_num_threads()
    finally:
        closed.append(True)


def iter_of(values):
    yield from values


def in_a_thread(work):
    found = []
    thread = Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


def test_the_items_stay_the_same():
    assert list(threads.on_threads(1, (x for x in "abc"))) == ["a", "b", "c"]
    assert list(threads.on_threads(1, (x for x in ""))) == []


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_step_has_that_many_threads(count):
    closed = []
    assert list(threads.on_threads(count, numbers(closed))) == [count] * 4
    assert closed == [True]


def test_steps_in_different_threads_have_that_many_threads_too():
    items = threads.on_threads(3, numbers([]))
    seen = []
    for _ in range(4):
        torch.set_num_threads(2)
        seen.append(in_a_thread(lambda: next(items)))
    assert seen == [3] * 4


def test_whoever_asks_the_same_thread_computes():
    items = threads.on_threads(1, (current_thread().name for _ in range(3)))
    assert len({in_a_thread(lambda: next(items)) for _ in range(3)} - {current_thread().name}) == 1


def test_several_take_turns():
    one, other = (threads.on_threads(n, numbers([])) for n in (1, 2))
    assert [next(items) for _ in range(4) for items in (one, other)] == [1, 2] * 4


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_computes_too():
    assert list(threads.on_threads(1, numbers([]))) == [1] * 4  # so that there is a thread
    child = os.fork()
    if child == 0:
        os._exit(0 if list(threads.on_threads(1, iter_of("abc"))) == ["a", "b", "c"] else 1)
    assert os.waitpid(child, 0)[1] == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_computes_on_one_thread_whatever_it_is_asked_for():
    torch.set_num_threads(2)
    child = os.fork()
    if child == 0:
        found = [threads.for_size(10**9), torch.get_num_threads()]
        found += threads.on_threads(3, numbers([]))
        os._exit(0 if set(found) == {1} else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert torch.get_num_threads() == 2


def test_short_steps_are_handed_over_together(monkeypatch):
    taken = []
    steps = (taken.append(x) or x for x in range(3))
    monkeypatch.setattr(threads, "TOGETHER_S", 1000)
    assert next(threads.on_threads(1, steps)) == 0
    assert taken == [0, 1, 2]


def test_long_ones_each_alone(monkeypatch):
    taken = []
    monkeypatch.setattr(threads, "TOGETHER_S", -1)
    for item in threads.on_threads(1, (taken.append(x) or x for x in range(3))):
        assert taken[-1] == item


def test_once_it_is_stopped_there_is_no_more_of_what_is_handed_over_together(monkeypatch):
    monkeypatch.setattr(threads, "TOGETHER_S", 1000)
    stop, found = Event(), []
    for item in threads.on_threads(1, iter_of("abc"), stop):
        found.append(item)
        stop.set()
    assert found == ["a"]


def test_another_number_set_in_between_is_set_again():
    items = threads.on_threads(1, numbers([]))
    assert next(items) == 1
    torch.set_num_threads(2)
    assert next(items) == 1


def test_closing_it_early_closes_what_computes():
    closed = []
    items = threads.on_threads(1, numbers(closed))
    next(items)
    items.close()
    assert closed == [True]


def test_an_error_comes_through():
    def failing():
        yield 1
        raise ValueError("no such model")

    items = threads.on_threads(1, failing())
    assert next(items) == 1
    with pytest.raises(ValueError, match="no such model"):
        next(items)
    assert list(items) == []


def test_small_models_compute_on_one_thread_and_large_ones_on_all(monkeypatch):
    monkeypatch.setattr(threads, "_ALL", 7)
    sizes = (0, threads.SMALL - 1, threads.SMALL, 10**9)
    assert [threads.for_size(size) for size in sizes] == [1, 1, 7, 7]
