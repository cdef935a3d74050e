import json

import pytest
import torch

from qdemo import Variant
from qdemo.comparison import run
from qdemo.progress import Progress
from qdemo.report import as_json
from qdemo.results import Done, Failed, Finished, Started, Written
from tests.test_comparison import Parrot

VARIANTS = [Variant.parse(text) for text in ("bf16", "int8-g9", "int8")]
REASON = "stopped before it finished"


def events():
    return list(run(Parrot(), VARIANTS, max_tokens=4))


def told(events):
    """What is known after each event, the first one on."""
    known = Progress.begin(events[0])
    for event in events:
        known = known.after(event)
        yield event, known


def after(count):
    """What is known after so many events."""
    return [known for _, known in told(events()[:count])][-1]


def formats(found):
    return [str(one.variant) for one in found]


def timeless(document):
    """A document without its times and date."""
    rows = [row | {"first_token_ms": 0, "token_ms": 0} for row in document["results"]]
    return {**document, "results": rows, "computed": ""}


def test_at_the_end_it_is_the_comparison():
    happened = events()
    *_, (last, known) = told(happened)
    assert isinstance(last, Finished)
    assert known.finished
    assert known.running == {}
    assert known.comparison.results == last.comparison.results
    assert known.comparison.failures == last.comparison.failures
    assert timeless(known.document()) == timeless(as_json(last.comparison))


def test_it_is_finished_at_the_end_only():
    assert [known.finished for _, known in told(events())].count(True) == 1


def test_it_grows_by_one_result_a_variant():
    through = 0
    for event, known in told(events()):
        through += isinstance(event, Done | Failed)
        assert len(known.comparison.results) + len(known.comparison.failures) == through


def test_one_variant_at_a_time_is_running():
    for event, known in told(events()):
        wanted = {str(event.variant): event.text} if isinstance(event, Written) else {}
        assert known.running == wanted


def test_nothing_is_changed_behind_the_back_of_one_who_holds_it():
    happened = events()
    begun = Progress.begin(happened[0])
    for event in happened:
        begun.after(event)
    assert (begun.comparison.results, begun.running, begun.finished) == ((), {}, False)


@pytest.mark.parametrize("count", range(1, 17))
def test_stopped_anywhere_every_format_is_through_or_says_why_not(count):
    known = after(count)
    stopped = known.stopped(REASON)
    comparison = stopped.comparison
    assert stopped.finished
    assert stopped.running == {}
    assert comparison.results == known.comparison.results
    assert comparison.failures == known.comparison.failures
    through = formats(comparison.results) + formats(comparison.failures)
    stopped = formats(comparison.stopped)
    assert sorted(through + stopped) == sorted(map(str, comparison.variants))
    assert {one.reason for one in comparison.stopped} <= {REASON}


def test_stopping_what_is_finished_adds_nothing():
    known = after(None)
    assert known.stopped(REASON).comparison.stopped == ()
    assert formats(known.comparison.failures) == ["int8-g9"]


@pytest.mark.parametrize("count", range(1, 17))
def test_what_was_stopped_can_be_written_to_a_file(count):
    document = after(count).stopped(REASON).document()
    json.dumps(document, allow_nan=False)
    ended = [document[key] for key in ("results", "failures", "stopped")]
    assert sum(map(len, ended)) == len(document["formats"])


def test_the_document_of_cards_is_a_part_of_the_whole():
    for _, known in told(events()):
        part, whole = known.card_document(), known.document()
        assert part["formats"] == whole["formats"] == ["fp32", "bf16", "int8-g9", "int8"]
        for key in ("model", "input", "read", "failures", "stopped", "kept_wide"):
            assert part[key] == whole[key]
        for row, full in zip(part["results"], whole["results"], strict=True):
            assert row.items() <= full.items()


def test_without_a_reference_it_is_finished_all_the_same():
    runner = Parrot()
    with torch.no_grad():
        runner.model[1].weight.fill_(float("nan"))
    happened = list(run(runner, VARIANTS))
    *_, (_, known) = told(happened)
    assert isinstance(happened[0], Started)
    assert known.finished
    assert formats(known.comparison.failures) == ["fp32"]
    assert known.card_document()["results"] == []
