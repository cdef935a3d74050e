import gc
import os
import weakref
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdemo import Variant
from qdemo.engine.keeping import Asked, Keeping
from qdemo.engine.memory import Memory
from qdemo.settings import Settings
from qdemo.spec.request import Request

MOST = 10
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("get"), st.integers(0, 5), st.just(0)),
        st.tuples(st.just("put"), st.integers(0, 5), st.integers(0, 12)),
        st.tuples(st.just("forget"), st.just(0), st.just(0)),
    ),
    max_size=30,
)


@given(STEPS)
def test_it_keeps_what_a_plain_list_would(steps):
    memory, plain = Memory(MOST), OrderedDict()
    for step, (what, key, size) in enumerate(steps):
        if what == "put":
            memory.put(key, step, size)
            plain.pop(key, None)
            if size <= MOST:
                plain[key] = (step, size)
            while sum(size for _, size in plain.values()) > MOST:
                plain.popitem(last=False)
        elif what == "forget":
            assert memory.forget_oldest() is bool(plain)
            if plain:
                plain.popitem(last=False)
        else:
            assert memory.get(key) == plain.get(key, (None,))[0]
            if key in plain:
                plain.move_to_end(key)
        assert memory.n_bytes == sum(size for _, size in plain.values()) <= MOST


def test_many_threads_leave_it_whole():
    memory = Memory(MOST)

    def use(seed):
        for i in range(2000):
            memory.put((seed + i) % 7, i, (seed * i) % 5)
            memory.get(i % 7)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(use, range(8)))
    assert memory.n_bytes == sum(size for _, size in memory._kept.values()) <= MOST
    memory.clear()
    assert memory.n_bytes == 0


def test_one_that_is_larger_than_everything_forgets_only_what_it_replaces():
    memory = Memory(MOST)
    memory.put("a", 1, 4)
    memory.put("b", 2, 4)
    memory.put("a", 3, MOST + 1)
    assert [memory.get(key) for key in "ab"] == [None, 2]
    assert len(memory) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_fork_finds_what_was_kept_whoever_held_the_lock():
    memory = Memory(MOST)
    memory.put("a", 1, 4)
    with memory._lock:
        child = os.fork()
        if child == 0:
            os._exit(0 if memory.get("a") == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_what_nobody_has_any_more_is_let_go_of():
    keeping = Keeping(Settings())
    gone = weakref.ref(keeping)
    del keeping
    gc.collect()
    assert gone() is None


def test_of_what_a_person_gave_only_the_hash_is_kept():
    secret = "a secret"
    requests = [
        Request("t5-tiny", (Variant(),), given, "prompt", tokens)
        for given in (secret, "another") for tokens in (1, 2)
    ]  # fmt: skip
    keys = {Asked.by(request) for request in requests}
    assert len(keys) == 4
    assert secret not in repr(keys)
