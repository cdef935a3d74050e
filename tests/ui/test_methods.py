"""The page on methods: every part shows something for whatever matrix is typed, and says so where
it can't."""

import gradio as gr
import pytest

from qdemo import lab
from qdemo.ui import columns_part, inputs_part, levels_part, method_part, ranges_part
from qdemo.ui.super_block_part import super_block

BUILD = {
    "codebook": levels_part.codebook,
    "scales": levels_part.scales,
    "search": ranges_part.search,
    "zero points": ranges_part.zero_points,
    "columns": columns_part.columns,
    "smoothing": inputs_part.smoothing,
    "outliers": inputs_part.outliers,
    "rotation": columns_part.rotation,
    "super-block": super_block,
}
MATRICES = {
    "one number": "1",
    "zeros": "0 0 0 0\n0 0 0 0",
    "a constant": "2 2 2\n2 2 2",
    "a column": "1\n-2\n3",
    "large": "1e29 -3e28 2\n0 1 1e29",
    "small": "1e-30 -3e-31 2e-38\n0 1e-41 1e-30",
    "the largest": "\n".join([" ".join(str(r - c) for c in range(16)) for r in range(12)]),
}


@pytest.fixture(scope="module")
def found():
    with gr.Blocks():
        return {name: build() for name, build in BUILD.items()}


def filled(part, matrix, values):
    return method_part.filled([part], matrix, values)


def read(value):
    return value if isinstance(value, str) else value.plot


@pytest.mark.parametrize("matrix", MATRICES)
@pytest.mark.parametrize("name", BUILD)
def test_every_part_shows_something_of_any_matrix(found, name, matrix):
    part = found[name]
    shown = filled(part, MATRICES[matrix], part.begins)
    assert len(shown) == len(part.shown)
    for value in map(read, shown):
        assert value
        assert "NaN" not in value
        assert "Infinity" not in value


@pytest.mark.parametrize("name", BUILD)
def test_both_ends_of_every_control_show_something(found, name):
    part = found[name]
    for key, control in part.named.items():
        ends = (
            [control.minimum, control.maximum]
            if isinstance(control, gr.Slider)
            else [value for _, value in control.choices]
        )
        for end in ends:
            values = {**dict(zip(part.named, part.begins, strict=True)), key: end}
            shown = filled(part, "1 -2 3 0.5\n4 0 -1 2", list(values.values()))
            assert all(read(value) for value in shown), (key, end)


def test_all_parts_come_in_one_answer(found):
    every = list(found.values())
    values = [value for part in every for value in part.begins]
    shown = method_part.filled(every, "1 2\n3 4", values)
    alone = [one for part in every for one in filled(part, "1 2\n3 4", part.begins)]
    assert [read(one) for one in shown] == [read(one) for one in alone]


def test_another_matrix_fills_what_shows_it_and_leaves_the_rest(found):
    every = list(found.values())
    values = [value for part in every for value in part.begins]
    shown = method_part.filled(every, "1 2\n3 4", values, False)
    kept = [
        part.elem_id
        for part, one in zip([one for part in every for one in part.shown], shown, strict=True)
        if isinstance(one, dict)
    ]
    names = {"codebook": found["codebook"], "super-block": found["super-block"]}
    assert kept == [one.elem_id for part in names.values() for one in part.shown]
    values[0] = lab.ABOVE
    again = method_part.filled(every, "1 2\n3 4", values, False)
    assert all(isinstance(one, str) or one.plot for one in again[:3])


@pytest.mark.parametrize(
    ("text", "wrong"),
    [("", "empty"), ("one two", "no number"), ("1 2\n3", "equally long"), ("1e31", "below 1e30")],
)
def test_what_is_no_matrix_is_refused(found, text, wrong):
    with pytest.raises(ValueError, match=wrong):
        filled(found["rotation"], text, found["rotation"].begins)


def test_names_in_addresses_are_each_used_once(found):
    names = [name for part in found.values() for name in part.named]
    assert len(names) == len(set(names))
    shown = [one.elem_id for part in found.values() for one in part.shown]
    assert len(shown) == len(set(shown))
