import pickle
import sys
import threading
import time
from dataclasses import replace

import pytest

import qdemo.models.loading
from qdemo import Variant, comparison
from qdemo.comparison import run as compared
from qdemo.report import as_json
from qdemo.request import InputError, Request
from qdemo.results import Written
from qdemo.settings import Settings
from qdemo.ui import gpu, jobs, kept, runs, work
from qdemo.models import memory
from qdemo.models.availability import UnavailableError, get_entry
from tests.test_comparison import Parrot

REQUEST = Request.parse("t5-tiny", ["int8", "int8-g80"], "What is 23 + 45?", max_tokens=3)


@pytest.fixture
def nothing_loaded():
    kept.forget()
    yield
    kept.forget()


def progress(request):
    """All that is told of a run that nobody stops."""
    with runs.begun() as run:
        yield from jobs.progress(request, run)


@pytest.fixture
def parrot(monkeypatch):
    """Any model is the parrot, which needs no time."""
    events = list(
        compared(Parrot(), [Variant.parse("int8"), Variant.parse("int8-g9")], max_tokens=40)
    )
    monkeypatch.setattr(jobs, "_events", lambda *_: (event for event in events))
    return events


def test_a_comparison_is_told_to_its_end():
    *_, last = progress(REQUEST)
    assert last.finished
    assert [result.text for result in last.comparison.results] == ["68", "68"]
    assert "does not divide" in last.comparison.failures[0].reason
    assert last.comparison.max_tokens == 3


def test_every_variant_is_told_at_once_and_text_only_now_and_then(parrot):
    told = list(progress(REQUEST))
    through = [len(p.comparison.results) + len(p.comparison.failures) for p in told]
    assert set(through) == {0, 1, 2, 3}
    assert len([event for event in parrot if isinstance(event, Written)]) == 80
    assert len(told) < 20
    assert [known.finished for known in told[-2:]] == [False, True]


def test_text_is_told_where_it_grows_slowly(parrot, monkeypatch):
    monkeypatch.setattr(work, "SECONDS_APART", -1)
    told = [known.running for known in progress(REQUEST) if known.running]
    texts = [event.text for event in parrot if isinstance(event, Written)]
    assert [text for running in told for text in running.values()] == texts


def test_who_leaves_stops_the_model(monkeypatch):
    closed = []

    def events(request, asked):
        try:
            yield from compared(Parrot(), [], max_tokens=40)
        finally:
            closed.append(True)

    monkeypatch.setattr(jobs, "_events", events)
    telling = progress(REQUEST)
    next(telling)
    telling.close()
    del telling
    assert closed == [True]


def test_a_model_that_is_not_here_is_told_at_its_field(nothing_loaded):
    with pytest.raises(InputError, match=r"flan-t5-small is not on this machine yet") as caught:
        list(progress(Request.parse("google/flan-t5-small", ["int8"], "x")))
    assert caught.value.field == "model"


def test_a_prompt_of_too_many_tokens_is_told_at_its_field():
    with pytest.raises(InputError, match="at most 512 are read") as caught:
        list(progress(Request.parse("t5-tiny", ["int8"], "5 + 5 " * 600)))
    assert caught.value.field == "prompt"


def test_who_asks_while_a_model_is_loaded_waits_for_it(monkeypatch, nothing_loaded):
    loads = []

    def load(entry):
        loads.append(entry.name)
        time.sleep(0.05)
        return object()

    monkeypatch.setattr(qdemo.models.loading, "load", load)
    found = []
    asking = [
        threading.Thread(target=lambda: found.append(kept.loaded(get_entry("t5-tiny"))))
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
    assert gpu.on_gpu(len) == ("decorated", len)


def test_elsewhere_nothing_changes(monkeypatch):
    monkeypatch.setitem(sys.modules, "spaces", None)
    assert gpu.on_gpu(len) is len


def test_the_same_is_not_computed_twice(nothing_loaded):
    *_, first = progress(REQUEST)
    *_, again = progress(REQUEST)
    assert first.comparison.kept == ()
    assert list(map(str, again.comparison.kept)) == ["fp32", "int8"]  # what failed is tried anew
    ours, theirs = (as_json(one.comparison)["results"] for one in (again, first))
    assert ours == theirs
    assert len(again.comparison.failures) == 1


def test_what_is_asked_for_afresh_is_computed(nothing_loaded):
    *_, first = progress(REQUEST)
    *_, again = progress(replace(REQUEST, fresh=True))
    assert again.comparison.kept == ()
    assert again.comparison.results[0] is not first.comparison.results[0]


@pytest.mark.parametrize(
    "other",
    [
        Request.parse("t5-tiny", ["int8"], "What is 23 + 46?", max_tokens=3),
        Request.parse("t5-tiny", ["int8"], "What is 23 + 45?", max_tokens=2),
    ],
    ids=["input", "tokens"],
)
def test_another_input_and_another_length_are_computed(nothing_loaded, other):
    *_, _ = progress(REQUEST)
    *_, last = progress(other)
    assert last.comparison.kept == ()


def test_another_format_is_compared_with_what_was_kept_of_fp32(nothing_loaded):
    *_, _ = progress(REQUEST)
    *_, last = progress(Request.parse("t5-tiny", ["int4"], REQUEST.given, max_tokens=3))
    assert list(map(str, last.comparison.kept)) == ["fp32"]
    kept.forget()
    *_, alone = progress(Request.parse("t5-tiny", ["int4"], REQUEST.given, max_tokens=3))
    difference, expected = (one.comparison.results[1].logits for one in (last, alone))
    assert difference.mean_abs == pytest.approx(expected.mean_abs)


def test_results_are_kept_as_long_as_there_is_room(nothing_loaded, monkeypatch):
    monkeypatch.setattr(kept._RESULTS, "_most_bytes", 1)
    *_, _ = progress(REQUEST)
    *_, last = progress(REQUEST)
    assert last.comparison.kept == ()
    assert kept._RESULTS.n_bytes == 0


def test_what_is_kept_of_weights_is_not_understated(nothing_loaded):
    *_, _ = progress(REQUEST)
    for errors, n_bytes in kept._WEIGHTS._kept.values():
        assert n_bytes >= len(pickle.dumps(errors))


def test_the_errors_of_weights_are_kept_for_every_input(nothing_loaded, monkeypatch):
    *_, first = progress(REQUEST)
    monkeypatch.setattr(comparison, "model_weight_errors", lambda *_: 1 / 0)
    *_, last = progress(Request.parse("t5-tiny", ["int8"], "What is 23 + 46?"))
    assert last.comparison.kept == ()
    assert last.comparison.results[1].weights is first.comparison.results[1].weights


def test_a_model_makes_room_for_another(nothing_loaded, monkeypatch):
    """The machine has room again once a model was let go of."""
    kept.loaded(get_entry("t5-tiny"))

    def check(entry, parameters):
        if kept._MODELS.n_bytes:
            raise UnavailableError("no room")

    monkeypatch.setattr(kept, "check_memory", check)
    assert kept.loaded(get_entry("blip-tiny")).entry.name == "blip-tiny"
    assert list(kept._MODELS._kept) == ["blip-tiny"]


def test_a_model_for_which_there_is_never_room_is_refused(nothing_loaded, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 1_000_000)
    with pytest.raises(InputError, match=r"t5-tiny needs 0\.05 GB of memory; 0\.00 GB are free"):
        list(progress(REQUEST))


def test_after_its_time_what_is_done_stays_and_the_rest_says_so(nothing_loaded, monkeypatch):
    monkeypatch.setattr(work, "SETTINGS", Settings(deadline_s=0))
    told = list(progress(REQUEST))
    assert told[-1].finished
    assert {stopped.reason for stopped in told[-1].comparison.stopped} == {
        "stopped after 0 s, the longest here"
    }


def test_who_waits_is_told_and_can_stop(nothing_loaded, monkeypatch):
    monkeypatch.setattr(jobs, "_events", lambda *_: 1 / 0)  # nothing is computed
    with jobs.COMPUTING.place(), runs.begun() as run:
        telling = jobs.progress(REQUEST, run)
        assert next(telling) == runs.Waiting(1)
        runs.stop(run.number)
        assert list(telling) == []


def test_what_was_stopped_is_neither_failed_nor_lost(nothing_loaded, monkeypatch):
    monkeypatch.setattr(work, "SECONDS_APART", -1)
    with runs.begun() as run:
        for known in jobs.progress(REQUEST, run):
            if "int8" in known.running:
                runs.stop(run.number)
            last = known
    assert last.finished
    assert [result.text for result in last.comparison.results] == ["68"]
    assert last.comparison.failures == ()
    assert {one.reason for one in last.comparison.stopped} == {"stopped before it finished"}
    assert [str(one.variant) for one in last.comparison.stopped] == ["int8", "int8-g80"]


def test_what_is_kept_is_put_together_again_at_once(nothing_loaded, monkeypatch):
    asked = Request.parse("t5-tiny", ["int8", "int4"], "What is 23 + 45?", max_tokens=3)
    assert jobs.from_kept(asked) is None
    *_, whole = progress(asked)
    monkeypatch.setattr(comparison, "_run", lambda *_: 1 / 0)  # nothing is computed
    again = jobs.from_kept(asked)
    ours, theirs = (as_json(one.comparison) for one in (again, whole))
    assert ours["results"] == theirs["results"]
    assert again.finished
    more = Request.parse("t5-tiny", ["int8", "int3"], "What is 23 + 45?", max_tokens=3)
    assert jobs.from_kept(more) is None
    assert jobs.from_kept(replace(asked, fresh=True)) is None


def test_a_page_s_document_is_found_by_its_number_alone(nothing_loaded):
    kept.keep_document("a number", {"input": "Dienstag – 火"})
    kept.keep_document("another", {"input": "x"})
    assert kept.document("a number") == {"input": "Dienstag – 火"}
    for other in ("", "a numbe", "example", "none"):
        assert kept.document(other) is None


def test_documents_share_the_room_of_results(nothing_loaded, monkeypatch):
    *_, known = progress(REQUEST)
    kept.keep_document("mine", known.document())
    held = kept._RESULTS.n_bytes
    monkeypatch.setattr(kept._RESULTS, "_most_bytes", held)
    kept.keep_document("another's", known.document())
    assert kept._RESULTS.n_bytes <= held
    assert kept.document("another's") is not None
