"""Addresses: whatever stands in one, a page opens, with what it can take."""

from functools import cache
from urllib.parse import urlencode

import gradio as gr
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdemo.ui import address, controls, link, matrix_part
from qdemo.ui.pages import formats, linear
from tests.test_fuzz import numbers, texts

NAMES = ("matrix", "bits", "clip", "range", "scales", "value", "scale", "model", "formats", "input",
         "max_tokens", "run", "shown")  # fmt: skip
queries = st.dictionaries(
    st.sampled_from(NAMES),
    texts
    | numbers
    | st.sampled_from(
        [
            "t5-tiny",
            "blip-tiny",
            "int8",
            "nf4,int4-g64~lm_head=int8",
            "int4-g64-gptq",
            "scene:7",
            "upload:7",
            "1",
        ]
    ),
)


@cache
def components():
    """The controls of the Compare page, and the components of others that addresses have."""
    with gr.Blocks():
        compare = controls.build("t5-tiny", "x", ["int8"]), gr.Textbox()
        value, scale = gr.Textbox("1", max_length=250), gr.Textbox("", max_length=60)
        matrix = gr.Textbox("1 2", lines=6, max_length=5000)
        bits, clip = gr.Slider(2, 8, 4, step=1), gr.Slider(0.2, 1, 1.0, step=0.01)
        ranges = gr.Radio(list(matrix_part.RANGES), value="affine")
        scales = gr.Radio(list(matrix_part.SCALES), value="a row")
    lines = {"value": value, "scale": scale}
    page = {"matrix": matrix, "bits": bits, "range": ranges, "scales": scales, "clip": clip}
    return compare, lines, page


def restored(named, query):
    """What those components have then."""
    found = address.restored(named, urlencode(query, errors="replace"))
    values = zip(named.values(), found, strict=True)
    return [part.value if isinstance(value, dict) else value for part, value in values]


@given(queries)
def test_the_front_page_opens_with_any_address(query):
    built, press = components()[0]
    found = link._restored(built, press, urlencode(query, errors="replace"), "")
    assert found[press] in ("", "#compare", "#recompute")
    assert set(found) <= {press, *built.asked, *built.columns, *built.problems.values()}


@given(queries)
def test_the_page_of_formats_opens_with_any_address(query):
    named = components()[1]
    shown = formats._rows(*restored(named, query))
    assert len(shown) == 2


@settings(max_examples=20)
@given(queries)
def test_the_page_of_linear_quantization_opens_with_any_address(query):
    assert len(linear._show(*restored(components()[2], query), "0,0", "")) == 8


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", {}),
        ("bits=3&clip=0.5", {"bits": 3, "clip": 0.5}),
        ("matrix=1 2;3 4", {"matrix": "1 2\n3 4"}),
        ("scales=a group of 4", {"scales": "a group of 4"}),
        ("matrix=", {"matrix": ""}),
        ("bits=9&clip=0.1&range=none&scales=&other=1", {}),  # nothing that the page can take
        ("bits=nan&clip=inf", {}),
        ("bits=%20", {}),
    ],
)
def test_a_page_takes_what_it_can(text, wanted):
    named = components()[2]
    found = dict(zip(named, address.restored(named, text), strict=True))
    assert {name: value for name, value in found.items() if value != gr.skip()} == wanted


def test_no_more_is_taken_than_a_box_holds():
    value, _ = address.restored(components()[1], f"value={'1' * 999}")
    assert value == "1" * 250
