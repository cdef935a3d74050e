import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qdemo.lab.block_scales import FORMATS, block_scales
from tests.strategies import values

LEVELS = torch.tensor(
    [sign * size for size in (0, 0.5, 1, 1.5, 2, 3, 4, 6) for sign in (1.0, -1.0)],
    dtype=torch.float64,
)


@st.composite
def matrices(draw):
    shape = draw(st.integers(1, 6)), draw(st.sampled_from([1, 7, 16]))
    kind = draw(st.sampled_from(["normal", "uniform", "outlier", "positive", "negative"]))
    return values(kind, shape, draw(st.integers(0, 1000)))


def rms(row, scale):
    """Of one block with a scale, each weight beside the nearest number times it."""
    nearest = (row.double()[:, None] - LEVELS * scale).abs().amin(1)
    return nearest.square().mean().sqrt().item()


@given(matrices())
def test_mx_holds_the_power_of_two_of_its_definition(w):
    found = block_scales(w, "mxfp4")
    assert found.tensor_scale == 1
    for block, row in zip(found.blocks, w, strict=True):
        exponent = math.floor(math.log2(row.abs().max().item())) - 2
        assert (block.stored, block.held) == (exponent, 2.0**exponent)
        assert block.wanted == pytest.approx(row.abs().max().item() / 6)
        digits = 1e-6 * row.abs().max().item()
        assert block.error == pytest.approx(rms(row, block.held), rel=1e-5, abs=digits)
        assert block.ideal == pytest.approx(rms(row, block.wanted), rel=1e-3, abs=digits)
        assert 0.75 * (1 - 1e-6) <= block.held / block.wanted <= 1.5 * (1 + 1e-6)


@given(matrices())
def test_nvfp4_holds_an_e4m3_number_times_the_scale_of_the_tensor(w):
    found = block_scales(w, "nvfp4")
    unit = w.abs().max().item() / (448 * 6)
    assert found.tensor_scale == pytest.approx(unit, rel=1e-6)
    for block, row in zip(found.blocks, w, strict=True):
        stored = torch.tensor(block.wanted / found.tensor_scale).clamp(2**-6, 448)
        assert block.stored == stored.to(torch.float8_e4m3fn).item()
        assert block.held == pytest.approx(block.stored * found.tensor_scale, rel=1e-6)
        digits = 1e-6 * row.abs().max().item()
        assert block.error == pytest.approx(rms(row, block.held), rel=1e-3, abs=digits)


@given(matrices(), st.sampled_from(FORMATS))
def test_the_whole_is_the_mean_of_its_blocks(w, format):
    found = block_scales(w, format)
    for name, whole in (("error", found.rms), ("ideal", found.ideal)):
        squares = [getattr(block, name) ** 2 for block in found.blocks]
        assert whole == pytest.approx(math.sqrt(sum(squares) / len(squares)), rel=1e-5, abs=1e-9)


@given(matrices(), st.sampled_from(FORMATS))
def test_what_is_clipped_lies_beyond_six_steps(w, format):
    for block, row in zip(block_scales(w, format).blocks, w, strict=True):
        assert block.clipped == int((row.double().abs() > 6.00001 * block.held).sum())
        assert (block.held >= block.wanted * (1 - 1e-6)) == (block.clipped == 0)


def test_a_longer_row_has_more_blocks_in_nvfp4():
    w = torch.arange(1.0, 65).reshape(1, 64)
    assert [len(block_scales(w, format).blocks) for format in FORMATS] == [2, 4]
