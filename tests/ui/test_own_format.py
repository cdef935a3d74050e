import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdemo import Variant
from qdemo.spec.scheme import COMPUTE_FORMATS
from qdemo.spec.formats import STORED_FORMATS
from qdemo.ui import own_format

SCALES = {"a row": "", "the whole tensor": "-tensor", "a group of 32": "-g32",
          "a group of 64": "-g64", "a group of 128": "-g128"}  # fmt: skip


@given(
    st.sampled_from([name for name in STORED_FORMATS if name.startswith("int")]),
    st.booleans(),
    st.sampled_from(list(SCALES)),
    st.booleans(),
    st.sampled_from(COMPUTE_FORMATS),
)
def test_the_choices_mean_the_variant_that_they_name(stored, affine, scales, embeddings, compute):
    range_ = "affine (with zero point)" if affine else "symmetric"
    made = own_format.variant(stored, range_, scales, embeddings, compute)
    affinely = "-affine" * affine
    wanted = f"{stored}{SCALES[scales]}{affinely}{'+emb' * embeddings}@{compute}"
    assert made == Variant.parse(wanted)


def test_every_format_that_there_is_can_be_chosen():
    assert own_format.STORED == STORED_FORMATS
    assert own_format.COMPUTED == COMPUTE_FORMATS


def test_floats_have_no_zero_point():
    with pytest.raises(ValueError, match="fp8_e4m3"):
        own_format.variant("fp8_e4m3", "affine (with zero point)", "a row", False, "fp32")


def test_what_is_ticked_is_a_choice():
    update = own_format.ticked(["int8", "int5-g32@bf16", " int8", "fp32"])
    assert update["value"] == ["int8", "int5-g32@bf16"]
    assert update["choices"] == [*own_format.FORMATS, "int5-g32@bf16"]


def test_the_usual_formats_are_written_as_they_are_read():
    assert [str(Variant.parse(text)) for text in own_format.FORMATS] == list(own_format.FORMATS)
