from threading import Thread

import pytest
import torch

from qdemo.ui import threads


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


def test_small_models_compute_on_one_thread_and_large_ones_on_all(monkeypatch):
    monkeypatch.setattr(threads, "_ALL", 7)
    sizes = (0, threads.SMALL - 1, threads.SMALL, 10**9)
    assert [threads.for_size(size) for size in sizes] == [1, 1, 7, 7]
