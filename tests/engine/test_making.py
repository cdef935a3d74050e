"""A variant is told while it is made, stopped between layers, and refused where it takes long."""

from contextlib import closing
from dataclasses import replace

import pytest
import torch

from qdemo import Variant
from qdemo.compress import convert
from qdemo.compress.building import at_once
from qdemo.compress.probing import read_elsewhere
from qdemo.engine import calibrating, making
from qdemo.engine.calibrating import described, fitted, pairs
from qdemo.engine.engine import ENGINE, Engine
from qdemo.engine.estimating import count, seconds, seconds_of
from qdemo.engine.keeping import Keeping
from qdemo.engine.shelf import linear_layers
from qdemo.engine.turns import begun, stop
from qdemo.models.availability import get_entry
from qdemo.models.loading import load
from qdemo.settings import Settings
from qdemo.spec.report import Making
from tests.engine.test_engine import asked, progress

GPTQ = Variant.parse("int2-mse-gptq")


@pytest.fixture(scope="module")
def loaded():
    return load(get_entry("t5-tiny"))


def steps(loaded, variant, most_s=None, keeping=None):
    return list(making.made(loaded, variant, keeping or Keeping(Settings()), most_s))


def test_inputs_are_told_and_then_each_layer(loaded):
    told = steps(loaded, GPTQ)
    inputs = [one for one in told if one.what == "inputs"]
    layers = [one for one in told if one.what == "layers"]
    assert told == inputs + layers
    assert {one.format for one in told} == {"int2-mse-gptq"}
    assert [one.number for one in layers] == list(range(1, linear_layers(loaded.model) + 1))
    assert {one.count for one in layers} == {len(layers)}
    assert inputs[-1].number == inputs[-1].count == len(fitted(pairs(loaded)))


def test_a_weight_that_the_model_multiplies_with_by_itself_is_left_float():
    loaded = load(get_entry("t5-tiny"))
    layer = loaded.model.encoder.block[1].layer[1].DenseReluDense
    plain = layer.forward
    layer.forward = lambda x: plain(x) + 0 * (x @ layer.wi_0.weight.T).mean()
    gate = "encoder.block.1.layer.1.DenseReluDense.wi_0"
    with closing(making.made(loaded, Variant.parse("int8"), Keeping(Settings()))) as steps:
        built = at_once(steps)
    assert read_elsewhere(loaded.model) == {gate}
    assert type(built.get_submodule(gate)) is torch.nn.Linear
    batch = loaded.family.calibration_batch([("Translate to German: Tuesday", "Dienstag")])
    assert loaded.family.forward(built, batch).isfinite().all()


@pytest.mark.parametrize(
    ("text", "is_told"), [("int4", False), ("int4-mse", True), ("q8_0", False)]
)
def test_what_is_only_rounded_is_not_told(loaded, text, is_told):
    assert bool(steps(loaded, Variant.parse(text))) is is_told


def test_what_is_likely_to_take_too_long_is_refused_before_it_begins(loaded):
    steps_ = making.made(loaded, GPTQ, Keeping(Settings()), 1)
    with pytest.raises(ValueError, match=r"int2-mse-gptq would take about \d+ s here; this host"):
        next(steps_)


def test_what_takes_twice_as_long_as_it_may_is_given_up(loaded, monkeypatch):
    clock = iter([0.0, 10.0, 119.0, 121.0])
    monkeypatch.setattr(making.time, "monotonic", lambda: next(clock))
    told = making.made(loaded, GPTQ, Keeping(Settings()), 60)
    assert isinstance(next(told), Making)
    assert isinstance(next(told), Making)
    with pytest.raises(ValueError, match=r"this host allows 60 s for a method"):
        next(told)


def test_the_others_go_on_where_one_is_refused(nothing_loaded):
    own = Engine(Settings(method_s=0))
    *_, last = progress(asked(["int8", "int4-g64-gptq", "int4"]), own)
    assert [one.format for one in last.failures] == ["int4-g64-gptq"]
    assert "QDEMO_METHOD_S" in last.failures[0].reason
    assert [one.format for one in last.results] == ["fp32", "int8", "int4"]


def test_no_limit_holds_in_python(nothing_loaded):
    own = Engine(Settings(method_s=0))
    *_, last = own.run(asked(["int4-g64-gptq"]))
    assert not last.report.failures


def test_it_stops_between_layers_and_what_is_through_stays(nothing_loaded):
    with begun() as run:
        for known in ENGINE.told(asked(["int8", "int2-mse-gptq", "int4"]), run):
            if known.making is not None:
                stop(run.number)
            last = known
    assert [one.format for one in last.results] == ["fp32", "int8"]
    assert [one.format for one in last.stopped] == ["int2-mse-gptq", "int4"]
    assert last.making is None


def test_what_was_made_is_not_made_again(loaded):
    keeping = Keeping(Settings())
    first = at_once(making.made(loaded, GPTQ, keeping))
    assert at_once(making.made(loaded, GPTQ, keeping, 0)) is first
    other = Variant.parse("int3-gptq")
    assert all(one.what == "layers" for one in steps(loaded, other, None, keeping))


def test_a_report_says_which_inputs_were_looked_at(loaded):
    found = described(loaded)
    assert (found.fitted, found.own) == (192, True)
    assert found.measured <= 64
    *_, last = progress(asked(["int8"]))
    assert last.calibration == found


@pytest.mark.parametrize("name", ["t5-tiny", "blip-tiny"])
def test_inputs_are_counted_without_reading_them(name):
    assert count(get_entry(name)) == len(pairs(load(get_entry(name))))


def test_seconds_grow_with_the_model_and_with_what_is_done():
    texts = ("int4", "int4-hqq", "int4-mse", "int4-gptq", "int4-mse-gptq", "int4-awq", "q4_k-awq")
    found = [seconds(Variant.parse(text), 77_000_000, 96) for text in texts]
    assert found == sorted(found)
    assert seconds(GPTQ, 2 * 10**8, 96) == pytest.approx(2 * seconds(GPTQ, 10**8, 96))
    assert seconds(Variant.parse("bf16"), 10**9, 96) == 0
    mixed = replace(Variant.parse("int4"), exceptions=(("lm_head", GPTQ.default),))
    assert seconds(mixed, 10**8, 96) == seconds(GPTQ, 10**8, 96)
    assert 0 < seconds_of(GPTQ, "t5-tiny") < 5


@pytest.mark.parametrize(
    ("base", "text"),
    [
        ("int2-g64-affine-mse-gptq", "int2-g64-affine-mse-gptq~lm_head=fp32"),
        ("int2-mse-gptq", "int2-mse-gptq~decoder.block.1=int4~lm_head=int3-mse"),
        ("int3-mse~lm_head=fp32", "int3-mse@bf16~encoder.block.0=fp32"),
    ],
)
def test_what_a_kept_variant_holds_is_not_found_again(loaded, base, text, monkeypatch):
    variant, keeping = Variant.parse(text), Keeping(Settings())
    wanted = variant.build(loaded.model, calibrating.statistics_of(loaded))
    at_once(making.made(loaded, Variant.parse(base), keeping))
    keeping.stats.clear()
    found, real = [], convert.quantize_weight
    monkeypatch.setattr(convert, "quantize_weight", lambda *a: found.append(a) or real(*a))
    built = at_once(making.made(loaded, variant, keeping))
    assert len(found) <= 1  # the head, where the base has another step for it
    state, theirs = built.state_dict(), wanted.state_dict()
    assert state.keys() == theirs.keys()
    assert all(torch.equal(state[name], theirs[name]) for name in state)
    assert [*map(type, built.modules())] == [*map(type, wanted.modules())]


def test_an_exception_to_what_is_kept_is_allowed_any_time_limit(loaded):
    keeping = Keeping(Settings())
    at_once(making.made(loaded, GPTQ, keeping))
    keeping.stats.clear()
    at_once(making.made(loaded, Variant.parse("int2-mse-gptq~lm_head=fp32"), keeping, 1))
    with pytest.raises(ValueError, match="would take about"):
        at_once(making.made(loaded, Variant.parse("int3-mse-gptq~lm_head=fp32"), keeping, 1))


def test_what_is_kept_of_another_model_is_not_taken(loaded):
    keeping = Keeping(Settings())
    at_once(making.made(loaded, Variant.parse("int2-mse"), keeping))
    again = load(get_entry("t5-tiny"))
    with torch.no_grad():
        again.model.encoder.block[0].layer[0].SelfAttention.q.weight.mul_(2)
    built = at_once(making.made(again, Variant.parse("int2-mse~lm_head=fp32"), keeping))
    wanted = Variant.parse("int2-mse~lm_head=fp32").build(again.model)
    state, theirs = built.state_dict(), wanted.state_dict()
    assert all(torch.equal(state[name], theirs[name]) for name in state)
