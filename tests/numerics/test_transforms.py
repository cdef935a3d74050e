"""Transforms of a weight's columns: they are undone, and products stay what they are."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode

from qdemo.numerics import transforms
from qdemo.numerics.transforms import ColumnScale, Rotation, hadamard, transform_of
from tests.strategies import values

LENGTHS = [1, 2, 3, 6, 64, 96, 192, 512, 768, 1024, 2048, 11008]


def matrix(size):
    """Sylvester's Hadamard matrix, entry by entry."""
    signs = [[(-1) ** (i & j).bit_count() for j in range(size)] for i in range(size)]
    return torch.tensor(signs, dtype=torch.float64) / size**0.5


@pytest.mark.parametrize("length", LENGTHS[:-2])
def test_it_is_sylvester_s_matrix_by_blocks(length):
    size = length & -length
    wanted = torch.block_diag(*[matrix(size)] * (length // size))
    found = hadamard(torch.eye(length, dtype=torch.float64))
    assert torch.allclose(found, wanted, atol=1e-12)


@pytest.mark.parametrize("length", LENGTHS)
def test_a_rotation_undone_is_the_identity_and_keeps_products(length):
    w, x = values("normal", (5, length), 1), values("normal", (7, length), 2)
    rotation = Rotation(0)
    turned = rotation.of_weights(w)
    assert torch.allclose(rotation.undone(turned), w, atol=1e-5)
    assert torch.allclose(turned.norm(dim=1), w.norm(dim=1), rtol=1e-5)
    product = rotation.of_inputs(x) @ turned.t()
    assert torch.allclose(product, x @ w.t(), atol=1e-4 * length**0.5)


@given(length=st.integers(1, 80), seed=st.integers(0, 2**40))
def test_seeds_give_signs_that_are_always_the_same(length, seed):
    w = values("normal", (2, length), 3)
    first, again = (Rotation(seed).of_weights(w) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.allclose(Rotation(seed).undone(first), w, atol=1e-5)


def test_the_signs_of_seed_0_are_those_that_files_were_written_with():
    found = Rotation(0).of_weights(torch.ones(1, 9))  # of odd length: nothing but signs
    assert found[0].int().tolist() == [-1, -1, -1, -1, 1, 1, -1, 1, 1]


def test_an_outlier_is_spread_over_its_block():
    x = torch.zeros(1, 64)
    x[0, 5] = 8
    assert torch.allclose(Rotation(0).of_inputs(x).abs(), torch.ones(1, 64))


def test_factors_go_to_the_input_and_come_back_to_the_weight():
    w, x = values("normal", (5, 12), 1), values("normal", (7, 12), 2)
    scale = ColumnScale(torch.rand(12) + 0.5)
    held = scale.of_weights(w)
    assert torch.allclose(scale.undone(held), w, atol=1e-6)
    assert torch.allclose(scale.of_inputs(x) @ held.t(), x @ w.t(), atol=1e-4)
    assert scale.of_inputs(x.bfloat16()).dtype == torch.bfloat16


def test_what_is_held_says_which_transform_it_is():
    assert transform_of({"codes": torch.zeros(1)}) is None
    assert transform_of({"rotation": torch.tensor(7)}) == Rotation(7)
    assert isinstance(transform_of({"column_scale": torch.ones(3)}), ColumnScale)


def test_rows_of_nothing_stay_what_they_are():
    assert hadamard(torch.empty(4, 0)).shape == (4, 0)
    assert Rotation(0).undone(torch.empty(0, 8)).shape == (0, 8)


def test_what_a_fake_mode_makes_is_not_kept_for_real_tensors():
    transforms._small.cache_clear()
    transforms._signs.cache_clear()
    with FakeTensorMode() as mode:
        Rotation(0).of_inputs(mode.from_tensor(torch.ones(2, 64)))
    assert type(Rotation(0).of_inputs(torch.ones(2, 64))) is torch.Tensor
