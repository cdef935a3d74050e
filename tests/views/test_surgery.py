"""What is offered for one layer, what comes of it, and how formats with exceptions are called."""

from dataclasses import replace

import pytest

from qdemo import Variant
from qdemo.spec.decoding import Decoding
from qdemo.spec.repair import Repair, Tried
from qdemo.views.cards import cards
from qdemo.views.colours import colour, contrast
from qdemo.views.exceptions import called, labels, shortened_in
from qdemo.views.panels import verdict_html
from qdemo.views.surgery import Operation, check_room, operated, repair_told, repairable
from tests.views.documents import Page, compared, figured

LAYERS = [f"decoder.block.{i}.layer.1.EncDecAttention.{one}" for i in range(3) for one in "qkvo"]
LONG = "~".join(["int2-g64-affine-mse-gptq", *(f"{name}=fp32" for name in LAYERS)])


@pytest.fixture(scope="module")
def report():
    return compared(("int3", "int8", "bf16", "int4~1=int8"))


@pytest.mark.parametrize(
    ("format", "way", "wanted"),
    [
        ("int3", "fp32", "int3~1=fp32"),
        ("int3", "int8", "int3~1=int8"),
        ("int3", "alone", "fp32~1=int3"),
        ("int8", "alone", "fp32~1=int8"),
        ("bf16", "fp32", "bf16~1=fp32"),
        ("bf16", "alone", "fp32~1=bf16"),
        ("int4~1=int8", "fp32", "int4~1=fp32"),
        ("int4~1=int8", "alone", "fp32~1=int8"),
    ],
)
def test_a_layer_goes_back_or_is_alone(report, format, way, wanted):
    found = operated(report, Operation(format, "1.weight", way))
    assert str(found) == wanted
    assert Variant.parse(wanted) == found


@pytest.mark.parametrize(
    ("format", "parameter", "way", "why"),
    [
        ("int8", "1.weight", "int8", "1 is int8 in int8 already"),
        ("int4~1=int8", "1.weight", "int8", r"1 is int8 in int4 \(1 in int8\) already"),
        ("int3", "0.weight", "fp32", "0 is fp32 in int3 already"),
        ("int3", "0.weight", "alone", "0 is fp32 in int3 already"),
        ("int5", "1.weight", "fp32", "this comparison has no int5"),
    ],
)
def test_what_changes_nothing_is_refused(report, format, parameter, way, why):
    with pytest.raises(ValueError, match=why):
        operated(report, Operation(format, parameter, way))


def test_another_way_is_refused():
    with pytest.raises(ValueError, match="'int9' is no way; expected fp32, int8, alone"):
        Operation("int3", "1.weight", "int9")


def test_there_is_room_for_twelve():
    twelve = ["fp32", *(f"int4-g{size}" for size in range(2, 14))]
    check_room(twelve, Variant.parse("int4-g2"))
    check_room(twelve[:-1], Variant.parse("int8"))
    with pytest.raises(ValueError, match="At most 12 formats at a time"):
        check_room(twelve, Variant.parse("int8"))


def test_only_answers_that_differ_are_repaired(report):
    first, *others = report.results
    answers = {one.format: figured(one, first_divergent_token=None) for one in others}
    for name in ("int3", "bf16"):
        answers[name] = figured(answers[name], first_divergent_token=2)
    apart = replace(report, results=(first, *answers.values()))
    assert repairable(apart) == ["int3"]  # bf16 quantizes nothing
    assert repairable(replace(apart, decoding=Decoding(temperature=1.0))) == []
    assert repairable(replace(apart, decoding=Decoding("score"))) == []
    offered = Page(verdict_html(apart, offers=True)).marked("repair")
    assert [one["data-format"] for one in offered] == ["int3"]
    assert not Page(verdict_html(apart)).marked("repair")


def repair(**more):
    singles = tuple(Tried((name,), 0.1, is_back=False) for name in LAYERS)
    found = Repair("t5-tiny", "Hi", "int3", "fp32", "a", "b", "int3~lm_head=fp32", ("lm_head",),
                   12, True, 0.2, 0.1, singles, 14)  # fmt: skip
    return replace(found, **more)


def test_a_repair_is_told():
    assert repair_told(repair(), 3_600_000, 3_730_000) == (
        "With lm_head back in fp32, int3 says what fp32 says: 1 layer of 12, and no fewer do it, "
        "3.73 MB instead of 3.60 MB. Tried: 12 layers alone, of which 0 do it, and 1 set of "
        "several."
    )
    many = repair(modules=tuple(LAYERS[:3]), is_smallest=False, tries=40)
    told = repair_told(many, 1, 2)
    assert "With decoder 0 EncDecAttention.q and 2 more back in fp32" in told
    assert "the fewest that were found, not all sets were tried" in told
    assert "27 sets of several" in told
    assert "nothing to repair" in repair_told(repair(repaired="int3", modules=()), 1, 1)
    assert "Not even with all of its 12 layers" in repair_told(repair(repaired=None), 1, 1)


def test_a_long_text_is_called_by_less():
    told = called(LONG)
    assert told == "int2-g64-affine-mse-gptq (decoder 0 EncDecAttention.q and 11 more in fp32)"
    assert labels([LONG, LONG]) == ["int2-g64-affine-mse-gptq (12 layers in fp32)",
                                    "int2-g64-affine-mse-gptq (12 layers in fp32), 2"]  # fmt: skip
    assert called("a~b") == "a~b"
    assert shortened_in(f"{LONG}, int8 and x~y say it.") == f"{told}, int8 and x~y say it."
    three = "int2~a=fp32~b=int8~c=int4"
    assert called(three) == "int2 (a in fp32, and others)"


def test_a_card_keeps_the_text_and_shows_the_name(report):
    page = Page(verdict_html(report))
    assert "int4~1=int8" not in page.text
    assert [card.format for card in cards(report)][-1] == "int4~1=int8"


def test_exceptions_are_other_colours_and_stand_out():
    shown = ["int3", "int2-mse", *(f"int3~{name}=fp32" for name in LAYERS[:4]),
             *(f"fp32~{name}=int3" for name in LAYERS[:2]), "int2-mse~lm_head=fp32"]  # fmt: skip
    found = [colour(one) for one in shown]
    assert len(set(found)) == len(found)
    grounds = ("#ffffff", "#0b1120", "#1e293b")
    assert all(contrast(one, ground) >= 3 for one in found for ground in grounds)
