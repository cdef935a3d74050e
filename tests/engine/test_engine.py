import itertools
import sys
import threading
import time
from types import SimpleNamespace

import pytest

import qdemo.models.loading
from qdemo import Variant
from qdemo.engine import devices, engine, telling, turns
from qdemo.engine.asking import ask
from qdemo.engine.engine import ENGINE, Engine
from qdemo.engine.turns import Waiting, begun
from qdemo.models import memory
from qdemo.models.availability import UnavailableError, get_entry
from qdemo.settings import Settings
from qdemo.spec.report import Done, Finished, Started, Stopped, Written
from qdemo.spec.request import InputError
from tests.parrot import Parrot, told
from tests.parrot import run as compared

PROMPT = "What is 23 + 45?"


def asked(formats, prompt=PROMPT, max_tokens=3, model="t5-tiny"):
    return ask(model, formats, {"prompt": prompt}, max_tokens)


REQUEST = asked(["int8", "int8-g80"])


def progress(request, of=ENGINE):
    """All that is told of a run that nobody stops."""
    with begun() as run:
        yield from of.told(request, run)


@pytest.fixture
def parrot(monkeypatch):
    """Any model is the parrot, which needs no time."""
    events = list(
        compared(Parrot(), [Variant.parse("int8"), Variant.parse("int8-g9")], max_tokens=40)
    )
    monkeypatch.setattr(ENGINE, "_events", lambda *_: (event for event in events))
    return events


def test_a_comparison_is_told_to_its_end():
    *_, last = progress(REQUEST)
    assert last.finished
    assert [trial.output for trial in last.results] == ["68", "68"]
    assert "does not divide" in last.failures[0].reason
    assert last.max_tokens == 3


def test_every_variant_is_told_at_once_and_text_only_now_and_then(parrot):
    every = list(progress(REQUEST))
    through = [len(known.results) + len(known.failures) for known in every]
    assert set(through) == {0, 1, 2, 3}
    assert len([event for event in parrot if isinstance(event, Written)]) == 80
    assert len(every) < 20
    assert [known.finished for known in every[-2:]] == [False, True]


def test_text_is_told_where_it_grows_slowly(parrot, monkeypatch):
    monkeypatch.setattr(telling, "SECONDS_APART", -1)
    running = [known.running for known in progress(REQUEST) if known.running]
    texts = [event.text for event in parrot if isinstance(event, Written)]
    assert [text for one in running for text in one.values()] == texts


def test_a_text_is_told_less_often_the_longer_it_all_takes(monkeypatch):
    """A token a second, by a clock of our own: the first ones come each, then one in two, …"""
    clock = itertools.count()
    monkeypatch.setattr(telling, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    monkeypatch.setattr(telling, "SECONDS_APART", 0.5)
    texts = compared(Parrot(), [], max_tokens=200)
    known = telling.now_and_then(event for event in texts)
    count = [len(one.running["fp32"].split()) for one in known if one.running]
    steps = [later - sooner for sooner, later in itertools.pairwise(count)]
    assert steps[:15] == [1] * 15
    assert steps == sorted(steps)
    assert steps[-1] > 3


def test_the_next_computes_while_the_last_of_it_is_told(parrot):
    """All of it takes a while to be sent."""
    for known in progress(REQUEST):
        with ENGINE.computing.place() as place:
            assert place.ahead() == (0 if known.finished else 1)
    assert known.finished


def test_who_leaves_stops_the_model(monkeypatch):
    closed = []

    def events(request, stop, method_s):
        try:
            yield from compared(Parrot(), [], max_tokens=40)
        finally:
            closed.append(True)

    monkeypatch.setattr(ENGINE, "_events", events)
    telling = progress(REQUEST)
    next(telling)
    telling.close()
    del telling
    assert closed == [True]


def test_a_model_that_is_not_here_is_told_at_its_field(nothing_loaded):
    request = asked(["int8"], "x", model="google/flan-t5-small")
    with pytest.raises(InputError, match=r"flan-t5-small is not on this machine yet") as caught:
        list(progress(request))
    assert caught.value.field == "model"


def test_a_prompt_of_too_many_tokens_is_told_at_its_field():
    with pytest.raises(InputError, match="at most 512 are read") as caught:
        list(progress(asked(["int8"], "5 + 5 " * 600)))
    assert caught.value.field == "prompt"


def test_who_asks_while_a_model_is_loaded_waits_for_it(monkeypatch, nothing_loaded):
    loads = []

    def load(entry, device):
        loads.append(entry.name)
        time.sleep(0.05)
        return object()

    monkeypatch.setattr(qdemo.models.loading, "load", load)
    found = []
    asking = [
        threading.Thread(target=lambda: found.append(ENGINE.loaded(get_entry("t5-tiny"))))
        for _ in range(5)
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
    assert devices.on_gpu(len) == ("decorated", len)


def test_elsewhere_nothing_changes(monkeypatch):
    monkeypatch.setitem(sys.modules, "spaces", None)
    assert devices.on_gpu(len) is len


def test_a_model_makes_room_for_another(nothing_loaded, monkeypatch):
    """The machine has room again once a model was let go of."""
    ENGINE.loaded(get_entry("t5-tiny"))

    def check(entry, parameters, device):
        if ENGINE.keeping.models.n_bytes:
            raise UnavailableError("no room")

    monkeypatch.setattr(memory, "check_memory", check)
    assert ENGINE.loaded(get_entry("blip-tiny")).entry.name == "blip-tiny"
    assert list(ENGINE.keeping.models._kept) == ["blip-tiny"]


def test_a_model_for_which_there_is_never_room_is_refused(nothing_loaded, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 1_000_000)
    with pytest.raises(InputError, match=r"t5-tiny needs 0\.05 GB of memory; 0\.00 GB are free"):
        list(progress(REQUEST))


LONGEST = "stopped after 0 s, the longest here"


def test_after_its_time_what_is_done_stays_and_the_rest_says_so(nothing_loaded, monkeypatch):
    monkeypatch.setattr(ENGINE, "settings", Settings(deadline_s=0))
    every = list(progress(REQUEST))
    assert every[-1].finished
    assert {stopped.reason for stopped in every[-1].stopped} == {LONGEST}


def test_who_waits_is_told_and_can_stop(nothing_loaded, monkeypatch):
    monkeypatch.setattr(ENGINE, "_events", lambda *_: 1 / 0)  # nothing is computed
    with ENGINE.computing.place(), begun() as run:
        telling = ENGINE.told(REQUEST, run)
        assert next(telling) == Waiting(1)
        turns.stop(run.number)
        assert list(telling) == []


def test_what_was_stopped_is_neither_failed_nor_lost(nothing_loaded, monkeypatch):
    monkeypatch.setattr(telling, "SECONDS_APART", -1)
    with begun() as run:
        for known in ENGINE.told(REQUEST, run):
            if "int8" in known.running:
                turns.stop(run.number)
            last = known
    assert last.finished
    assert [trial.output for trial in last.results] == ["68"]
    assert last.failures == ()
    assert {one.reason for one in last.stopped} == {"stopped before it finished"}
    assert [one.format for one in last.stopped] == ["int8", "int8-g80"]


def whole(report):
    """Whether each of its formats is through, or says why not, and it says when it was computed."""
    ended = [one.format for one in (*report.results, *report.failures, *report.stopped)]
    return report.finished and bool(report.computed) and ended == list(report.formats)


def test_run_tells_every_event_and_the_last_has_the_whole_report(nothing_loaded):
    *happened, (last, report) = told(ENGINE.run(REQUEST))
    assert [type(event) for event, _ in happened[:2]] == [Started, Written]
    assert [event.trial.format for event, _ in happened if isinstance(event, Done)] == [
        "fp32", "int8"
    ]  # fmt: skip
    assert last == Finished(report)
    assert whole(report)
    assert all(event.logits is None for event, _ in happened if isinstance(event, Done))


def test_a_run_that_is_stopped_tells_what_is_not_through(nothing_loaded):
    stop, happened = threading.Event(), []
    for one in told(ENGINE.run(REQUEST, stop)):
        happened.append(one[0])
        if isinstance(one[0], Done):
            stop.set()
    report = one[1]
    assert [event.format for event in happened if isinstance(event, Stopped)] == list(
        REQUEST.formats[1:]
    )
    assert happened[-1] == Finished(report)
    assert whole(report)


def test_a_run_that_is_stopped_before_it_begins_tells_nothing():
    stop = threading.Event()
    stop.set()
    assert list(ENGINE.run(REQUEST, stop)) == []


def test_a_run_has_a_deadline_which_one_that_is_through_does_not_miss(nothing_loaded):
    *_, (last, report) = told(ENGINE.run(REQUEST, deadline_s=0))
    assert last == Finished(report)
    assert whole(report)
    assert {one.reason for one in report.stopped} == {LONGEST}
    *_, (_, report) = told(ENGINE.run(REQUEST, deadline_s=1000))
    assert whole(report)
    assert report.stopped == ()


def test_who_closes_a_run_is_told_nothing_more(nothing_loaded):
    events = ENGINE.run(REQUEST)
    next(events)
    events.close()
    assert list(events) == []


def test_an_engine_computes_with_its_own_models(nothing_loaded):
    own = Engine(Settings(deadline_s=1000))
    *_, report = progress(REQUEST, own)
    assert whole(report)
    assert len(own.keeping.models) == 1
    assert len(ENGINE.keeping.models) == 0
    assert ENGINE.from_kept(REQUEST) is None


def test_an_engine_that_nobody_has_any_more_leaves_nothing_behind():
    own = Engine()
    number = id(own)
    assert engine._ENGINES[number] is own
    del own
    assert number not in engine._ENGINES
