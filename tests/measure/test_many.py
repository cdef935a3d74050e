"""KL and the same top token of many inputs, as each alone has them."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qdemo.measure import many
from qdemo.measure.logits import logit_difference
from qdemo.measure.many import apart, loss_of


@settings(max_examples=30)
@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=6),
    st.integers(2, 40),
    st.integers(0, 2**31),
    st.sampled_from([1, 50, 2**21]),
)
def test_each_is_what_it_is_alone(lengths, tokens, seed, together):
    generator = torch.Generator().manual_seed(seed)
    reference = [torch.randn(n, tokens, generator=generator) * 5 for n in lengths]
    other = [z + torch.randn(z.shape, generator=generator) for z in reference]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(many, "_TOGETHER", together)
        found = apart(reference, other)
    for one, z_ref, z in zip(found, reference, other, strict=True):
        alone = logit_difference(z_ref, z)
        assert one.kl == pytest.approx(alone.kl_mean, rel=1e-12)
        assert (one.same, one.positions) == (int(alone.same.sum()), len(z))


@pytest.mark.parametrize("wrong", [math.nan, math.inf])
def test_what_is_not_finite_is_infinitely_far_and_alone(wrong):
    z = torch.randn(3, 5)
    broken = z.clone()
    broken[1, 2] = wrong
    first, second = apart([z, z], [broken, z])
    assert (first.kl, first.same) == (math.inf, 2)
    assert (second.kl, second.same) == (0, 3)


def test_nothing_is_nothing():
    assert apart([], []) == []


def test_a_loss_is_the_mean_of_minus_log_p():
    z = torch.randn(4, 7)
    expected = torch.nn.functional.cross_entropy(z.double(), torch.tensor([0, 6, 3, 3]))
    assert loss_of(z, [0, 6, 3, 3]) == pytest.approx(expected.item())
    z[0, 0] = math.nan
    assert loss_of(z, [0, 6, 3, 3]) == math.inf
