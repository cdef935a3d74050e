import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdemo import Scheme
from qdemo.spec.formats import STORED_FORMATS
from tests.strategies import FLOAT8

PARTS = ("int8", "int4", "fp8_e4m3", "affine", "tensor", "axis1", "g64", "g0", "", "x")


@st.composite
def any_scheme(draw):
    format = draw(st.sampled_from(STORED_FORMATS))
    symmetric = format in FLOAT8 or draw(st.booleans())
    axis = draw(st.sampled_from([None, 0, 1, 3]))
    group_size = None if axis is None else draw(st.sampled_from([None, 1, 32, 64, 128]))
    return Scheme(format, symmetric, axis, group_size)


@given(any_scheme())
def test_the_text_form_round_trips(scheme):
    assert Scheme.parse(str(scheme)) == scheme


@pytest.mark.parametrize(
    ("text", "scheme"),
    [
        ("int8", Scheme("int8")),
        ("int8-affine", Scheme("int8", symmetric=False)),
        ("int8-tensor", Scheme("int8", axis=None)),
        ("int4-g64", Scheme("int4", group_size=64)),
        ("int4-g64-affine", Scheme("int4", symmetric=False, group_size=64)),
        ("int4-affine-g64", Scheme("int4", symmetric=False, group_size=64)),
        ("int8-axis1", Scheme("int8", axis=1)),
        ("fp8_e4m3-tensor", Scheme("fp8_e4m3", axis=None)),
    ],
)
def test_text_forms(text, scheme):
    assert Scheme.parse(text) == scheme


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("int9", "int9"),
        ("", "cannot quantize to ''"),
        ("fp32", "fp32"),
        ("uint8", "uint8"),
        ("int8-", "''"),
        ("int8-rows", "'rows'"),
        ("int8-g", "'g'"),
        ("int8-g0", "group_size is 0"),
        ("int8-g-64", "'g'"),
        ("int8-g64-g32", "'g32'.*second time"),
        ("int8-tensor-g64", "group_size 64 needs an axis"),
        ("fp8_e4m3-affine", "no affine form"),
        ("int8-axis-1", "'axis'"),
        ("int8-g99999999999999999999", "'g99999999999999999999'"),
    ],
)
def test_errors_name_the_part(text, says):
    with pytest.raises(ValueError, match=says):
        Scheme.parse(text)


@given(st.text(max_size=30) | st.lists(st.sampled_from(PARTS), max_size=5).map("-".join))
def test_any_text_is_read_or_refused(text):
    with contextlib.suppress(ValueError):
        assert Scheme.parse(str(Scheme.parse(text))) == Scheme.parse(text)


def test_values_are_checked_at_construction():
    with pytest.raises(ValueError, match="axis is -1"):
        Scheme("int8", axis=-1)
    with pytest.raises(ValueError, match="group_size is -4"):
        Scheme("int8", group_size=-4)


@pytest.mark.parametrize(
    ("text", "qmin", "qmax", "stored"),
    [
        ("int8", -127, 127, "int8"),
        ("int8-affine", 0, 255, "uint8"),
        ("int4", -7, 7, "int4"),
        ("int4-affine", 0, 15, "uint4"),
        ("int2", -1, 1, "int2"),
        ("fp8_e4m3", -448, 448, "fp8_e4m3"),
    ],
)
def test_ranges(text, qmin, qmax, stored):
    scheme = Scheme.parse(text)
    assert (scheme.qmin, scheme.qmax, scheme.storage.name) == (qmin, qmax, stored)


@pytest.mark.parametrize("grid", ["int4", "nf4"])
def test_without_a_zero_point_there_is_no_float_one(grid):
    with pytest.raises(ValueError, match="a symmetric scheme has no zero point"):
        Scheme(grid, zero_point="float")
