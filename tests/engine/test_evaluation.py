"""Many items in several formats: equal to one after the other, stopped and gone on with."""

import itertools
import json
import time
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer

import qdemo
from qdemo.engine import between, outcomes
from qdemo.engine.datasets import DataSet, from_file, held_out
from qdemo.engine.engine import ENGINE
from qdemo.engine.evaluating import depends_on, judged
from qdemo.engine.evaluation import Progress, ask
from qdemo.engine.trials import Kept, Written
from qdemo.engine.turns import begun
from qdemo.models import availability
from qdemo.models.availability import get_entry
from qdemo.models.decoding import generate, score
from qdemo.spec.evidence import Data, Item, is_right
from qdemo.spec.evidence_file import as_text, from_text
from qdemo.spec.judging import summaries
from qdemo.spec.request import InputError
from qdemo.views.evidence_files import WRITERS
from qdemo.views.evidence_points import Findings
from tests import causal_folder

FORMATS = ["int8", "int3"]
pytestmark = pytest.mark.usefixtures("no_trials_kept")


@pytest.fixture
def batches_of_four(monkeypatch):
    monkeypatch.setattr(outcomes, "batch_of", lambda parameters: 4)


@pytest.fixture(scope="module")
def whole():
    """All of it in batches of four, without a break."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(outcomes, "batch_of", lambda parameters: 4)
        return without_seconds(run(asked()).evidence)


@pytest.fixture
def computed(monkeypatch):
    """One for each batch that was answered to its end."""
    found = []
    answering = outcomes.answering

    def counted(*given):
        own = yield from answering(*given)
        found.append(1)
        return own

    monkeypatch.setattr(outcomes, "answering", counted)
    return found


def asked(formats=FORMATS, limit=10, model="t5-tiny", seed=0):
    return ask(model, formats, held_out(get_entry(model)), limit, seed)


def run(evaluation, trials=None, stop_at=None, **limits):
    """The last that is told."""
    with begun() as each:
        for told in judged(evaluation, each, trials, **limits):
            assert isinstance(told, Progress)
            last = told
            if stop_at is not None and told.done >= stop_at:
                each.stop.set()
    return last


def without_seconds(evidence):
    document = json.loads(as_text(evidence))
    for result in document["results"]:
        del result["seconds"]
    return document | {"computed": ""}


@pytest.mark.parametrize(("model", "limit"), [("t5-tiny", 8), ("blip-tiny", 3)])
def test_it_is_what_each_item_alone_comes_to(model, limit):
    evidence = run(asked(limit=limit, model=model)).evidence
    loaded, data = ENGINE.loaded(get_entry(model)), held_out(get_entry(model))
    prompts = [loaded.family.encode(data.given(item)) for item in evidence.items]
    known = [list(generate(loaded.family, loaded.model, one, 64)) for one in prompts]
    for format in ("fp32", *FORMATS):
        variant = qdemo.Variant.parse(format).build(loaded.model)
        outcomes = evidence.format_named(format).outcomes
        assert len(outcomes) == limit
        for prompt, tokens, outcome in zip(prompts, known, outcomes, strict=True):
            assert outcome.output == text_of(loaded, variant, prompt)
            logits = [score(loaded.family, m, prompt, tokens) for m in (loaded.model, variant)]
            alone = qdemo.logit_difference(*logits)
            assert outcome.positions == len(tokens)
            assert outcome.same == int(alone.same.sum())
            assert outcome.kl == pytest.approx(alone.kl_mean, rel=1e-3, abs=1e-9)


def text_of(loaded, model, prompt):
    return loaded.family.decode(list(generate(loaded.family, model, prompt, 64)))


def test_items_are_of_the_held_out_ones_and_a_larger_limit_goes_on():
    small, large = asked(limit=5).data.items, asked(limit=9).data.items
    assert large[:5] == small != asked(limit=5, seed=1).data.items
    assert set(large) <= set(held_out(get_entry("t5-tiny")).items)


def test_what_it_comes_to_is_counted_by_hand():
    evidence = run(asked(["int3", "int2"], limit=20)).evidence
    _, int3, int2 = summaries(evidence)
    for summary in (int3, int2):
        outcomes = evidence.format_named(summary.format).outcomes
        right = [is_right(item, out) for item, out in zip(evidence.items, outcomes, strict=True)]
        assert summary.correct == (sum(right), 20)
    assert int2.verdict == "broken"
    assert int2.flips.right_to_wrong > 15


def test_a_format_that_fails_is_told_and_others_go_on():
    last = run(asked(["int4-g128", "int8"], limit=3))
    failed = last.evidence.format_named("int4-g128")
    assert "128 does not divide" in failed.ended
    assert not failed.outcomes
    assert [one.format for one in summaries(last.evidence)] == ["fp32", "int8"]
    assert last.finished
    assert last.done == last.total == 9


@pytest.mark.usefixtures("batches_of_four")
def test_stop_keeps_what_came_and_nothing_is_computed_twice(computed):
    last = run(asked(), stop_at=14)
    partial = last.evidence.format_named("int8")
    assert last.finished
    assert len(partial.outcomes) == 4
    assert partial.ended == "stopped before it finished"
    begun = [(one.format, bool(one.outcomes), one.ended) for one in last.evidence.judged]
    assert begun[::2] == [("fp32", True, ""), ("int3", False, partial.ended)]
    assert len(computed) in (4, 5)  # one may be through that nobody was told of
    whole = run(asked())
    assert len(computed) == 9
    assert whole.evidence.format_named("int8").outcomes[:4] == partial.outcomes
    again = run(asked())
    assert len(computed) == 9
    assert without_seconds(again.evidence) == without_seconds(whole.evidence)


@pytest.mark.usefixtures("batches_of_four")
def test_the_same_again_is_the_same_to_the_bit(whole):
    assert without_seconds(run(asked()).evidence) == whole


@pytest.mark.usefixtures("batches_of_four")
@pytest.mark.parametrize("cut", [0, 1, 40])
def test_what_broke_off_is_gone_on_with(tmp_path, computed, whole, cut):
    """Also in the middle of a line."""
    file, evaluation = tmp_path / "trials.jsonl", asked()
    run(evaluation, Written(file, evaluation.asked), stop_at=14)
    lines = file.read_text().splitlines()
    assert len(lines) == 1 + len(computed)
    if cut:
        file.write_text(file.read_text()[:-cut])
    gone_on = run(evaluation, Written(file, evaluation.asked)).evidence
    assert len(computed) == 9 + (cut > 0)
    assert len(file.read_text().splitlines()) == 10
    assert without_seconds(gone_on) == whole


@pytest.mark.parametrize("content", ["no JSON", "[]", '{"trials_of": "another"}'])
def test_another_file_is_not_gone_on_with(tmp_path, content):
    file = tmp_path / "trials.jsonl"
    file.write_text(content + "\n")
    with pytest.raises(ValueError, match=r"trials\.jsonl holds"):
        Written(file, asked().asked)
    assert file.read_text() == content + "\n"


@pytest.mark.parametrize("line", ["{}", "no JSON", '"start"', "[[", "\t", None])
@pytest.mark.usefixtures("batches_of_four")
def test_a_damaged_trial_is_named(tmp_path, line):
    """Also one whose numbers are other things."""
    file, evaluation = tmp_path / "trials.jsonl", asked(limit=8)
    run(evaluation, Written(file, evaluation.asked))
    lines = file.read_text().splitlines()
    lines[2] = lines[2].replace('"bytes": ', '"bytes": "much", "was": ') if line is None else line
    file.write_text("".join(f"{one}\n" for one in lines))
    with pytest.raises(ValueError, match=r"trials\.jsonl is damaged: line 3 is no trial"):
        Written(file, evaluation.asked)


def test_a_file_that_broke_off_in_its_first_line_is_begun_again(tmp_path):
    file, evaluation = tmp_path / "trials.jsonl", asked(limit=3)
    Written(file, evaluation.asked)
    heading = file.read_text()
    file.write_text(heading.removesuffix("\n"))
    assert Written(file, evaluation.asked).get("fp32", 0) is None
    assert file.read_text() == heading


def test_trials_of_one_evaluation_are_not_those_of_another():
    memory = ENGINE.keeping.trials
    for other in (asked(seed=1), ask("t5-tiny", FORMATS, asked().data, 10, 0, 5)):
        run(asked())
        assert Kept(memory, depends_on(asked())).get("int8", 0)
        assert Kept(memory, depends_on(other)).get("int8", 0) is None


@pytest.mark.usefixtures("batches_of_four")
def test_a_larger_limit_goes_on_with_what_a_smaller_one_has(tmp_path, computed, whole):
    """But not with its last batch, which was a part of one."""
    file = tmp_path / "trials.jsonl"
    run(asked(limit=6), Written(file, asked().asked))
    assert len(computed) == 6
    large = run(asked(limit=10), Written(file, asked().asked)).evidence
    assert len(computed) == 6 + 6
    assert without_seconds(large) == whole
    run(asked(limit=6), Written(file, asked().asked))
    assert len(computed) == 6 + 6 + 3


@pytest.mark.usefixtures("batches_of_four")
def test_windows_are_those_that_were_scored_whatever_was_kept(language_model):
    """The last batch of a smaller limit is none of a larger one."""
    data = a_text(language_model, 60)
    losses = {}
    for limit in (6, None, 3):
        for one in run(ask(language_model.name, ["int3-g8"], data, limit)).evidence.judged:
            found = [outcome.loss for outcome in one.outcomes]
            known = losses.setdefault(one.format, found)
            assert len(found) == (limit or 10)
            assert found == pytest.approx(known[: len(found)], rel=1e-5) or limit is None
            losses[one.format] = max(known, found, key=len)


def test_what_was_kept_of_other_weights_is_not_given(language_model):
    """Those in a folder may be changed, and its name stays."""
    asked = ask(language_model.name, ["int3-g8"], a_text(language_model, 12))
    before, again = run(asked).evidence, run(asked).evidence
    assert again.judged == before.judged
    file = language_model.folder / "model.safetensors"
    save_file({name: -0.5 * x for name, x in load_file(file).items()}, file, {"format": "pt"})
    ENGINE.keeping.models.clear()
    after = run(asked).evidence
    assert after.reference.outcomes[0].loss != before.reference.outcomes[0].loss


@pytest.mark.usefixtures("batches_of_four")
def test_a_comparison_goes_first():
    """Also where a batch is under way."""
    told = []
    with begun() as each, ENGINE.computing.place() as place:
        steps = judged(asked(), each)
        told += [next(steps), next(steps)]
        ENGINE.computing._leave(place)
        told += list(steps)
        ENGINE.computing._line.append(place)
    assert [one.yielding for one in told[:2]] == [False, True]
    assert not any(one.yielding for one in told[2:])
    assert told[-1].finished


@pytest.mark.usefixtures("batches_of_four")
def test_it_ends_where_a_host_s_limit_is(monkeypatch):
    """By a clock of our own, a second a step."""
    clock = SimpleNamespace(monotonic=itertools.count().__next__, sleep=time.sleep)
    monkeypatch.setattr(between, "time", clock)
    last = run(asked(), most_s=30)
    assert last.finished
    assert 0 < last.done < last.total
    assert last.evidence.judged[-1].ended == "stopped after 30 s, the longest here"


def test_where_nothing_may_be_computed_that_is_said_of_each_format():
    evidence = run(asked(), most_s=0).evidence
    assert [one.format for one in evidence.judged] == ["fp32", *FORMATS]
    assert {one.ended for one in evidence.judged} == {"stopped after 0 s, the longest here"}
    for writer in WRITERS.values():
        assert writer(Findings(from_text(as_text(evidence))), ())


def test_how_long_it_takes_is_told():
    with begun() as each:
        told = [one for one in judged(asked(limit=3), each) if not one.making]
    assert (told[0].done, told[0].seconds_left) == (0, None)
    assert told[1].seconds_left > 0
    assert told[-1].seconds_left == 0


def test_an_item_that_can_t_be_read_is_named():
    data = DataSet(Data("mine.txt", "items", 2, "ab"), (Item("Hello"), Item("5 + 5 " * 600)))
    with pytest.raises(InputError, match=r"item \d, '5 \+ 5 .*at most 512 are read") as caught:
        run(ask("t5-tiny", ["int8"], data))
    assert caught.value.field == "data"


@pytest.fixture
def language_model(tmp_path, monkeypatch):
    """A tiny one of random weights, in a folder."""
    folder = tmp_path / "neox"
    folder.mkdir()
    causal_folder.write(folder, "gpt_neox")
    (entry,) = availability.allowed(f"causal:{folder}", {}).values()
    monkeypatch.setitem(availability.MODELS, entry.name, entry)
    ENGINE.keeping.models.clear()
    return entry


def a_text(entry, times):
    file = entry.folder / "text.txt"
    file.write_text(causal_folder.TEXT * times)
    return from_file(entry, file, file.name, as_text=True)


def test_the_perplexity_of_a_text_is_transformers_own(language_model):
    """Windows of all that fits, of which the second half counts."""
    folder, data = language_model.folder, a_text(language_model, 12)
    fp32, int3 = summaries(run(ask(language_model.name, ["int3-g8"], data)).evidence)

    plain = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=False).eval()
    tokens = AutoTokenizer.from_pretrained(folder)(data.items[0].input).input_ids
    size = causal_folder.POSITIONS
    parts = torch.tensor(tokens[: len(tokens) // size * size]).view(-1, size)
    assert fp32.n == len(parts) > 1
    labels = parts.clone()
    labels[:, : size // 2] = -100
    with torch.no_grad():
        losses = [
            plain(p[None], labels=own[None]).loss for p, own in zip(parts, labels, strict=True)
        ]
    expected = torch.stack(losses).mean().exp().item()
    assert fp32.perplexity.value == pytest.approx(expected, rel=1e-4)
    assert int3.perplexity.ratio == pytest.approx(int3.perplexity.value / fp32.perplexity.value)


@pytest.mark.usefixtures("batches_of_four")
def test_the_same_items_in_another_order_are_computed_again(computed):
    """As many, of the same data and by the same seed: nothing but the items tells them apart."""
    evaluation = asked(limit=8)
    found = run(evaluation).evidence
    turned = replace(evaluation.data, items=evaluation.data.items[::-1])
    again = run(replace(evaluation, data=turned)).evidence
    assert len(computed) == 12
    for format in ("fp32", *FORMATS):
        outputs = [
            [out.output for out in one.format_named(format).outcomes] for one in (found, again)
        ]
        assert outputs[0] == outputs[1][::-1]
