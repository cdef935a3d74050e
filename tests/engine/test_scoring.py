"""A text that is given and scored, and not answered; and why an answer ends."""

import math
from dataclasses import replace

import pytest
import torch

from qdemo import Variant
from qdemo.engine.keeping import Asked, Keeping
from qdemo.measure.likelihood import losses
from qdemo.measure.measure import Found
from qdemo.models.decoding import score
from qdemo.settings import Settings
from qdemo.spec.decoding import Decoding
from qdemo.spec.report import Done, Finished, Started, Written
from qdemo.spec.request import Request
from qdemo.views.outcomes import ended_told
from qdemo.views.verdict import verdict
from tests.engine.test_comparing import VARIANTS, Mute, known
from tests.parrot import Parrot, compared, finished, run, scored

SCORE = Decoding("score")
FORMATS = ("bf16", "int8", "int2")


def test_nothing_is_written_and_every_format_is_fed_the_text():
    parrot = Parrot()
    events = list(run(parrot, VARIANTS, decoding=SCORE))
    assert [type(event) for event in events] == [Started, *[Done] * 4, Finished]
    report = finished(events)
    assert report.is_scored
    prompt = parrot.encode(None, "score")
    for trial in report.results:
        assert (trial.tokens, trial.ended) == (parrot.text, "given")
        assert trial.output == prompt.shown
        assert trial.pieces == tuple(f"<{token}>" for token in parrot.text)
        assert len(trial.top) == len(parrot.text)
        z = score(parrot, trial.variant.build(parrot.model), prompt, parrot.text)
        loss = losses(z, torch.tensor(parrot.text))
        assert trial.by_position["loss_by_position"] == tuple(loss.tolist())
        assert trial.figures["perplexity"] == loss.mean().exp().item()
    assert not isinstance(events[1], Written)


def test_an_answer_has_no_perplexity_and_a_text_no_time():
    answer, text = compared(FORMATS), scored(FORMATS)
    for trial in answer.results:
        assert "loss_by_position" not in trial.by_position
        assert "perplexity" not in trial.figures
    for trial in text.results:
        assert not [key for key in trial.figures if key.endswith("_ms") or "diverg" in key]


def test_a_reference_that_is_not_finite_is_nothing_to_compare_with():
    parrot = Parrot()
    with torch.no_grad():
        parrot.model[1].weight[3, 4] = math.nan
    report = scored(FORMATS, parrot)
    assert report.results == ()
    (failure,) = report.failures
    assert failure.reason == "fp32's own logits are not finite: a weight is NaN or infinite"


def test_a_format_that_is_not_finite_has_no_perplexity():
    parrot = Parrot()
    with torch.no_grad():
        parrot.model[0].weight[7, 5] = 1e6  # beyond fp16
        parrot.model[1].weight[:, 5] = 0  # infinity times nothing is NaN
    fp32, fp16 = scored(["fp16"], parrot).results
    assert fp32.figures["perplexity"] is not None
    assert fp16.figures["logit_invalid_positions"] == 1
    assert fp16.figures["perplexity"] is fp16.figures["perplexity_ratio"] is None
    loss = fp16.by_position["loss_by_position"]
    assert loss.index(None) == 1 + parrot.text.index(7)
    assert loss.count(None) == 1
    assert fp16.span.overflow.module == "0"


def test_a_token_that_can_t_come_harms_no_other():
    parrot = Parrot()
    with torch.no_grad():
        parrot.model[1].bias[4] = -1e6  # which is −∞ in fp16; the text has no such token
    fp32, fp16 = scored(["fp16"], parrot).results
    assert fp16.figures["logit_invalid_positions"] == len(parrot.text)
    assert fp16.figures["perplexity"] == pytest.approx(fp32.figures["perplexity"], rel=1e-3)


def test_what_was_kept_of_a_text_is_not_scored_again():
    events = list(run(Parrot(), VARIANTS, decoding=SCORE))
    first, left = finished(events), known(events)
    assert finished(run(Mute(), VARIANTS, known=left, decoding=SCORE)).results == first.results
    some = replace(left, trials={name: left.trials[name] for name in ("fp32", "int8")})
    mended = finished(run(Parrot(), VARIANTS, known=some, decoding=SCORE))
    assert mended.kept == ("fp32", "int8")
    for again, before in zip(mended.results, first.results, strict=True):
        assert again.figures == before.figures
        assert again.by_position == before.by_position


def request(**how):
    return Request("parrot", (Variant.parse("int8"),), "3", "prompt", **how)


def test_a_result_is_kept_by_how_it_was_chosen():
    drawn = [Decoding(temperature=0.7, seed=seed) for seed in (0, 1)]
    every = [Asked.by(request(decoding=how)) for how in (Decoding(), Decoding("text"), *drawn)]
    assert len(set(every)) == 4
    assert Asked.by(request(max_tokens=5)) != Asked.by(request())
    assert Asked.by(request(max_tokens=5, decoding=SCORE)) == Asked.by(request(decoding=SCORE))


def test_logits_for_which_there_is_no_room_are_not_even_copied(monkeypatch):
    events = list(run(Parrot(), VARIANTS, decoding=SCORE))
    first, other = [event for event in events if isinstance(event, Done)][:2]
    keeping = Keeping(Settings(result_bytes=first.logits.nbytes - 1))
    asked, copied = request(decoding=SCORE), []
    monkeypatch.setattr("qdemo.engine.keeping.pickle.dumps", lambda x: copied.append(x) or b"")
    keeping.keep(asked, first, Found())
    assert copied == []
    keeping.keep(asked, other, Found())
    assert [outcome.trial.format for outcome in copied] == ["bf16"]


@pytest.mark.parametrize(("most", "ends", "ended"), [(3, {0}, "length"), (64, None, "end")])
def test_why_an_answer_ends(most, ends, ended):
    first = compared([], max_tokens=3).results[0]
    last = first.tokens[-1]

    class Ending(Parrot):
        def encode(self, given, read_as="chat"):
            return replace(super().encode(given), ends=frozenset(ends or {last}))

    (trial,) = compared([], Ending(), max_tokens=most).results
    assert trial.ended == ended
    assert trial.tokens == first.tokens[: 1 + first.tokens.index(last)]


class Circling(Parrot):
    """It maps the last token to the next, so it goes round; and is stopped there."""

    def encode(self, given, read_as="chat"):
        return replace(super().encode(given), ends=frozenset(), may_repeat=False)


def test_an_answer_that_goes_round_in_a_circle_is_stopped_and_said_to_be():
    report = compared(["bf16"], Circling(), max_tokens=128)
    for trial in report.results:
        assert trial.ended == "repetition"
        assert len(trial.tokens) < 64
        assert ended_told(trial) == "stopped: it repeats itself"
    assert "fp32 and bf16 repeat themselves, and were stopped there." in verdict(report)
    drawn = compared([], Circling(), max_tokens=128, decoding=Decoding(temperature=5.0, seed=1))
    assert (drawn.results[0].ended, len(drawn.results[0].tokens)) == ("length", 128)
