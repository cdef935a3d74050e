"""A mix for a target: against all mixes of a small model, and what its text really holds."""

from itertools import product

import pytest
import torch

from qdemo import Variant
from qdemo.compress.building import at_once
from qdemo.compress.footprint import bits_per_weight, footprint
from qdemo.compress.parts import quantized_layers
from qdemo.engine.divergence import Divergence
from qdemo.engine.mixing import check_formats, mix
from qdemo.models.catalogue import Entry
from qdemo.models.loading import load
from qdemo.spec.mix import Mix, Target, variant_of
from qdemo.spec.step import Step
from qdemo.spec.variant import LONGEST
from qdemo.spec.written import as_text, from_text
from tests import causal_folder
from tests.models.models import write_t5

FORMATS = ("int8", "int4-g16", "int2")
ITEMS = 6


def local(task, folder):
    return load(Entry("small", task, tied=False, parameters=0, folder=folder))


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    return local("causal", causal_folder.write(tmp_path_factory.mktemp("neox"), "gpt_neox"))


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    folder = tmp_path_factory.mktemp("t5")
    write_t5(folder, tied=True, activation="gated-gelu")
    return local("text2text", folder)


def built(loaded, formats):
    return {Variant.parse(text): Variant.parse(text).build(loaded.model) for text in formats}


def found(loaded, target, value, formats=FORMATS, by="layer"):
    return at_once(mix(loaded, built(loaded, formats), Target(target, value), by, ITEMS))


def between(loaded, share, formats=FORMATS):
    """MB between the smallest and the largest of the formats."""
    sizes = [footprint(model).total for model in built(loaded, formats).values()]
    return (min(sizes) + share * (max(sizes) - min(sizes))) / 1e6


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_text_holds_what_is_promised(small, share):
    target = between(small, share)
    result = found(small, "mb", target)
    whole = Variant.parse(result.found.format).build(small.model)
    assert footprint(whole).total == result.found.bytes <= target * 1e6
    assert bits_per_weight(whole) == pytest.approx(result.found.bits_per_weight)
    measured = Divergence(small, ITEMS).of(whole)
    assert measured.mean == pytest.approx(result.found.kl.mean, rel=1e-9)
    assert (result.items, result.positions > ITEMS) == (ITEMS, True)
    for plain in result.plain:
        if plain.bytes <= target * 1e6:
            assert result.found.kl.mean <= plain.kl.mean


def test_it_is_among_the_best_of_all_mixes(small):
    """Of two formats for five kinds of layers, all 32 are built and measured."""
    formats = ("int8", "int3")
    models = built(small, formats)
    names = [name for (name,) in quantized_layers(small.model, models[Variant.parse("int3")])]
    kinds = dict.fromkeys(name.rpartition(".")[2] for name in names)
    divergence, every = Divergence(small, ITEMS), []
    for choice in product(formats, repeat=len(kinds)):
        of_kind = dict(zip(kinds, choice, strict=True))
        steps = {name: Step.parse(of_kind[name.rpartition(".")[2]]) for name in names}
        model = variant_of(steps).build(small.model)
        every.append((footprint(model).total, divergence.of(model).mean))
    for share in (0.2, 0.4, 0.6, 0.8):
        result = found(small, "mb", between(small, share, formats), formats, "kind")
        kl = [kl for size, kl in every if size <= between(small, share, formats) * 1e6]
        assert sum(one < result.found.kl.mean * (1 - 1e-9) for one in kl) <= 0.1 * len(kl)


def test_bits_and_kl_as_targets(small):
    bits = found(small, "bits", 4.0)
    assert 3.5 < bits.found.bits_per_weight <= 4.0
    kl = found(small, "kl", bits.found.kl.mean)
    assert kl.found.kl.mean <= bits.found.kl.mean
    assert found(small, "kl", 1e9).found.format == "int2"
    plain = {one.format: one for one in kl.plain}
    assert kl.found.bytes <= plain["int8"].bytes


def test_more_room_never_makes_it_worse(small):
    kl = [found(small, "mb", between(small, share)).found.kl.mean for share in (0, 0.5, 1)]
    assert kl == sorted(kl, reverse=True)
    assert found(small, "mb", between(small, 1)).found.kl.mean <= kl[-1]


def test_float_layers_may_be_part_of_it(small):
    formats = ("int4", "int2", "fp32")
    result = found(small, "mb", between(small, 0.4, formats), formats)
    whole = Variant.parse(result.found.format).build(small.model)
    assert footprint(whole).total == result.found.bytes
    assert "fp32" in {part.format for part in result.parts}
    everything = found(small, "kl", 1e-30, formats)
    assert everything.found.format == "fp32"
    assert everything.found.kl.mean == 0


@pytest.mark.parametrize("text", ["int8+emb", "int8"])
def test_tied_matrices_stay_together(t5, text):
    emb = "+emb" * text.endswith("+emb")
    formats = (text, f"int4-g16{emb}", f"int2{emb}")
    result = found(t5, "mb", between(t5, 0.5, formats), formats, "block")
    whole = Variant.parse(result.found.format).build(t5.model)
    assert footprint(whole).total == result.found.bytes
    measured = Divergence(t5, ITEMS).of(whole)
    assert measured.mean == pytest.approx(result.found.kl.mean, rel=1e-9)
    assert isinstance(whole.lm_head, torch.nn.Linear) == (not emb)


def test_blocks_are_of_one_format(t5):
    result = found(t5, "bits", 5, by="block")
    names = {part.name for part in result.parts}
    assert names == {f"{side}.block.{n}" for side in ("encoder", "decoder") for n in (0, 1)}
    assert len(result.found.format) < 120


def test_what_can_not_be_reached_says_what_can(small):
    with pytest.raises(ValueError, match=r"0.001 MB can't be reached .* the smallest mix has \d"):
        found(small, "mb", 0.001)
    with pytest.raises(ValueError, match=r"1\.5 bits a weight can't be reached"):
        found(small, "bits", 1.5)
    with pytest.raises(ValueError, match=r"a KL of 1e-20 nats can't be reached .* has"):
        found(small, "kl", 1e-20)


@pytest.mark.parametrize(
    ("formats", "told"),
    [
        (["int8"], "two formats or more"),
        (["int8", "int8"], "each named once"),
        (["int8", "int4@bf16"], "int4@bf16 can't be in a mix"),
        (["int8", "bf16"], "bf16 can't be in a mix"),
        (["int8", "int4~a=int8"], "without exceptions"),
        (["int8+emb", "int4"], r"all have \+emb, or none has"),
        (["fp32", "fp32"], "each named once"),
    ],
)
def test_what_can_not_be_mixed_is_refused(formats, told):
    with pytest.raises(ValueError, match=told):
        check_formats([Variant.parse(text) for text in formats])


@pytest.mark.parametrize("value", [0.0, -1.0, float("inf"), float("nan")])
def test_a_target_is_a_number_above_nothing(value):
    with pytest.raises(ValueError, match="expected a number above 0"):
        Target("mb", value)


def test_it_tells_what_it_measures_and_stops_when_it_is_closed(small):
    steps = mix(small, built(small, FORMATS), Target("bits", 4), "layer", ITEMS)
    assert [next(steps).name for _ in FORMATS] == [*FORMATS]
    one = next(steps)
    assert (one.name.endswith(" = int8"), one.number, one.count) == (True, 1, 27)
    steps.close()
    assert list(steps) == []


def test_json_both_ways(small):
    result = found(small, "bits", 4)
    assert from_text(Mix, as_text(result)) == result


def held(variant, name):
    """The step of a module, by the rule that the first exception above it wins."""
    for own, step in variant.exceptions:
        if name == own or name.startswith(f"{own}."):
            return step
    return variant.default


def test_few_words_say_the_same():
    generator = torch.Generator().manual_seed(3)
    steps = [Step.parse(text) for text in ("int8", "int4-g64", "nf4", "fp32")]
    names = [f"{a}.block.{b}.{c}.{d}" for a in "xy" for b in range(4) for c in "pq" for d in "kv"]
    names += ["head", "x.last"]
    for likely in (0.5, 0.1, 0.01):
        for _ in range(20):
            numbers = torch.rand(len(names), generator=generator)
            chosen = {n: steps[int(u / likely) % 4] for n, u in zip(names, numbers, strict=True)}
            short, plain = variant_of(chosen), variant_of(chosen, inner=False)
            for variant in (short, plain):
                assert {name: held(variant, name) for name in names} == chosen
                assert Variant.parse(str(variant)) == variant
            assert len(str(short)) <= len(str(plain))
    block = {name: steps["x.block.2" in name] for name in names}
    assert str(variant_of(block)) == "int8~x.block.2=int4-g64"


def test_a_text_that_is_too_long_names_the_way_out():
    two = [Step.parse("int8"), Step.parse("int4")]
    steps = {f"model.layers.{i}.{'long' * 5}.q": two[i % 2] for i in range(400)}
    with pytest.raises(ValueError, match=f"of which {LONGEST:,} are read; have blocks mixed"):
        variant_of(steps)
    assert variant_of(dict.fromkeys(steps, two[0])) == Variant.parse("int8")
    assert variant_of(dict.fromkeys(steps, Step(cast="fp32"))) == Variant()


@pytest.mark.parametrize(("target", "share"), [("mb", 0.999), ("bits", 0.999)])
def test_what_is_too_small_is_refused_before_anything_is_measured(small, target, share):
    smallest = min(built(small, FORMATS).values(), key=lambda model: footprint(model).total)
    sizes = {"mb": footprint(smallest).total / 1e6, "bits": bits_per_weight(smallest)}
    steps = mix(small, built(small, FORMATS), Target(target, share * sizes[target]), "layer", ITEMS)
    with pytest.raises(ValueError, match=f"the smallest mix has {sizes['mb']:.3f} MB"):
        next(steps)
