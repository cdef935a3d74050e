import gradio as gr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdemo import Variant
from qdemo.spec.formats import GRIDS
from qdemo.spec.scheme import COMPUTE_FORMATS
from qdemo.ui import own_format

SCALES = {"a row": "-axis0", "the whole tensor": "-tensor", "a group of 32": "-g32",
          "a group of 64": "-g64", "a group of 128": "-g128"}  # fmt: skip


@given(
    st.sampled_from([name for name in GRIDS if name.startswith("int")]),
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
    with gr.Blocks():
        (stored, *_, compute), _ = own_format.build()
    assert [value for _, value in stored.choices] == list(GRIDS)
    assert [value for _, value in compute.choices] == list(COMPUTE_FORMATS)


@pytest.mark.parametrize("stored", list(GRIDS))
@pytest.mark.parametrize("scales", list(SCALES))
def test_every_format_can_be_chosen_with_every_scale(stored, scales):
    made = own_format.variant(stored, "symmetric", scales, False, "fp32")
    made.check_built()
    assert (made.scheme.grid, made.scheme.axis) == (stored, None if "tensor" in scales else 0)
    assert made.scheme.group_size == next((n for n in (32, 64, 128) if str(n) in scales), None)


@pytest.mark.parametrize("name", ["fp8_e4m3", "nf4"])
def test_floats_and_codebooks_have_no_zero_point(name):
    with pytest.raises(ValueError, match=name):
        own_format.variant(name, "affine (with zero point)", "a row", False, "fp32")


def test_what_is_ticked_is_a_choice():
    update = own_format.ticked(["int8", "int5-g32@bf16", " int8", "fp32"])
    assert update["value"] == ["int8", "int5-g32@bf16"]
    assert update["choices"] == [*own_format.FORMATS, "int5-g32@bf16"]


def test_the_usual_formats_are_written_as_they_are_read():
    assert [str(Variant.parse(text)) for text in own_format.FORMATS] == list(own_format.FORMATS)
