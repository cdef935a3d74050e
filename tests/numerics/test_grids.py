"""Every grid beside exact arithmetic, ml_dtypes, torch and bitsandbytes."""

import math

import ml_dtypes
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qdemo import Scheme, quantize_tensor
from qdemo.numerics.bits import Bits, from_value
from qdemo.numerics.grids import Codebook, FloatGrid, IntGrid, grid_of
from qdemo.spec.formats import FORMATS, GRIDS, Format
from tests.oracles import oracle


def small_float(name, exponent, fraction, **more):
    return Format(name, "float", 1 + exponent + fraction, exponent, fraction, **more)


WITHOUT = {"finite_only": True, "has_nan": False}
THEIRS = {
    small_float("float4_e2m1fn", 2, 1, **WITHOUT): ml_dtypes.float4_e2m1fn,
    small_float("float6_e2m3fn", 2, 3, **WITHOUT): ml_dtypes.float6_e2m3fn,
    small_float("float6_e3m2fn", 3, 2, **WITHOUT): ml_dtypes.float6_e3m2fn,
    small_float("float8_e3m4", 3, 4): ml_dtypes.float8_e3m4,
    small_float("float8_e4m3", 4, 3): ml_dtypes.float8_e4m3,
    small_float("float8_e4m3fn", 4, 3, finite_only=True): ml_dtypes.float8_e4m3fn,
    small_float("float8_e5m2", 5, 2): ml_dtypes.float8_e5m2,
}
OTHERS = [
    *THEIRS, GRIDS["e2m1"], FORMATS["fp8_e4m3"], FORMATS["fp8_e5m2"], FORMATS["fp16"],
    FORMATS["bf16"], FORMATS["fp32"], small_float("e1m2", 1, 2, **WITHOUT),
    small_float("e5m0", 5, 0, **WITHOUT), small_float("e9m6", 9, 6), small_float("e8m23", 8, 23),
]  # fmt: skip


def finite(format):
    """All finite numbers of a format of at most 8 bits, in order, and what lies between two."""
    found = {float(Bits(format, p).value) for p in range(format.numbers)}
    levels = torch.tensor(sorted(x for x in found if math.isfinite(x)), dtype=torch.float64)
    return levels, (levels[1:] + levels[:-1]) / 2


def awkward(format):
    """Numbers of the format, ties, their neighbours, subnormal and large ones; fp32."""
    levels, ties = (x.float() for x in finite(format))
    spread = torch.randn(20_000) * 10 ** torch.empty(20_000).uniform_(-8, 6)
    odd = torch.tensor([0.0, -0.0, 1e-45, -1e-45, 1.2e-38, 3e38])
    x = torch.cat([levels, ties, spread, odd])
    up, down = (torch.nextafter(x, torch.tensor(end)) for end in (math.inf, -math.inf))
    return torch.cat([x, up, down])


@pytest.mark.parametrize("format", THEIRS, ids=str)
def test_every_code_is_the_number_that_ml_dtypes_says(format):
    codes = np.arange(format.numbers, dtype=np.uint8)
    theirs = codes.view(THEIRS[format]).astype(np.float32)
    ours = grid_of(format).decode(torch.from_numpy(codes)).numpy()
    assert np.array_equal(ours, theirs, equal_nan=True)
    is_number = ~np.isnan(ours)
    assert np.array_equal(np.signbit(ours)[is_number], np.signbit(theirs)[is_number])


@pytest.mark.parametrize("format", THEIRS, ids=str)
def test_every_value_has_the_code_that_ml_dtypes_says(format):
    grid, x = grid_of(format), awkward(format)
    x = x[x.abs() <= format.max]  # what lies beyond is saturated here, and not there
    theirs = x.numpy().astype(THEIRS[format])
    assert np.array_equal(grid.encode(x).numpy(), theirs.view(np.uint8))
    assert np.array_equal(grid.round_(x.clone()).numpy(), theirs.astype(np.float32))


@pytest.mark.parametrize("format", THEIRS, ids=str)
def test_fp64_is_rounded_once(format):
    """ml_dtypes goes through fp32, and so can't be asked; exact arithmetic can."""
    grid, (levels, ties) = grid_of(format), finite(format)
    x = torch.cat([levels, ties])
    x = torch.cat([x, *(torch.nextafter(x, torch.tensor(end).double()) for end in (9e9, -9e9))])
    x = x[x.abs() <= format.max]
    wanted = [from_value(value, format) for value in x.tolist()]
    assert grid.encode(x).tolist() == [bits.pattern for bits in wanted]
    assert grid.round_(x.clone()).tolist() == [float(bits.value) for bits in wanted]


@given(st.sampled_from(OTHERS), st.floats(width=32, allow_nan=False), st.booleans())
def test_rounding_is_exact_in_any_format(format, value, wide):
    x = torch.tensor([value], dtype=torch.float64 if wide else torch.float32)
    found = FloatGrid(format).round_(x).item()
    wanted = from_value(value, format).value
    wanted = math.copysign(format.max, wanted) if math.isinf(wanted) else float(wanted)
    assert found == wanted
    assert math.copysign(1, found) == math.copysign(1, wanted)


@given(st.sampled_from(OTHERS), st.floats(allow_nan=False))
def test_rounding_of_fp64_is_exact_in_any_format(format, value):
    wanted = from_value(value, format).value
    wanted = math.copysign(format.max, wanted) if math.isinf(wanted) else float(wanted)
    assert FloatGrid(format).round_(torch.tensor([value], dtype=torch.float64)).item() == wanted


@pytest.mark.parametrize("name", ["fp8_e4m3", "fp8_e5m2"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_torch_s_own_formats_are_its_casts(name, dtype):
    format, grid = FORMATS[name], grid_of(FORMATS[name])
    x = awkward(format).to(dtype)
    theirs = x.clamp(-format.max, format.max).to(format.dtype)
    assert torch.equal(grid.encode(x).view(torch.uint8), theirs.view(torch.uint8))
    assert torch.equal(grid.round_(x.clone()), theirs.to(dtype))
    assert torch.equal(grid.decode(theirs), theirs.float())


@pytest.mark.parametrize("format", [f for f in OTHERS if f.bits <= 8], ids=str)
def test_what_is_too_large_becomes_the_largest(format):
    grid = grid_of(format)
    x = torch.tensor([math.inf, -math.inf, 3e38, -3e38])
    wanted = torch.tensor([grid.qmax, grid.qmin] * 2)
    assert torch.equal(grid.round_(x.clone()), wanted)
    assert torch.equal(grid.decode(grid.encode(x)), wanted)
    nan = torch.tensor([math.nan, -math.nan])
    assert grid.round_(nan.clone()).isnan().all()
    if format.has_nan:
        assert grid.decode(grid.encode(nan)).isnan().all()


@pytest.mark.parametrize("name", GRIDS)
def test_every_code_comes_back(name):
    grid = grid_of(GRIDS[name])
    codes = torch.arange(GRIDS[name].numbers, dtype=torch.uint8)
    codes = (codes - grid.offset).view(grid.dtype)
    values = grid.decode(codes)
    ends = (values >= grid.qmin) & (values <= grid.qmax)  # −128, infinities, NaN are none of them
    again = grid.encode(values[ends])
    assert torch.equal(grid.decode(again), values[ends])
    assert torch.equal(grid.decode(codes, torch.empty(len(codes), dtype=torch.float64)).float(),
                       values) or values.isnan().any()  # fmt: skip


@pytest.mark.parametrize("name", [n for n, f in GRIDS.items() if f.kind == "codebook"])
def test_the_nearest_level_is_taken_and_the_lower_of_two(name):
    format, grid = GRIDS[name], grid_of(GRIDS[name])
    levels = torch.tensor(format.levels, dtype=torch.float64)
    x = torch.cat([torch.rand(5000, dtype=torch.float64) * 2.4 - 1.2, levels])
    nearest = levels[(x[:, None] - levels).abs().argmin(1)]
    assert torch.equal(grid.round_(x.clone()), nearest)
    ties = (levels[1:] + levels[:-1]) / 2
    assert torch.equal(grid.round_(ties.clone()), levels[:-1])
    assert grid.encode(levels).unique().numel() == levels.unique().numel()


@pytest.mark.parametrize("text", ["nf4-g64", "nf4-g128", "fp4bnb-g64", "fp4bnb-g128"])
def test_codebooks_are_bitsandbytes_bit_for_bit(text):
    theirs = oracle(f"bitsandbytes/{text.replace('bnb', '')}")
    ours = quantize_tensor(oracle("weight"), Scheme.parse(text)).dequantize()
    assert torch.equal(ours.view(torch.int32), theirs.view(torch.int32))


def test_a_grid_is_found_by_its_format():
    kinds = {"integer": IntGrid, "float": FloatGrid, "codebook": Codebook}
    for format in GRIDS.values():
        assert type(grid_of(format)) is kinds[format.kind]
        assert grid_of(format) is grid_of(format)
    with pytest.raises(ValueError, match="fp16 has 16 bits, expected at most 8"):
        grid_of(FORMATS["fp16"])
    with pytest.raises(ValueError, match="has no level 0, which a block of zeros needs"):
        grid_of(Format("signs", "codebook", 1, levels=(-1.0, 1.0)))
