import gc
import os
import weakref

import pytest

from qdemo.engine import heap


@pytest.fixture(autouse=True)
def _nothing_stays_frozen():
    yield
    gc.unfreeze()


def test_what_is_built_meanwhile_is_taken_for_good():
    gc.unfreeze()
    with heap.for_good():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0


def test_after_an_error_garbage_is_looked_for_again():
    with pytest.raises(ValueError, match="no port"), heap.for_good():
        raise ValueError("no port")
    assert gc.isenabled()


def test_what_was_thrown_away_meanwhile_is_freed_in_the_end():
    class Thing:
        pass

    gone = []
    with heap.for_good():
        thing = Thing()
        thing.itself, thing.end = thing, weakref.finalize(thing, gone.append, True)
        del thing
    gc.collect()
    assert not gone  # it was taken for good
    heap.freeze()
    assert gone


def test_few_compiled_products_are_kept_unless_the_host_says_otherwise(monkeypatch):
    for name in heap._COMPILED:
        monkeypatch.setenv(name, "7")
    monkeypatch.delenv(heap._COMPILED[0])
    heap.keep_little()
    assert [os.environ[name] for name in heap._COMPILED] == [heap._SHAPES, "7"]


def test_what_refers_to_itself_is_let_go_of_at_intervals(monkeypatch):
    """It looks through all that is held, which takes long where much is."""
    now, runs = [100.0], []

    def collect():
        runs.append(now[0])
        now[0] += 1

    monkeypatch.setattr(heap.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(heap.gc, "collect", collect)
    collection = heap._Collection()
    for _ in range(100):
        collection.run()
        now[0] += 1
    assert runs == [100, 121, 142, 163, 184]


@pytest.mark.parametrize("library", [("musl", "1.2"), ("", ""), ("glibc", "3.0")])
def test_the_c_library_is_left_alone_where_it_is_another(monkeypatch, library):
    called = []
    monkeypatch.setattr(heap.platform, "libc_ver", lambda: library)
    monkeypatch.setattr(heap.ctypes, "CDLL", lambda _: called.append(True))
    heap._is_known.cache_clear()
    heap.give_back()
    heap._is_known.cache_clear()
    assert called == []
