import sys
import threading
import time

import pytest

import qdemo.zoo.loading
from qdemo import Variant
from qdemo.comparison import Written, run
from qdemo.request import InputError, Request
from qdemo.ui import gpu, jobs
from tests.test_comparison import Parrot

REQUEST = Request.parse("t5-tiny", ["int8", "int8-g80"], "What is 23 + 45?", max_tokens=3)


@pytest.fixture
def nothing_loaded():
    jobs._load.cache_clear()
    yield
    jobs._load.cache_clear()


@pytest.fixture
def parrot(monkeypatch):
    """Any model is the parrot, which needs no time."""
    events = list(run(Parrot(), [Variant.parse("int8"), Variant.parse("int8-g9")], max_tokens=40))
    monkeypatch.setattr(jobs, "_events", lambda request: iter(events))
    return events


def test_a_comparison_is_told_to_its_end():
    *_, last = jobs.progress(REQUEST)
    assert last.finished
    assert [result.text for result in last.comparison.results] == ["68", "68"]
    assert "does not divide" in last.comparison.failures[0].reason
    assert last.comparison.max_tokens == 3


def test_every_variant_is_told_at_once_and_text_only_now_and_then(parrot):
    told = list(jobs.progress(REQUEST))
    through = [len(p.comparison.results) + len(p.comparison.failures) for p in told]
    assert set(through) == {0, 1, 2, 3}
    assert len([event for event in parrot if isinstance(event, Written)]) == 80
    assert len(told) < 20
    assert [known.finished for known in told[-2:]] == [False, True]


def test_text_is_told_where_it_grows_slowly(parrot, monkeypatch):
    monkeypatch.setattr(jobs, "SECONDS_APART", -1)
    told = [known.running for known in jobs.progress(REQUEST) if known.running]
    texts = [event.text for event in parrot if isinstance(event, Written)]
    assert [text for running in told for text in running.values()] == texts


def test_who_leaves_stops_the_model(monkeypatch):
    closed = []

    def events(request):
        try:
            yield from run(Parrot(), [], max_tokens=40)
        finally:
            closed.append(True)

    monkeypatch.setattr(jobs, "_events", events)
    telling = jobs.progress(REQUEST)
    next(telling)
    telling.close()
    del telling
    assert closed == [True]


def test_a_model_that_cannot_be_had_is_told_at_its_field(monkeypatch, nothing_loaded):
    def load(entry):
        raise OSError("a long story about a cache")

    monkeypatch.setattr(qdemo.zoo.loading, "load", load)
    with pytest.raises(InputError, match="could not be downloaded from the Hub") as caught:
        list(jobs.progress(Request.parse("google/flan-t5-small", ["int8"], "x")))
    assert caught.value.field == "model"
    assert "cache" not in str(caught.value)


def test_a_prompt_of_too_many_tokens_is_told_at_its_field():
    with pytest.raises(InputError, match="at most 512 are read") as caught:
        list(jobs.progress(Request.parse("t5-tiny", ["int8"], "5 + 5 " * 600)))
    assert caught.value.field == "prompt"


def test_who_asks_while_a_model_is_loaded_waits_for_it(monkeypatch, nothing_loaded):
    loads = []

    def load(entry):
        loads.append(entry.name)
        time.sleep(0.05)
        return object()

    monkeypatch.setattr(qdemo.zoo.loading, "load", load)
    found = []
    asking = [
        threading.Thread(target=lambda: found.append(jobs._loaded("t5-tiny"))) for _ in range(5)
    ]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    assert loads == ["t5-tiny"]
    assert len(set(map(id, found))) == 1


def test_on_a_space_with_a_gpu_what_computes_is_decorated(monkeypatch):
    class Spaces:
        GPU = staticmethod(lambda function: ("decorated", function))

    monkeypatch.setitem(sys.modules, "spaces", Spaces)
    assert gpu.on_gpu(len) == ("decorated", len)


def test_elsewhere_nothing_changes(monkeypatch):
    monkeypatch.setitem(sys.modules, "spaces", None)
    assert gpu.on_gpu(len) is len
