"""Which layer hurts: against a plain computation with variants that are built one by one."""

import builtins
import io
import os
from pathlib import Path

import pytest
import torch

from qdemo import Variant
from qdemo.compress.building import at_once
from qdemo.compress.footprint import footprint
from qdemo.engine import calibrating
from qdemo.engine.answering import Question
from qdemo.engine.divergence import Divergence, mean_by_item
from qdemo.engine.mixing import mix
from qdemo.engine.repairing import repair
from qdemo.engine.sensitivity import groups, sensitivity
from qdemo.measure.layers import output_errors
from qdemo.models.availability import get_entry
from qdemo.models.catalogue import Entry
from qdemo.models.loading import load
from qdemo.spec.decoding import GREEDY
from qdemo.spec.mix import Target
from qdemo.spec.sensitivity import BY, Kl, Sensitivity, check_by
from qdemo.spec.written import as_text, from_text
from tests import causal_folder
from tests.models.models import write_blip, write_t5

ITEMS = 5


def local(task, folder):
    return load(Entry(f"small-{task}", task, tied=False, parameters=0, folder=folder))


@pytest.fixture(scope="module")
def t5(tmp_path_factory):
    folder = tmp_path_factory.mktemp("t5")
    write_t5(folder, tied=True, activation="gated-gelu")
    return local("text2text", folder)


def build(loaded, text):
    return Variant.parse(text).build(loaded.model)


def inputs_of(loaded):
    pairs = calibrating.pairs(loaded)
    return calibrating.collect(loaded, pairs, 24, calibrating.quarter(len(pairs)))


def found(loaded, text, by="layer", items=ITEMS):
    steps = sensitivity(
        loaded, Variant.parse(text), build(loaded, text), inputs_of(loaded), by, items
    )
    return at_once(steps)


def plain_kl(loaded, model, items=ITEMS):
    """KL position by position, each item alone, with torch's own KL divergence."""
    pairs = calibrating.pairs(loaded)
    chosen = [pairs[i] for i in calibrating.spread(len(pairs), items)]
    values, sizes = [], []
    for pair in chosen:
        batch = loaded.family.calibration_batch([pair])
        with torch.inference_mode():
            ours, theirs = (
                loaded.family.forward(m, batch)[batch.masks[-1]].double().log_softmax(-1)
                for m in (model, loaded.model)
            )
        every = torch.nn.functional.kl_div(ours, theirs, reduction="none", log_target=True).sum(1)
        values.append(every.sum().item())
        sizes.append(len(every))
    return sum(values) / sum(sizes), sum(sizes)


@pytest.mark.parametrize("text", ["int3", "int3+emb"])
def test_alone_and_back_are_those_of_variants_that_are_built(t5, text):
    result = found(t5, text)
    assert result.items == ITEMS
    whole, positions = plain_kl(t5, build(t5, text))
    assert result.positions == positions
    assert result.whole.mean == pytest.approx(whole, rel=1e-4)
    names = [name for part in result.parts for name in part.modules]
    reference = footprint(t5.model).total
    for part in result.parts[::4]:
        back = build(t5, text + "".join(f"~{name}=fp32" for name in part.modules))
        assert part.back.mean == pytest.approx(plain_kl(t5, back)[0], rel=1e-4)
        assert part.taken == pytest.approx(1 - part.back.mean / result.whole.mean)
        rest = [name for name in names if name not in part.modules]
        alone = build(t5, text + "".join(f"~{name}=fp32" for name in rest))
        assert part.alone.mean == pytest.approx(plain_kl(t5, alone)[0], rel=1e-4)
        assert part.saved == reference - footprint(alone).total


def test_output_errors_and_parameters_are_pooled(t5):
    built, inputs = build(t5, "int3"), inputs_of(t5)
    sums = {name: (error, size) for name, error, size in output_errors(t5.model, built, inputs)}
    result = found(t5, "int3", "kind")
    part = next(one for one in result.parts if one.name == "wi_0")
    own = [sums[name] for name in part.modules]
    assert part.layers == len(own) == 4
    assert part.output_error**2 == pytest.approx(sum(e for e, _ in own) / sum(s for _, s in own))
    assert part.parameters == 4 * 32 * 64


def test_what_is_tied_is_counted_once_and_what_is_torn_in_its_part(t5):
    for text in ("int8+emb", "int8~lm_head=int4"):
        parts = {name: part for part in found(t5, text, items=1).parts for name in part.modules}
        assert parts["lm_head"].parameters == 10 * 32
    assert parts["lm_head"].modules == ("lm_head",)


@pytest.mark.parametrize("by", BY)
def test_every_layer_is_in_one_part(t5, by):
    result = found(t5, "int4", by)
    assert sum(part.layers for part in result.parts) == len(found(t5, "int4").parts)
    names = [part.name for part in result.parts]
    assert len(set(names)) == len(names)
    if by == "block":
        assert "encoder.block.0" in names
        assert next(p for p in result.parts if p.name == "encoder.block.0").modules == (
            "encoder.block.0",
        )
    assert [p.back.mean for p in result.worst()] == sorted(p.back.mean for p in result.parts)


def test_a_block_that_is_tied_to_another_names_its_layers():
    layers = [("a.0.q",), ("a.0.v", "a.1.v"), ("a.1.q",)]
    first, second = groups(layers, "block")
    assert first.layers == first.modules == ("a.0.q", "a.0.v", "a.1.v")
    assert second.layers == second.modules == ("a.1.q",)


def test_pictures_and_language_models(tmp_path):
    write_blip(tmp_path)
    picture = found(local("captioning", tmp_path), "int3", "block", 2)
    assert "vision_model.encoder.layers.0" in [part.name for part in picture.parts]
    causal = local("causal", causal_folder.write(tmp_path / "causal", "gpt_neox"))
    result = found(causal, "int3", "kind", 3)
    assert {"query_key_value", "dense", "dense_h_to_4h"} <= {part.name for part in result.parts}
    assert result.whole.mean == pytest.approx(
        plain_kl(causal, build(causal, "int3"), 3)[0], rel=1e-4
    )


def test_the_standard_error_is_that_of_whole_items():
    values = torch.rand(60, generator=torch.Generator().manual_seed(2))
    equal = torch.arange(12).repeat_interleave(5)
    means = values.double().view(12, 5).mean(1)
    found = mean_by_item(values, equal, 12)
    assert found.mean == pytest.approx(values.mean().item())
    assert found.error == pytest.approx((means.std() / 12**0.5).item())
    assert mean_by_item(values, torch.zeros(60, dtype=torch.int64), 1).error is None


@pytest.mark.parametrize("name", ["t5-tiny", "blip-tiny"])
def test_only_calibration_items_are_read(name, monkeypatch):
    loaded = load(get_entry(name))
    opened = []

    def watched(real):
        def opening(file, *args, **named):
            opened.append(str(file))
            assert "heldout" not in str(file).replace("-", "").replace("_", "")
            return real(file, *args, **named)

        return opening

    monkeypatch.setattr(builtins, "open", watched(builtins.open))
    monkeypatch.setattr(io, "open", watched(io.open))
    monkeypatch.setattr(os, "open", watched(os.open))
    monkeypatch.setattr(Path, "open", watched(Path.open))
    result = found(loaded, "int2", "kind", 3)
    formats = {Variant.parse(text): build(loaded, text) for text in ("int8", "int2")}
    at_once(mix(loaded, formats, Target("kl", 0.5), "kind", 3))
    given = calibrating.pairs(loaded)[0][0]
    asked = Question(loaded.family, loaded.family.encode(given), 2, GREEDY)
    at_once(repair(loaded, asked, Variant.parse("int3"), build(loaded, "int3"), most_pairs=1))
    assert {Path(file).name for file in opened if file.endswith(".tsv")} == {"calibration.tsv"}
    assert result.items == 3


def test_items_are_spread_and_counted(t5):
    assert Divergence(t5, 10**6).items == len(calibrating.pairs(t5))
    with pytest.raises(ValueError, match="0 items, expected at least 1"):
        Divergence(t5, 0)


def test_it_tells_each_part_and_stops_when_it_is_closed(t5):
    built = build(t5, "int4")
    steps = sensitivity(t5, Variant.parse("int4"), built, {}, "kind", 2)
    first = next(steps)
    assert (first.name, first.number) == ("q", 1)
    assert next(steps).number == 2
    steps.close()
    assert list(steps) == []


def test_what_can_not_be_taken_apart_is_refused(t5):
    with pytest.raises(ValueError, match="computed in fp32"):
        found(t5, "int8@bf16")
    with pytest.raises(ValueError, match="quantizes no layer"):
        found(t5, "fp32")
    with pytest.raises(ValueError, match="expected one of layer, kind, block"):
        check_by("row")


def test_json_both_ways(t5):
    result = found(t5, "int3", "kind", 2)
    assert from_text(Sensitivity, as_text(result)) == result
    for wrong in ("", "[]", "{}", as_text(Kl(0.5, None)), as_text(result).replace("q", "", 1)[:99]):
        with pytest.raises(ValueError, match="expected sensitivity as JSON"):
            from_text(Sensitivity, wrong)
    later = as_text(result).replace('"schema": 1', '"schema": 2')
    with pytest.raises(ValueError, match="schema 1"):
        from_text(Sensitivity, later)
