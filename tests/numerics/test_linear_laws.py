"""Laws of linear quantization, over shapes, granularities, bits and awkward values."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qdemo import Scheme, choose_qparams, quantize_tensor
from qdemo.numerics.blocks import scale_shape, to_blocks
from qdemo.numerics.linear import fake_quantize
from qdemo.numerics.packing import Panels
from tests.strategies import EVERY, FLOAT8, KINDS, cases, values

HALVES = (torch.float32, torch.float64, torch.float16, torch.bfloat16)


def by_block(x, scheme):
    return to_blocks(x, scheme.axis, scheme.group_size)


@given(cases(dtypes=HALVES))
def test_the_error_is_at_most_half_a_step(case):
    x, scheme = case
    if not torch.isfinite(x).all():  # "huge" in fp16
        return
    q = quantize_tensor(x, scheme)
    error = (q.dequantize(torch.float64) - x.double()).abs()
    half = by_block(torch.zeros_like(error), scheme) + q.scale.double().reshape(-1, 1) / 2
    slack = 2**-21 if x.dtype != torch.float64 else 2**-50  # x/scale and scale·q are rounded too
    bound = half + slack * by_block(x.double().abs(), scheme)
    assert (by_block(error, scheme) <= bound).all()


@given(cases(formats=EVERY))
def test_quantizing_again_changes_nothing(case):
    x, scheme = case
    q = quantize_tensor(x, scheme)
    again = quantize_tensor(q.dequantize(), scheme, q.scale, q.zero_point)
    assert torch.equal(again.dequantize(), q.dequantize())
    if scheme.storage.kind == "integer":
        assert torch.equal(again.packed, q.packed)


@given(cases(formats=EVERY), st.integers(0, 99))
def test_larger_values_stay_larger_or_become_equal(case, seed):
    x, scheme = case
    q = quantize_tensor(x, scheme)
    order = torch.argsort(by_block(x, scheme), 1)
    assert (by_block(q.dequantize(), scheme).gather(1, order).diff(dim=1) >= 0).all()


@given(cases(formats=[*FLOAT8, "e2m1", "fp4bnb", "int8", "int3"]))
def test_minus_x_becomes_minus_what_x_becomes(case):
    """NF4's levels are not symmetric, and neither is affine quantization."""
    x, scheme = case
    if scheme.symmetric and scheme.grid != "fp4bnb":
        ours, theirs = (quantize_tensor(y, scheme).dequantize() for y in (x, -x))
        assert torch.equal(ours, -theirs)
    elif scheme.symmetric:  # of two levels that are equally near, the lower is not the other's
        ours, theirs = (quantize_tensor(y, scheme).scale for y in (x, -x))
        assert torch.equal(ours, theirs)


@given(cases(formats=EVERY, dtypes=HALVES))
def test_fake_quantization_is_what_comes_back(case):
    x, scheme = case
    if torch.isfinite(x).all():
        assert torch.equal(fake_quantize(x, scheme), quantize_tensor(x, scheme).dequantize())


@pytest.mark.parametrize("grid", EVERY)
def test_a_block_of_zeros_stays_zeros(grid):
    for shape in ((3, 8), (40, 64), (1, 1)):
        x = torch.zeros(shape)
        x[1:2] = 1  # beside one that is none
        x_hat = quantize_tensor(x, Scheme(grid)).dequantize()
        assert torch.equal(x_hat[0], x[0])
        assert torch.equal(x_hat, x)


@given(cases(formats=EVERY))
def test_numbers_stay_in_range_and_shapes_are_kept(case):
    x, scheme = case
    q = quantize_tensor(x, scheme)
    assert q.data.shape == q.dequantize().shape == x.shape
    assert q.data.dtype == scheme.storage.dtype
    assert q.scale.shape == scale_shape(tuple(x.shape), scheme.axis, scheme.group_size)
    if x.numel():
        numbers = q.grid.decode(q.data)
        assert numbers.min() >= scheme.qmin
        assert numbers.max() <= scheme.qmax


@given(cases(formats=EVERY))
def test_zero_stays_exactly_zero(case):
    x, scheme = case
    x_hat = quantize_tensor(x, scheme).dequantize()
    assert (x_hat[x == 0] == 0).all()


@given(cases(formats=EVERY))
def test_bytes_held_are_bytes_claimed(case):
    x, scheme = case
    q = quantize_tensor(x, scheme)
    n_scales = math.prod(scale_shape(tuple(x.shape), scheme.axis, scheme.group_size))
    rows, columns = math.prod(x.shape[:-1]), (x.shape[-1] if x.shape else 1)
    held = x.numel() if scheme.bits == 8 else Panels(scheme.bits, rows, columns).n_bytes
    assert q.nbytes == held + n_scales * (4 if scheme.symmetric else 5)
    tensors = [t for t in (q.packed, q.scale, q.zero_point) if t is not None]
    assert sum(t.untyped_storage().nbytes() for t in tensors) == q.nbytes


@given(cases(kinds=("normal", "uniform", "outlier", "mixed sizes")))
def test_the_largest_value_of_a_symmetric_block_takes_qmax(case):
    x, scheme = case
    if not (scheme.symmetric and x.numel()):
        return
    q = quantize_tensor(x, scheme)
    data, blocks = by_block(q.data, scheme), by_block(x, scheme)
    for row, numbers in zip(blocks, data, strict=True):
        if row.abs().max() > 0:
            assert numbers[row.abs().argmax()].abs() == scheme.qmax


@given(cases(kinds=("normal", "zeros", "outlier", "mixed sizes")), st.integers(-8, 8))
def test_scaling_by_a_power_of_two_scales_the_scale(case, power):
    x, scheme = case
    q, larger = quantize_tensor(x, scheme), quantize_tensor(x * 2.0**power, scheme)
    assert torch.equal(q.packed, larger.packed)
    nonzero = q.scale > torch.finfo(torch.float32).tiny
    assert torch.equal(larger.scale[nonzero], q.scale[nonzero] * 2.0**power)


@given(cases(kinds=("normal", "outlier", "zero rows")))
def test_negating_negates_where_symmetric(case):
    x, scheme = case
    if scheme.symmetric:
        assert torch.equal(quantize_tensor(-x, scheme).data, -quantize_tensor(x, scheme).data)


@given(cases(kinds=("normal", "positive", "outlier")))
def test_finer_scales_are_never_worse_in_the_worst_case(case):
    x, scheme = case
    if x.numel() == 0 or scheme.axis is None:
        return
    fine = quantize_tensor(x, scheme).scale.max()
    coarse = quantize_tensor(x, Scheme(scheme.format, scheme.symmetric, axis=None)).scale
    assert fine <= coarse


@given(cases(formats=FLOAT8))
def test_scaled_fp8_is_the_cast_of_the_scaled_values(case):
    x, scheme = case
    q = quantize_tensor(x, scheme)
    scaled = by_block(x, scheme) / q.scale.reshape(-1, 1)
    wanted = scaled.clamp(scheme.qmin, scheme.qmax).to(scheme.storage.dtype)
    assert torch.equal(by_block(q.data.float(), scheme), wanted.float())


@given(st.sampled_from(KINDS), st.data())
def test_rows_are_rows_of_the_whole(kind, data):
    x = values(kind, (6, 8), 1)
    fits = ["int8", "int4-tensor", "int3-axis1", "int4-g4-affine", "int2-axis1-g3", "fp8_e4m3",
            "nf4-g4", "e2m1", "int5-tensor-affine", "int7-axis1-affine"]  # fmt: skip
    x = x.repeat(data.draw(st.sampled_from([1, 3, 6])), 1)
    q = quantize_tensor(x, Scheme.parse(data.draw(st.sampled_from(fits))))
    rows = st.integers(0, len(x) - 1)
    index = torch.tensor(data.draw(st.lists(rows, max_size=9)), dtype=torch.long)
    first, last = data.draw(rows), data.draw(rows)
    assert torch.equal(q.rows(slice(first, last)), q.dequantize()[first:last])
    assert torch.equal(q.rows(index), q.dequantize()[index])
    assert torch.equal(q.rows(slice(2, 5), torch.bfloat16), q.dequantize(torch.bfloat16)[2:5])


def test_the_ends_of_fp32_come_back_finite():
    largest = torch.finfo(torch.float32).max
    for text in ("int8", "int5", "int2", "fp8_e4m3"):
        q = quantize_tensor(torch.tensor([[largest, -largest, 1.0]]), Scheme.parse(text))
        assert torch.isfinite(q.dequantize()).all()
        assert q.dequantize()[0, 0] >= 0.999 * largest
    q = quantize_tensor(torch.tensor([[0.0, largest]]), Scheme.parse("int8-affine"))
    assert q.dequantize()[0, 1] >= 0.999 * largest
    with pytest.raises(ValueError, match=r"wider than torch\.float32 can hold"):
        quantize_tensor(torch.tensor([[largest, -largest]]), Scheme.parse("int8-affine"))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("text", ["int8", "int4-affine", "int8-tensor", "fp8_e5m2"])
def test_nan_and_infinity_are_refused_and_counted(bad, text):
    x = torch.ones(3, 4)
    x[1, 2] = bad
    with pytest.raises(ValueError, match="1 of 12 values are NaN or infinite"):
        quantize_tensor(x, Scheme.parse(text))
    with pytest.raises(ValueError, match="1 of 12"):
        choose_qparams(x, Scheme.parse(text))


def test_given_qparams_are_checked():
    x, scheme, affine = torch.ones(3, 4), Scheme("int8"), Scheme("int8", symmetric=False)
    with pytest.raises(ValueError, match=r"scale has shape \(4,\), expected \(3,\)"):
        quantize_tensor(x, scheme, torch.ones(4))
    with pytest.raises(ValueError, match="zero_point is missing, but int8-affine is affine"):
        quantize_tensor(x, affine, torch.ones(3))
    with pytest.raises(ValueError, match="zero_point is given, but int8 is symmetric"):
        quantize_tensor(x, scheme, torch.ones(3), torch.zeros(3, dtype=torch.uint8))
    with pytest.raises(ValueError, match="scales must be positive and finite, got 0"):
        quantize_tensor(x, scheme, torch.zeros(3))
    with pytest.raises(ValueError, match="got inf"):
        quantize_tensor(x, scheme, torch.full((3,), math.inf))
    zero_point = torch.tensor([0, 16, 0], dtype=torch.uint8)
    with pytest.raises(ValueError, match="zero points must be in 0 … 15"):
        quantize_tensor(x, Scheme("int4", symmetric=False), torch.ones(3), zero_point)
    x[0, 0] = math.nan
    with pytest.raises(ValueError, match="1 of 12"):
        quantize_tensor(x, scheme, torch.ones(3))


def test_a_smaller_scale_clips():
    x = torch.tensor([[0.5, 10.0, -10.0]])
    q = quantize_tensor(x, Scheme("int8"), torch.tensor([0.05]))
    assert q.data.tolist() == [[10, 127, -127]]


def test_a_constant_is_exact_where_its_value_is_a_level():
    x = torch.full((2, 5), 0.37)
    assert torch.allclose(quantize_tensor(x, Scheme("int8")).dequantize(), x, rtol=2**-23, atol=0)
    q = quantize_tensor(x, Scheme("int4", symmetric=False))
    assert q.data.unique().tolist() == [15]
    assert torch.allclose(q.dequantize(), x, rtol=2**-23, atol=0)


def test_scales_are_fp32_for_the_halves_and_fp64_for_fp64():
    scheme = Scheme("int8")
    for dtype, wanted in zip(HALVES, (torch.float32, torch.float64, torch.float32, torch.float32),
                             strict=True):  # fmt: skip
        q = quantize_tensor(torch.ones(2, 2, dtype=dtype), scheme)
        assert (q.scale.dtype, q.dequantize().dtype) == (wanted, dtype)


@pytest.mark.parametrize(
    "dtype", [torch.int64, torch.uint8, torch.bool, torch.float8_e4m3fn, torch.complex64]
)
def test_only_floats_are_quantized(dtype):
    with pytest.raises(ValueError, match=f"cannot quantize {dtype}"):
        quantize_tensor(torch.zeros(2, 2, dtype=dtype), Scheme("int8"))


@given(cases(kinds=("normal",), formats=EVERY))
def test_meta_tensors_give_the_same_shapes_and_dtypes(case):
    x, scheme = case
    real, meta = quantize_tensor(x, scheme), quantize_tensor(x.to("meta"), scheme)
    for a, b in zip(
        (real.packed, real.scale, real.zero_point),
        (meta.packed, meta.scale, meta.zero_point),
        strict=True,
    ):
        assert (a is None) == (b is None)
        assert a is None or (a.shape, a.dtype, a.nbytes) == (b.shape, b.dtype, b.nbytes)
    assert (meta.shape, meta.dtype) == (real.shape, real.dtype)
