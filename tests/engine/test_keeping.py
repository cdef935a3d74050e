from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from qdemo.engine.keeping import Memory

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
