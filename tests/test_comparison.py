import math

import pytest
import torch
from torch import nn

from qdemo import Variant, footprint, logit_difference
from qdemo.comparison import REFERENCE, run
from qdemo.measure.outputs import first_divergence
from qdemo.results import Done, Failed, Finished, InputToken, Started, Written

VARIANTS = [Variant.parse(text) for text in ("bf16", "int8", "int2")]


class Parrot:
    """A runner whose model maps the last token to the next; it stops at token 0."""

    name, shown, kept_wide = "parrot", "3", ()
    read = (InputToken("<3>", "3"),)

    def __init__(self, width=24, vocabulary=12):
        torch.manual_seed(5)
        self.model = nn.Sequential(nn.Embedding(vocabulary, width), nn.Linear(width, vocabulary))

    def _logits(self, model, tokens):
        with torch.no_grad():
            return model(torch.tensor(tokens))

    def generate(self, model, max_tokens):
        token = 3
        for _ in range(max_tokens):
            logits = self._logits(model, [token])[0]
            if not torch.isfinite(logits).all():
                raise ArithmeticError("the logits are not finite")
            token = int(logits.argmax())
            yield token
            if token == 0:
                return

    def score(self, model, tokens):
        return self._logits(model, [3, *tokens[:-1]])

    def decode(self, tokens):
        return " ".join(map(str, tokens))

    def pieces(self, tokens):
        return [f"<{token}>" for token in tokens]


def finished(events):
    *_, last = events
    assert isinstance(last, Finished)
    return last.comparison


def test_events_come_in_order():
    events = list(run(Parrot(), VARIANTS, max_tokens=5))
    assert isinstance(events[0], Started)
    assert events[0].comparison.variants == (REFERENCE, *VARIANTS)
    assert events[0].comparison.results == ()
    assert [e.result.variant for e in events if isinstance(e, Done)] == [REFERENCE, *VARIANTS]
    texts = [e.text for e in events if isinstance(e, Written) and e.variant == REFERENCE]
    assert [len(text.split()) for text in texts] == [1, 2, 3, 4, 5]
    assert finished(events).results[0].text == texts[-1]


def test_the_reference_runs_once_and_first():
    for variants in ([], [REFERENCE], [Variant.parse("int8"), REFERENCE, Variant.parse("int8")]):
        wanted = next(run(Parrot(), variants)).comparison.variants
        assert wanted[0] == REFERENCE
        assert len(set(wanted)) == len(wanted)


def test_every_figure_is_that_of_a_plain_computation():
    runner = Parrot()
    reference, *others = finished(run(runner, VARIANTS, max_tokens=6)).results
    assert reference.tokens == tuple(runner.generate(runner.model, 6))
    assert (reference.logits, reference.divergence, reference.weights) == (None, None, None)
    wanted = runner.score(runner.model, reference.tokens)
    for result in others:
        model = result.variant.build(runner.model)
        difference = logit_difference(wanted, runner.score(model, reference.tokens))
        assert result.logits.mean_abs == difference.mean_abs
        assert result.logits.kl_mean == difference.kl_mean
        assert result.tokens == tuple(runner.generate(model, 6))
        first = first_divergence(reference.tokens, result.tokens)
        assert result.divergence == (None if first is None else first + 1)
        assert result.footprint == footprint(model)
        assert list(result.weights) == ["0.weight", "1.weight", "1.bias"]


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
    assert reference.first_token_s > 0
    assert reference.token_ms > 0
    assert finished(run(Parrot(), [], max_tokens=1)).results[0].token_ms is None


def test_a_variant_that_fails_leaves_the_others_alive():
    runner = Parrot()
    with torch.no_grad():
        runner.model[1].weight.mul_(1e6)  # beyond fp16
    events = list(run(runner, map(Variant.parse, ["fp16", "int8-g9", "bf16"]), max_tokens=3))
    failed = {str(e.variant): e.reason for e in events if isinstance(e, Failed)}
    assert failed.keys() == {"fp16", "int8-g9"}
    assert failed["fp16"] == "the logits are not finite; first in what comes out of 1"
    assert "group_size 9 does not divide the row length 24" in failed["int8-g9"]
    end = finished(events)
    assert [str(result.variant) for result in end.results] == ["fp32", "bf16"]
    assert [str(failure.variant) for failure in end.failures] == ["fp16", "int8-g9"]


class Spoilt(Parrot):
    """A parrot that comes to grief in one format."""

    def __init__(self, format, error):
        super().__init__()
        self._format, self._error = format, error

    def score(self, model, tokens):
        if footprint(model) == footprint(Variant.parse(self._format).build(self.model)):
            raise self._error
        return super().score(model, tokens)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (MemoryError(), "there is not enough memory free for this format"),
        (
            RuntimeError("[at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory"),
            "there is not enough memory free for this format",
        ),
        (ValueError("3 is no 4"), "3 is no 4"),
        (TypeError("in /home/me"), "the model broke off (TypeError); the log has the rest"),
        (ValueError("two\nlines"), "the model broke off (ValueError); the log has the rest"),
        (IndexError(), "the model broke off (IndexError); the log has the rest"),
    ],
)
def test_whatever_befalls_a_format_the_others_go_on(error, reason):
    end = finished(run(Spoilt("bf16", error), VARIANTS, max_tokens=4))
    assert [(str(one.variant), one.reason) for one in end.failures] == [("bf16", reason)]
    assert [str(result.variant) for result in end.results] == ["fp32", "int8", "int2"]


def test_a_nan_in_the_weights_of_one_format_fails_that_one(monkeypatch):
    build = Variant.build

    def spoilt(variant, model):
        built = build(variant, model)
        if str(variant) == "bf16":
            with torch.no_grad():
                built[1].weight[0, 0] = math.nan
        return built

    monkeypatch.setattr(Variant, "build", spoilt)
    end = finished(run(Parrot(), VARIANTS, max_tokens=4))
    assert [str(failure.variant) for failure in end.failures] == ["bf16"]
    assert [str(result.variant) for result in end.results] == ["fp32", "int8", "int2"]


def test_what_was_kept_is_not_run_again():
    class Kept(dict):
        put = dict.__setitem__

        def get_weights(self, variant):
            return None

        def put_weights(self, variant, errors):
            pass

    kept = Kept()
    first = finished(run(Parrot(), VARIANTS, max_tokens=4, kept=kept))
    assert (first.kept, list(kept)) == ((), [REFERENCE, *VARIANTS])
    assert [outcome.logits is not None for outcome in kept.values()] == [True, False, False, False]

    class Mute(Parrot):
        def generate(self, model, max_tokens):
            raise AssertionError

    again = finished(run(Mute(), VARIANTS, max_tokens=4, kept=kept))
    assert again.kept == (REFERENCE, *VARIANTS)
    assert again.results == first.results
    del kept[VARIANTS[1]]
    mended = finished(run(Parrot(), VARIANTS, max_tokens=4, kept=kept))
    assert mended.kept == (REFERENCE, VARIANTS[0], VARIANTS[2])
    assert mended.results[2].logits.mean_abs == first.results[2].logits.mean_abs


def test_without_a_reference_nothing_is_compared():
    runner = Parrot()
    with torch.no_grad():
        runner.model[1].weight.fill_(math.nan)
    events = list(run(runner, VARIANTS))
    assert [type(e) for e in events] == [Started, Failed, Finished]
    assert finished(events).results == ()


def test_closing_stops_at_once():
    runner = Parrot()
    events = run(runner, VARIANTS, max_tokens=50)
    seen = [next(events) for _ in range(3)]
    events.close()
    assert isinstance(seen[-1], Written)
    assert list(events) == []


def test_a_length_of_nothing_is_refused():
    with pytest.raises(ValueError, match="max_tokens is 0"):
        next(run(Parrot(), [], max_tokens=0))
