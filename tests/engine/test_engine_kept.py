"""What an engine has computed is not computed again."""

import pickle
from dataclasses import replace

import pytest

from qdemo.engine import calibrating, comparing
from qdemo.engine.engine import ENGINE, Engine
from qdemo.engine.keeping import Shown
from qdemo.engine.trials import Kept, Trial
from qdemo.measure import parameters
from qdemo.settings import Settings
from qdemo.spec.document import as_json
from qdemo.spec.evidence import Judged
from qdemo.spec.report import Done
from tests.engine.test_engine import REQUEST, asked, progress
from tests.parrot import compared

pytestmark = pytest.mark.usefixtures("nothing_loaded")


def test_the_same_is_not_computed_twice():
    *_, first = progress(REQUEST)
    *_, again = progress(REQUEST)
    assert first.kept == ()
    assert again.kept == ("fp32", "int8")  # what failed is tried anew
    assert as_json(again)["results"] == as_json(first)["results"]
    assert again.results == first.results
    assert len(again.failures) == 1


def test_what_is_asked_for_afresh_is_computed():
    *_, first = progress(REQUEST)
    *_, again = progress(replace(REQUEST, fresh=True))
    assert again.kept == ()
    assert again.results[0] is not first.results[0]


@pytest.mark.parametrize(
    "other",
    [asked(["int8"], "What is 23 + 46?"), asked(["int8"], max_tokens=2)],
    ids=["input", "tokens"],
)
def test_another_input_and_another_length_are_computed(other):
    *_, _ = progress(REQUEST)
    *_, last = progress(other)
    assert last.kept == ()


def test_another_format_is_compared_with_what_was_kept_of_fp32():
    *_, _ = progress(REQUEST)
    *_, last = progress(asked(["int4"]))
    assert last.kept == ("fp32",)
    ENGINE.keeping.forget()
    *_, alone = progress(asked(["int4"]))
    assert alone.kept == ()
    found, expected = (one.results[1].figures["logit_mean_abs"] for one in (last, alone))
    assert found == pytest.approx(expected)


def test_results_are_kept_as_long_as_there_is_room():
    small = Engine(Settings(result_bytes=1))
    *_, _ = progress(REQUEST, small)
    *_, last = progress(REQUEST, small)
    assert last.kept == ()
    assert small.keeping._results.n_bytes == 0


def test_what_is_kept_of_weights_is_not_understated():
    *_, _ = progress(REQUEST)
    held = ENGINE.keeping._per_model._kept
    assert len(held) == 1
    for key in held:
        found, n_bytes = held[key]
        assert n_bytes >= len(pickle.dumps(found))


def test_the_errors_of_weights_are_kept_for_every_input(monkeypatch):
    *_, first = progress(REQUEST)
    monkeypatch.setattr(parameters, "model_weight_errors", lambda *_: 1 / 0)
    monkeypatch.setattr(Engine, "inputs_of", lambda *_: 1 / 0)
    *_, last = progress(asked(["int8"], "What is 23 + 46?"))
    assert (last.kept, last.failures) == ((), ())
    assert last.results[1].weights == first.results[1].weights
    keys = ("weight_sqnr_db", "output_error")
    found, expected = ([one.results[1].figures[key] for key in keys] for one in (last, first))
    assert found == expected
    assert None not in found


def test_what_is_kept_is_put_together_again_at_once(monkeypatch):
    request = asked(["int8", "int4"])
    assert ENGINE.from_kept(request) is None
    *_, whole = progress(request)
    monkeypatch.setattr(comparing._Comparison, "run", lambda *_: 1 / 0)  # nothing is computed
    again = ENGINE.from_kept(request)
    assert as_json(again)["results"] == as_json(whole)["results"]
    assert again.finished
    assert ENGINE.from_kept(asked(["int8", "int3"])) is None
    assert ENGINE.from_kept(replace(request, fresh=True)) is None


def test_what_a_run_that_was_stopped_has_computed_is_kept():
    events = ENGINE.run(asked(["int8", "int4"]))
    assert next(event.trial.format for event in events if isinstance(event, Done)) == "fp32"
    events.close()
    *_, last = progress(REQUEST)
    assert last.kept == ("fp32",)


def test_a_page_s_report_is_found_by_its_number_alone():
    keeping = ENGINE.keeping
    one, other = (
        Shown(replace(compared([]), input=text), picture)
        for text, picture in (("Dienstag – 火", ""), ("half of one: \ud83d", "data:,"))
    )
    keeping.keep_shown("a number", one)
    keeping.keep_shown("another", other)
    assert keeping.shown("a number") == one
    assert keeping.shown("another") == other
    for number in ("", "a numbe", "example", "none"):
        assert keeping.shown(number) is None


def test_reports_share_the_room_of_results():
    *_, known = progress(REQUEST)
    ENGINE.keeping.keep_shown("mine", Shown(known))
    held = ENGINE.keeping._results.n_bytes
    small = Engine(Settings(result_bytes=held))
    *_, known = progress(REQUEST, small)
    small.keeping.keep_shown("mine", Shown(known))
    small.keeping.keep_shown("another's", Shown(known))
    assert small.keeping._results.n_bytes <= held
    assert small.keeping.shown("another's") == Shown(known)


def test_forgotten_is_forgotten():
    *_, _ = progress(asked(["int8", "int8a8-sq0.5"]))
    Kept(ENGINE.keeping.trials, "an evaluation").put(Trial(0, "", Judged("int8", 1)))
    memories = ENGINE.keeping._all
    assert all(map(len, memories))
    ENGINE.keeping.forget()
    assert [memory.n_bytes for memory in memories] == [0] * len(memories)


def test_what_takes_long_to_find_is_kept_with_what_is_known_of_the_inputs(monkeypatch):
    collected = []
    collect = calibrating.own_statistics
    monkeypatch.setattr(
        calibrating, "own_statistics", lambda *given: collected.append(given[2]) or collect(*given)
    )
    *_, first = progress(asked(["int8a8-sq0.5", "int2-mse-gptq", "int4"]))
    assert collected == [False, True]  # what smoothing wants is less
    assert {name for _, name in ENGINE.keeping.made._kept} == {"int8a8-sq0.5", "int2-mse-gptq"}
    monkeypatch.setattr("qdemo.engine.making.building", None)
    *_, again = progress(asked(["int2-mse-gptq"], "What is 23 + 46?"))
    assert again.results[1].weights == first.results[2].weights
    assert collected == [False, True]


def test_a_variant_of_a_model_that_was_let_go_is_made_anew():
    *_, _ = progress(asked(["int2-mse"]))
    ENGINE.keeping.models.clear()
    *_, _ = progress(asked(["int2-mse"], "What is 23 + 46?"))
    ((made, _),) = ENGINE.keeping.made._kept.values()
    assert made.of() is ENGINE.keeping.models.get("t5-tiny").model


def test_own_statistics_a_model_that_was_let_go_are_collected_anew(monkeypatch):
    collected = []
    collect = calibrating.own_statistics
    monkeypatch.setattr(
        calibrating, "own_statistics", lambda *given: collected.append(given[0]) or collect(*given)
    )
    *_, _ = progress(asked(["int8a8-sq0.5", "int8a8-sq0.75"]))
    ENGINE.keeping.models.clear()
    *_, _ = progress(asked(["int8a8-sq0.5"], "What is 23 + 46?"))
    assert [one.entry.name for one in collected] == ["t5-tiny"] * 2
    assert collected[0] is not collected[1]


def test_without_room_for_statistics_the_format_says_so(monkeypatch):
    monkeypatch.setattr(calibrating, "free_bytes", lambda: 1000)
    *_, last = progress(asked(["int2-gptq", "int8"]))
    assert [failed.format for failed in last.failures] == ["int2-gptq"]
    assert "not enough memory" in last.failures[0].reason


def test_room_is_made_of_what_can_be_made_again_first():
    *_, _ = progress(asked(["int2-mse"]))
    assert ENGINE.keeping.forget_made()
    assert not ENGINE.keeping.forget_made()
    assert len(ENGINE.keeping.models) == 1
