from contextlib import suppress

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qdemo.lab import COURSE, LAYERS, NORMAL, PRESETS, START, UNIFORM
from qdemo.lab.matrices import (
    MOST_COLUMNS,
    MOST_ROWS,
    layer,
    preset,
    read,
    with_outlier,
    write,
)
from qdemo.models.availability import get_entry
from qdemo.models.loading import load

NUMBERS = st.floats(-(2.0**99), 2.0**99, width=32)
MATRICES = st.integers(1, MOST_COLUMNS).flatmap(
    lambda n: st.lists(st.lists(NUMBERS, min_size=n, max_size=n), min_size=1, max_size=MOST_ROWS)
)


def test_the_page_begins_with_the_first_matrix():
    assert write(preset(NORMAL)) == START


@given(MATRICES)
def test_what_is_written_is_read_again_to_four_digits(rows):
    x = torch.tensor(rows)
    again = read(write(x))
    assert again.shape == x.shape
    assert torch.allclose(again, x, rtol=5.1e-4, atol=1e-44)
    assert torch.equal(read(write(again)), again)


@given(MATRICES, st.sampled_from(["\n", ";", "\r\n", " ;\n\n"]), st.sampled_from([" ", ",", ", "]))
def test_rows_and_numbers_may_be_parted_in_several_ways(rows, line, blank):
    text = line.join(blank.join(map(repr, row)) for row in rows)
    assert torch.equal(read(f" {text},{line}"), torch.tensor(rows))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the matrix is empty"),
        (" \n ; , \r\n", "the matrix is empty"),
        ("1 2\n3", r"the rows have 1, 2 numbers; make them equally long"),
        ("1 two 3", "'two' is no number; type numbers such as 0.5 or -2e-3"),
        ("1 0x10", "'0x10' is no number"),
        ("nan", "'nan' can't be quantized"),
        ("1 -inf", "'-inf' can't be quantized"),
        ("1e30", "no number below 1e30 in size"),
        ("x" * 1000, "'x{20}' is no number"),
        ("1;" * 13, "13 rows of up to 1 numbers; at most 12 rows of 16 are shown"),
        ("1 " * 17, "1 rows of up to 17 numbers; at most 12 rows of 16 are shown"),
        ("1;" * 12 + "1 2", "13 rows of up to 2 numbers"),
    ],
)
def test_what_is_no_matrix_is_told(text, message):
    with pytest.raises(ValueError, match=message):
        read(text)


def test_the_largest_matrix_is_read():
    assert read("\n".join(["1 " * MOST_COLUMNS] * MOST_ROWS)).shape == (MOST_ROWS, MOST_COLUMNS)


@given(st.text() | st.text("0123456789eE+-., ;\n\t_infa", max_size=20))
def test_whatever_is_typed_only_value_errors_come(text):
    with suppress(ValueError):
        x = read(text)
        assert torch.isfinite(x).all()
        assert x.dtype == torch.float32


@pytest.mark.parametrize("name", PRESETS)
def test_presets_are_reproducible_and_leave_the_random_state_alone(name):
    state = torch.get_rng_state()
    x = preset(name, 5)
    assert torch.equal(x, preset(name, 5))
    assert x.shape == ((1, 4) if name == COURSE else (6, 8))
    assert torch.equal(torch.get_rng_state(), state)
    assert read(write(x)).shape == x.shape


@pytest.mark.parametrize("name", PRESETS)
def test_another_seed_draws_another_matrix_where_one_is_drawn(name):
    assert torch.equal(preset(name, 1), preset(name, 2)) == (name not in (NORMAL, UNIFORM))


def test_changing_a_preset_leaves_the_layer_as_it_was():
    preset(PRESETS[-1]).zero_()
    assert preset(PRESETS[-1]).any()


def test_an_unknown_preset_is_told():
    with pytest.raises(ValueError, match="unknown matrix 'mine'; expected one of a normal"):
        preset("mine")


def test_the_layers_are_those_of_the_loaded_model():
    held = load(get_entry("t5-tiny")).model.state_dict()
    for name in LAYERS:
        assert torch.equal(layer(name), held[name])
        assert torch.equal(preset(f"t5-tiny: {name}"), held[name][:6, :8])


@given(MATRICES)
def test_an_outlier_is_the_largest_number_twenty_times_larger(rows):
    x = torch.tensor(rows) / 100
    longer = with_outlier(x)
    at = x.abs().argmax()
    assert longer.reshape(-1)[at] == 20 * x.reshape(-1)[at]
    assert int((longer != x).sum()) <= 1
    assert torch.equal(x, torch.tensor(rows) / 100)
