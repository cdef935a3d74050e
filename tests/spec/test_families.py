"""What there is to choose from, and its bits a weight by hand."""

import pytest

from qdemo import Variant
from qdemo.spec.bits import bits_a_weight
from qdemo.spec.families import COMPOSED, FAMILIES, PARTS, family_of, stored
from qdemo.spec.formats import GRIDS
from qdemo.spec.scheme import NAMED

BITS = {  # of rows of 512 weights, 512 of them
    "fp32": 32, "bf16": 16, "int8": 8 + 32 / 512, "int2": 2 + 32 / 512, "int4-g64": 4.5,
    "int8-tensor": 8 + 32 / 512**2, "int4-g64-affine": 4.625, "int2-g64-affine-mse-gptq": 2.625,
    "int4-g64-hqq": 5, "nf4": 4.5, "nf4-g64-dq": 4 + 8 / 64 + 32 / (64 * 256) + 32 / 512**2,
    "mxfp4": 4.25, "mxfp8": 8.25, "nvfp4": 4.5 + 32 / 512**2, "q4_0": 4.5, "q4_1": 5, "q5_0": 5.5,
    "q5_1": 6, "q8_0": 8.5, "q2_k": 2.625, "q3_k": 3.4375, "q4_k": 4.5, "q5_k": 5.5,
    "q6_k": 6.5625, "int4-g64-gptq": 4.5, "int4-g64-awq": 4.5 + 32 / 512,
    "int4-rot": 4 + 32 / 512 + 64 / 512**2, "llm.int8": 8 + 32 / 512, "int8a8": 8 + 32 / 512,
    "int8a8-sq0.5": 8 + 2 * 32 / 512, "e2m1-g32": 5,
}  # fmt: skip


@pytest.mark.parametrize("text", BITS)
def test_bits_a_weight_are_those_worked_out_by_hand(text):
    assert bits_a_weight(Variant.parse(text)) == pytest.approx(BITS[text], rel=1e-12)


def test_rows_that_are_no_super_blocks_get_another_format():
    assert bits_a_weight(Variant.parse("q4_k"), 192, 192) == 5.5  # q5_0
    assert bits_a_weight(Variant.parse("int4-g64"), 8, 32) == 5  # a row is one group


def test_every_form_is_written_as_it_is_read_and_can_be_built():
    forms = [form for family in FAMILIES for form in family.forms]
    assert len({form.text for form in forms}) == len(forms)
    for form in forms:
        assert str(form.variant) in (form.text, f"{form.text}-g64")
        form.variant.check_built()


def test_every_grid_and_every_name_is_in_one_family():
    names = [name for key in COMPOSED for name in stored(key)]
    assert sorted(names) == sorted({*GRIDS, *NAMED})
    for key in COMPOSED:
        assert {family_of(Variant.parse(name)).key for name in stored(key)} == {key}
    assert family_of(Variant.parse("bf16")) is None
    assert family_of(Variant.parse("int8a8-sq0.5")).key == "integers"


def test_every_part_may_stand_behind_a_format():
    for part in PARTS:
        Variant.parse(f"int8{part.text}").check_built()
