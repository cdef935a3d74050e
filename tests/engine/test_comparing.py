import math
from dataclasses import replace

import pytest
import torch

from qdemo import Variant, footprint, logit_difference
from qdemo.engine import comparing
from qdemo.engine.comparing import REFERENCE, Known
from qdemo.measure.outputs import first_divergence
from qdemo.models.decoding import generate, score
from qdemo.spec.report import WHOLE_MODEL, Done, Failed, Finished, Started, Written
from tests.parrot import Parrot, finished, run

VARIANTS = [Variant.parse(text) for text in ("bf16", "int8", "int2")]
FORMATS = ("fp32", "bf16", "int8", "int2")


def test_events_come_in_order():
    events = list(run(Parrot(), VARIANTS, max_tokens=5))
    assert isinstance(events[0], Started)
    assert events[0].report.formats == FORMATS
    assert events[0].report.results == ()
    assert [e.trial.format for e in events if isinstance(e, Done)] == list(FORMATS)
    texts = [e.text for e in events if isinstance(e, Written) and e.format == "fp32"]
    assert [len(text.split()) for text in texts] == [1, 2, 3, 4, 5]
    assert finished(events).results[0].output == texts[-1]


def test_the_last_event_has_the_whole_report():
    events = list(run(Parrot(), [*VARIANTS, Variant.parse("int8-g9")], max_tokens=5))
    assert events[-1] == Finished(finished(events))
    assert events[-1].report.finished


def test_the_reference_runs_once_and_first():
    for variants in ([], [REFERENCE], [Variant.parse("int8"), REFERENCE, Variant.parse("int8")]):
        wanted = next(run(Parrot(), variants)).report.formats
        assert wanted[0] == str(REFERENCE)
        assert len(set(wanted)) == len(wanted)


def answer(parrot, model, max_tokens):
    """Its tokens, token after token."""
    return tuple(generate(parrot, model, parrot.encode(None), max_tokens))


def test_every_figure_is_that_of_a_plain_computation():
    parrot = Parrot()
    reference, *others = finished(run(parrot, VARIANTS, max_tokens=6)).results
    assert reference.tokens == answer(parrot, parrot.model, 6)
    assert {key for key, value in reference.figures.items() if value is not None} == {
        "bytes", "times_smaller", "first_token_ms", "token_ms", "read_bytes", "reading_ms",
        "kernels_ms", "outside_ms",
    }  # fmt: skip
    assert (reference.by_position, reference.weights) == ({}, {})
    prompt = parrot.encode(None)
    wanted = score(parrot, parrot.model, prompt, reference.tokens)
    for trial in others:
        model = trial.variant.build(parrot.model)
        difference = logit_difference(wanted, score(parrot, model, prompt, reference.tokens))
        assert trial.figures["logit_mean_abs"] == difference.mean_abs
        assert trial.figures["logit_kl_mean"] == difference.kl_mean
        assert trial.by_position["kl_by_position"] == tuple(difference.kl.tolist())
        assert trial.tokens == answer(parrot, model, 6)
        first = first_divergence(reference.tokens, trial.tokens)
        assert trial.figures["first_divergent_token"] == (None if first is None else first + 1)
        assert trial.footprint == footprint(model)
        assert trial.figures["bytes"] == footprint(model).total
        assert list(trial.weights) == [WHOLE_MODEL, "0.weight", "1.weight", "1.bias"]


def test_the_top_tokens_are_sorted_shares():
    reference = finished(run(Parrot(), [], max_tokens=4)).results[0]
    assert len(reference.top) == len(reference.tokens)
    for token, top in zip(reference.tokens, reference.top, strict=True):
        shares = [share for _, share in top]
        assert top[0][0] == f"<{token}>"
        assert shares == sorted(shares, reverse=True)
        assert sum(shares) <= 1


def test_times_are_positive_and_leave_the_listener_out():
    reference = finished(run(Parrot(), [], max_tokens=6)).results[0]
    assert reference.figures["first_token_ms"] > 0
    assert reference.figures["token_ms"] > 0
    assert finished(run(Parrot(), [], max_tokens=1)).results[0].figures["token_ms"] is None


PARTS = ("reading_ms", "kernels_ms", "outside_ms")


def test_the_time_of_a_token_is_told_in_parts():
    parrot = Parrot()
    reference, bf16, int8 = finished(run(parrot, VARIANTS[:2], max_tokens=6)).results
    for trial in (reference, bf16, int8):
        reading, kernels, outside = (trial.figures[key] for key in PARTS)
        assert min(reading, kernels, outside) >= 0
        assert max(kernels, outside) <= trial.figures["token_ms"]
        assert reading + kernels + outside >= trial.figures["token_ms"] * (1 - 1e-9)
    row = 24  # of the table; the layer has 12 of them, and a bias
    assert reference.figures["read_bytes"] == 4 * (row + 12 * row + 12)
    assert bf16.figures["read_bytes"] == 2 * (row + 12 * row + 12)
    assert int8.figures["read_bytes"] == 4 * row + (12 * row + 4 * 12) + 4 * 12


@pytest.mark.parametrize("length", [1, 3])
def test_a_few_tokens_have_no_parts(length):
    reference = finished(run(Parrot(), [], max_tokens=length)).results[0]
    assert [reference.figures[key] for key in (*PARTS, "read_bytes")] == [None] * 4


def test_a_variant_that_fails_leaves_the_others_alive():
    parrot = Parrot()
    with torch.no_grad():
        parrot.model[1].weight.mul_(1e6)  # beyond fp16
    events = list(run(parrot, map(Variant.parse, ["fp16", "int8-g9", "bf16"]), max_tokens=3))
    failed = {e.format: e.reason for e in events if isinstance(e, Failed)}
    assert failed.keys() == {"fp16", "int8-g9"}
    assert failed["fp16"] == (
        "the logits are not finite: a number was too large for the format, or a weight is NaN; "
        "first in what comes out of 1"
    )
    assert "group_size 9 does not divide the row length 24" in failed["int8-g9"]
    end = finished(events)
    assert [trial.format for trial in end.results] == ["fp32", "bf16"]
    assert [failure.format for failure in end.failures] == ["fp16", "int8-g9"]


class Spoilt(Parrot):
    """A parrot that comes to grief in one format."""

    def __init__(self, format, error):
        super().__init__()
        self._format, self._error = format, error

    def score(self, model, tokens):
        if footprint(model) == footprint(Variant.parse(self._format).build(self.model)):
            raise self._error
        return super().score(model, tokens)


NO_ROOM = "there is not enough memory free for this format"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), NO_ROOM),
        (RuntimeError("[at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory"), NO_ROOM),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"), NO_ROOM),
        (ValueError("3 is no 4"), "3 is no 4"),
        (TypeError("in /home/me"), "the model broke off (TypeError); the log has the rest"),
        (ValueError("two\nlines"), "the model broke off (ValueError); the log has the rest"),
        (IndexError(), "the model broke off (IndexError); the log has the rest"),
    ],
)
def test_whatever_befalls_a_format_the_others_go_on(error, reason):
    end = finished(run(Spoilt("bf16", error), VARIANTS, max_tokens=4))
    assert [(one.format, one.reason) for one in end.failures] == [("bf16", reason)]
    assert [trial.format for trial in end.results] == ["fp32", "int8", "int2"]


def test_a_nan_in_the_weights_of_one_format_fails_that_one(monkeypatch):
    build = comparing.plainly

    def spoilt(model, variant):
        built = yield from build(model, variant)
        if str(variant) == "bf16":
            with torch.no_grad():
                built[1].weight[0, 0] = math.nan
        return built

    monkeypatch.setattr(comparing, "plainly", spoilt)
    end = finished(run(Parrot(), VARIANTS, max_tokens=4))
    assert [failure.format for failure in end.failures] == ["bf16"]
    assert [trial.format for trial in end.results] == ["fp32", "int8", "int2"]


def known(events):
    """What those events leave to know."""
    done = [event for event in events if isinstance(event, Done)]
    return Known({one.trial.format: one.trial for one in done}, done[0].logits)


class Mute(Parrot):
    """It can't compute."""

    def score(self, model, tokens):
        raise AssertionError


def test_what_was_kept_is_not_run_again():
    events = list(run(Parrot(), VARIANTS, max_tokens=4))
    first, left = finished(events), known(events)
    done = [event for event in events if isinstance(event, Done)]
    assert first.kept == ()
    assert [event.logits is not None for event in done] == [True, False, False, False]
    again = finished(run(Mute(), VARIANTS, max_tokens=4, known=left))
    assert again.kept == FORMATS
    assert again.results == first.results
    some = replace(left, trials={name: left.trials[name] for name in ("fp32", "bf16", "int2")})
    mended = finished(run(Parrot(), VARIANTS, max_tokens=4, known=some))
    assert mended.kept == ("fp32", "bf16", "int2")
    assert timeless(mended.results[2]) == timeless(first.results[2])


def timeless(trial):
    """The same without when, and how fast."""
    figures = {key: value for key, value in trial.figures.items() if not key.endswith("_ms")}
    return replace(trial, figures=figures, computed="")


def test_a_kept_reference_without_its_logits_is_run_again():
    events = list(run(Parrot(), VARIANTS, max_tokens=4))
    end = finished(run(Parrot(), VARIANTS, 4, known=replace(known(events), logits=None)))
    assert end.kept == FORMATS[1:]


def test_without_a_reference_nothing_is_compared():
    parrot = Parrot()
    with torch.no_grad():
        parrot.model[1].weight.fill_(math.nan)
    events = list(run(parrot, VARIANTS))
    assert [type(e) for e in events] == [Started, Failed, Finished]
    assert finished(events).results == ()


def test_closing_stops_at_once():
    events = run(Parrot(), VARIANTS, max_tokens=50)
    seen = [next(events) for _ in range(3)]
    events.close()
    assert isinstance(seen[-1], Written)
    assert list(events) == []


def test_a_length_of_nothing_is_refused():
    with pytest.raises(ValueError, match="max_tokens is 0"):
        next(run(Parrot(), [], max_tokens=0))
