import json

import pytest
import torch

from qdemo import Variant
from qdemo.spec.document import as_json, as_text
from qdemo.spec.report import Done, Failed, Finished, Report, Started, Stopped, Written
from tests.parrot import Parrot, run, told

VARIANTS = [Variant.parse(text) for text in ("bf16", "int8-g9", "int8")]
REASON = "stopped before it finished"


def events():
    return list(run(Parrot(), VARIANTS, max_tokens=4))


def after(count):
    """What is known after so many events."""
    return [known for _, known in told(events()[:count])][-1]


def formats(found):
    return [one.format for one in found]


def test_at_the_end_it_is_the_comparison():
    happened = events()
    *_, (last, known) = told(happened)
    assert isinstance(last, Finished)
    assert known.finished
    assert known.running == {}
    assert known == last.report == last.comparison
    assert as_json(known) == as_json(last.report)


def test_it_is_finished_at_the_end_only():
    assert [known.finished for _, known in told(events())].count(True) == 1


def test_it_grows_by_one_result_a_variant():
    through = 0
    for event, known in told(events()):
        through += isinstance(event, Done | Failed)
        assert len(known.results) + len(known.failures) == through


def test_one_variant_at_a_time_is_running():
    for event, known in told(events()):
        wanted = {event.format: event.text} if isinstance(event, Written) else {}
        assert known.running == wanted


def test_nothing_is_changed_behind_the_back_of_one_who_holds_it():
    happened = events()
    begun = happened[0].report
    for event in happened[1:]:
        begun.after(event)
    assert (begun.results, begun.running, begun.finished) == ((), {}, False)


def test_what_is_told_of_what_was_kept_is_kept():
    *_, last = (event for event in events() if isinstance(event, Done))
    begun = events()[0].report
    assert begun.after(last).kept == ()
    assert begun.after(Done(last.trial, kept=True)).kept == ("int8",)


def test_what_is_stopped_is_told_like_the_rest():
    begun = events()[0].report
    known = begun.after(Written("fp32", "3")).after(Stopped("fp32", REASON))
    assert formats(known.stopped) == ["fp32"]
    assert known.running == {}
    assert known.not_through == ["bf16", "int8-g9", "int8"]


@pytest.mark.parametrize("count", range(1, 17))
def test_stopped_anywhere_every_format_is_through_or_says_why_not(count):
    known = after(count)
    ended = known.ended(REASON)
    assert ended.finished
    assert ended.running == {}
    assert ended.results == known.results
    assert ended.failures == known.failures
    through = formats(ended.results) + formats(ended.failures)
    assert sorted(through + formats(ended.stopped)) == sorted(ended.formats)
    assert {one.reason for one in ended.stopped} <= {REASON}


def test_stopping_what_is_finished_adds_nothing():
    known = after(None)
    assert known.ended(REASON).stopped == ()
    assert formats(known.failures) == ["int8-g9"]


@pytest.mark.parametrize("count", range(1, 17))
def test_what_was_stopped_can_be_written_to_a_file(count):
    document = json.loads(as_text(after(count).ended(REASON)))
    ended = [document[key] for key in ("results", "failures", "stopped")]
    assert sum(map(len, ended)) == len(document["formats"])


def test_what_is_known_under_way_is_a_part_of_the_whole():
    every = [known for _, known in told(events())]
    whole = every[-1]
    for part in every:
        assert part.formats == whole.formats == ("fp32", "bf16", "int8-g9", "int8")
        for key in ("model", "input", "read", "kept_wide", "figures", "machine"):
            assert getattr(part, key) == getattr(whole, key)
        for key in ("results", "failures", "stopped"):
            mine = getattr(part, key)
            assert mine == getattr(whole, key)[: len(mine)]


def test_without_a_reference_it_is_finished_all_the_same():
    parrot = Parrot()
    with torch.no_grad():
        parrot.model[1].weight.fill_(float("nan"))
    happened = list(run(parrot, VARIANTS))
    *_, (_, known) = told(happened)
    assert isinstance(happened[0], Started)
    assert known.finished
    assert formats(known.failures) == ["fp32"]
    assert (known.results, known.reference, known.variants) == ((), None, ())
    assert known.parameters == known.matrices == []


def test_a_figure_is_found_by_its_key():
    report = after(None)
    assert report.figure("logit_kl_mean").unit == "nats"
    with pytest.raises(KeyError, match="kl_mean"):
        report.figure("kl_mean")


def test_what_no_one_tells_is_no_event():
    with pytest.raises(AssertionError):
        Report("parrot", "3", 4, ("fp32",)).after("an event")
