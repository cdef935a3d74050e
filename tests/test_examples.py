"""What is shown before anyone has asked is what comes out when it is asked for now."""

import json

import pytest

from assets.examples import evidence, layers, stories
from qdemo.engine.engine import ENGINE
from qdemo.engine.first import libraries
from qdemo.spec.document import as_json
from qdemo.spec.variant import Variant
from qdemo.ui import evidence_held, held, layers_part, mix_part
from qdemo.views.stories import FILE, QUESTIONS

TIMES = ("_ms",)


@pytest.fixture(scope="module")
def now():
    return stories.compute()


@pytest.fixture(scope="module")
def before():
    return json.loads(FILE.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    "part",
    ["answers", "outlier", "matrix", "overflow", "accuracy", "items", "captions", "pictures"],
)
def test_the_stories_come_out_as_they_are_told(now, before, part):
    assert now[part] == before[part]


def test_the_file_has_nothing_else(now, before):
    assert now.keys() == before.keys()
    assert before["computed"]
    assert before["processor"]
    assert before["picture"].startswith("data:image/webp;base64,")


def test_the_example_is_the_first_story():
    libraries()
    example, again = held.example(), stories.report(QUESTIONS["agree"])
    assert (example.model, example.input) == (again.model, again.input)
    for one, other in zip(example.results, again.results, strict=True):
        assert (one.format, one.output, one.tokens) == (other.format, other.output, other.tokens)
        assert one.footprint == other.footprint
        known = {key for key, value in one.figures.items() if value is not None}
        assert known == {key for key, value in other.figures.items() if value is not None}
        for key in known - {key for key in known if key.endswith(TIMES)}:
            assert other.figures[key] == pytest.approx(one.figures[key], rel=1e-2, abs=1e-9), key
    assert set(as_json(example)) == set(as_json(again))


SOME = ("bf16", "int3", "int2-g64-hqq")
"""Formats of the evaluation that are computed again."""


def test_the_evaluation_has_every_format_over_all_items():
    example = evidence_held.example().evidence
    assert [one.format for one in example.judged] == ["fp32", *evidence.FORMATS]
    assert {len(one.outcomes) for one in example.judged} == {example.data.total}
    assert example.data.is_held_out
    assert example.computed
    assert evidence_held.FILE.stat().st_size < 400_000


def test_the_evaluation_comes_out_as_it_is_shown():
    example, again = evidence_held.example().evidence, evidence.compute(SOME, 64)
    assert (example.data, example.seed) == (again.data, again.seed)
    assert example.items[:64] == again.items
    for one in again.judged:
        before = example.format_named(one.format)
        assert (before.bytes, before.bits_per_weight) == (one.bytes, one.bits_per_weight)
        errors = [found.output_error or 0.0 for found in (before, one)]
        assert errors[0] == pytest.approx(errors[1], rel=1e-3)
        for was, now in zip(before.outcomes, one.outcomes, strict=False):
            assert (was.output, was.same) == (now.output, now.same)
            assert was.kl == pytest.approx(now.kl, rel=1e-2, abs=1e-8)


def test_the_layers_that_hurt_are_those_that_are_shown():
    """By kinds, which are fewer: the format is as far from fp32 whatever its parts are."""
    example, again = layers_part.example(), layers.hurts("kind", items=layers.sensitivity.ITEMS)
    assert (example.model, example.format, example.by) == (layers.MODEL, layers.HURTS, "layer")
    assert (example.items, example.positions) == (again.items, again.positions)
    assert example.whole.mean == pytest.approx(again.whole.mean, rel=1e-3)
    head = [next(part for part in one.parts if part.name == "lm_head") for one in (example, again)]
    assert head[0].back.mean == pytest.approx(head[1].back.mean, rel=1e-3)
    assert sum(part.saved for part in example.parts) == sum(part.saved for part in again.parts)


def test_the_mix_is_one_of_its_formats_for_its_target():
    example = mix_part.example()
    found, variant = example.mix, Variant.parse(example.mix.found.format)
    assert [one.format for one in found.plain] == list(layers.MIXED)
    assert found.target == layers.TARGET
    assert found.found.bytes <= 1e6 * found.target.value
    assert str(variant) == found.found.format
    from qdemo.engine.layerwise import exports_of

    libraries()
    assert exports_of(ENGINE, layers.MODEL, variant) == example.exports
