import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qdemo import lab
from qdemo.lab.codebooks import all_snapped, histogram, levels, of_layer, snapped
from qdemo.lab.matrices import layer
from qdemo.spec.formats import GRIDS
from tests.strategies import values

SMALL_FLOATS = [0, 0.5, 1, 1.5, 2, 3, 4, 6]
KINDS = ("normal", "uniform", "zeros", "constant", "outlier", "zero rows", "negative")


@st.composite
def matrices(draw):
    shape = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    return values(draw(st.sampled_from(KINDS)), shape, draw(st.integers(0, 1000)))


@pytest.mark.parametrize(
    ("grid", "wanted"),
    [
        ("int4", [q / 7 for q in range(-7, 8)]),
        ("e2m1", sorted({sign * size / 6 for size in SMALL_FLOATS for sign in (1, -1)})),
        ("nf2", GRIDS["nf2"].levels),
        ("nf4", GRIDS["nf4"].levels),
    ],
)
def test_levels_are_those_of_the_definition(grid, wanted):
    assert levels(grid) == pytest.approx(wanted, abs=1e-7)


@given(matrices(), st.sampled_from(lab.CODEBOOKS))
def test_every_weight_becomes_the_nearest_level(w, grid):
    found = snapped(w, grid)
    all_levels = torch.tensor(levels(grid))
    nearest = (found.units[..., None] - all_levels).abs().amin(-1)
    assert torch.allclose((found.units - found.snapped).abs(), nearest, atol=1e-6)
    assert found.units.abs().max() <= 1 + 1e-6
    places = (found.snapped[..., None] - all_levels).abs().amin(-1)
    assert places.max() < 1e-6


@given(matrices(), st.sampled_from(lab.CODEBOOKS))
def test_a_level_times_absmax_is_the_weight_again(w, grid):
    found, absmax = snapped(w, grid), w.abs().amax(1, keepdim=True)
    error = (found.snapped * absmax - w).double()
    assert found.rms == pytest.approx(error.square().mean().sqrt().item(), rel=1e-4, abs=1e-7)


def test_bits_a_weight_count_the_scales():
    w = layer(lab.LAYERS[0])
    found = {one.grid: one for one in all_snapped(w)}
    assert {grid: one.bits for grid, one in found.items()} == {
        "nf4": 4.5, "nf3": 3.5, "nf2": 2.5, "fp4bnb": 4.5, "e2m1": 4.5, "int4": 4.5,
    }  # fmt: skip
    assert found["nf4"].sqnr > found["e2m1"].sqnr > found["nf3"].sqnr > found["nf2"].sqnr


@pytest.mark.parametrize("grid", lab.CODEBOOKS)
def test_the_histogram_has_all_weights(grid):
    found = next(one for one in of_layer(lab.LAYERS[1]) if one.grid == grid)
    middles, shares = histogram(found)
    assert sum(shares) == pytest.approx(1)
    width = middles[1] - middles[0]
    for i in (0, 13, 30, 60):
        inside = (found.units - middles[i]).abs() < width / 2
        assert shares[i] == pytest.approx(inside.float().mean().item(), abs=2e-4)


def test_a_matrix_without_an_error_has_no_sqnr():
    assert snapped(torch.zeros(2, 4), "nf4").sqnr is None
