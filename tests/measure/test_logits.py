import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import kl_div

from qdemo import logit_difference
from qdemo.spec.proportion import wilson


def logits(seed, positions=6, tokens=11, noise=0.3):
    generator = torch.Generator().manual_seed(seed)
    reference = torch.randn(positions, tokens, generator=generator) * 3
    return reference, reference + noise * torch.randn(positions, tokens, generator=generator)


def test_no_difference_measures_as_nothing():
    reference, _ = logits(0)
    d = logit_difference(reference, reference.clone())
    assert (d.mean_abs, d.max_abs, d.mean_abs_centred, d.max_abs_centred) == (0, 0, 0, 0)
    assert (d.kl_mean, d.kl_p90, d.kl_max, d.token_probability_rms) == (0, 0, 0, 0)
    assert (d.same_top, d.same_top_error, d.invalid_positions) == (1, 0, 0)


@given(st.integers(0, 1000), st.floats(0.001, 3))
def test_every_figure_is_what_torch_gives(seed, noise):
    reference, other = logits(seed, noise=noise)
    d = logit_difference(reference, other)
    difference = (other.double() - reference.double()).abs()
    assert d.mean_abs == pytest.approx(difference.mean().item(), rel=1e-12)
    assert d.max_abs == pytest.approx(difference.max().item(), rel=1e-12)
    log_p, log_ref = other.double().log_softmax(1), reference.double().log_softmax(1)
    kl = kl_div(log_p, log_ref, reduction="none", log_target=True).sum(1)
    assert torch.allclose(d.kl, kl, rtol=1e-9, atol=1e-15)
    assert d.kl_mean == pytest.approx(kl.mean().item())
    assert d.kl_p90 == pytest.approx(torch.quantile(kl, 0.9, interpolation="higher").item())
    assert d.kl_max == pytest.approx(kl.max().item())
    same = reference.argmax(1) == other.argmax(1)
    assert d.same.tolist() == same.tolist()
    assert d.same_top == pytest.approx(same.float().mean().item())
    tokens = reference.argmax(1, keepdim=True)
    change = log_p.exp().gather(1, tokens) - log_ref.exp().gather(1, tokens)
    assert d.token_probability_rms == pytest.approx(change.square().mean().sqrt().item())


@given(st.integers(0, 1000))
def test_a_constant_shift_is_seen_only_by_the_plain_figures(seed):
    reference, _ = logits(seed)
    shift = torch.arange(6.0)[:, None] + 1
    d = logit_difference(reference.double(), reference.double() + shift)
    assert d.mean_abs == pytest.approx(3.5)
    assert d.max_abs == pytest.approx(6)
    assert d.max_abs_centred < 1e-12
    assert d.kl_max < 1e-14
    assert d.same_top == 1


def test_by_hand():
    """Two tokens, log-odds 0 against log-odds log 3: P_ref = (1/2, 1/2), P = (1/4, 3/4)."""
    d = logit_difference(torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, math.log(3)]]))
    assert d.kl_mean == pytest.approx(math.log(2) - math.log(3) / 2, rel=1e-6)
    assert (d.mean_abs, d.max_abs) == pytest.approx((math.log(3) / 2, math.log(3)))
    assert d.mean_abs_centred == pytest.approx(math.log(3) / 2)
    assert d.token_probability_rms == pytest.approx(0.25)


def test_the_standard_error_is_the_binomial_one():
    reference = torch.eye(10)
    other = reference.clone()
    other[:3] = other[:3].roll(1, 1)  # three of ten positions have another top token
    d = logit_difference(reference, other)
    assert d.same_top == pytest.approx(0.7)
    assert d.same_top_error == pytest.approx(math.sqrt(0.7 * 0.3 / 10))
    assert (d.same_top_low, d.same_top_high) == wilson(7, 10)


@pytest.mark.parametrize("second", [[3.0, 3.0, 1.0], [3.0, 1.0, 3.0], [3.0, 3.0, 3.0]])
@pytest.mark.parametrize("first", [[5.0, 0.0, 1.0], [5.0, 5.0, 1.0], [5.0, 1.0, 5.0]])
def test_of_tokens_that_are_equally_likely_one_in_common_is_enough(first, second):
    reference, other = torch.tensor([first]), torch.tensor([second])
    assert logit_difference(reference, other).same_top == 1
    assert logit_difference(other, reference).same_top == 1


def test_tokens_that_are_equally_likely_and_all_others_than_the_reference_s():
    d = logit_difference(torch.tensor([[5.0, 0.0, 1.0]]), torch.tensor([[2.0, 3.0, 3.0]]))
    assert d.same_top == 0


def with_kl(infinite, positions):
    """Logits of which so many positions have no chance of what the reference writes."""
    reference = torch.zeros(positions, 2)
    other = reference + torch.arange(positions)[:, None] * torch.tensor([0.0, 0.1])
    other[:infinite, 0] = -torch.inf
    return logit_difference(reference, other)


@pytest.mark.parametrize(("infinite", "positions"), [(1, 9), (2, 10), (5, 40), (1, 1)])
def test_an_infinite_percentile_is_infinite(infinite, positions):
    assert with_kl(infinite, positions).kl_p90 == torch.inf


@pytest.mark.parametrize(("infinite", "positions"), [(1, 10), (4, 40), (0, 1)])
def test_infinities_above_a_percentile_leave_it_finite(infinite, positions):
    d = with_kl(infinite, positions)
    assert d.kl_p90 == d.kl.sort().values[math.ceil(0.9 * positions) - 1].item() < torch.inf


def test_given_tokens_are_the_ones_followed():
    reference, other = torch.tensor([[0.0, 0.0]]), torch.tensor([[0.0, math.log(3)]])
    d = logit_difference(reference, other, tokens=torch.tensor([0]))
    assert d.token_probability_rms == pytest.approx(0.25)
    with pytest.raises(ValueError, match="3 tokens for 1 positions"):
        logit_difference(reference, other, tokens=torch.tensor([0, 1, 0]))


def test_a_batch_is_its_positions():
    reference, other = logits(3)
    flat = logit_difference(reference, other)
    batch = logit_difference(reference.reshape(2, 3, 11), other.reshape(2, 3, 11))
    assert batch.mean_abs == flat.mean_abs
    assert torch.equal(batch.kl, flat.kl)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_broken_logits_are_counted_not_hidden(bad):
    reference, other = logits(0)
    other[2, 3] = other[4, 0] = bad
    d = logit_difference(reference, other)
    assert d.invalid_positions == 2
    assert not d.same[[2, 4]].any()
    assert not math.isfinite(d.max_abs)
    assert math.isnan(d.kl_mean)


def test_half_precision_logits_are_compared_in_full():
    reference, _ = logits(0)
    d = logit_difference(reference, reference.to(torch.bfloat16))
    assert 0 < d.max_abs < 0.05
    assert d.kl_mean > 0


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(3, 2\)"):
        logit_difference(torch.zeros(2, 3), torch.zeros(3, 2))
    with pytest.raises(ValueError, match=r"\(0, 3\)"):
        logit_difference(torch.zeros(0, 3), torch.zeros(0, 3))
    with pytest.raises(ValueError, match=r"\(3,\)"):
        logit_difference(torch.zeros(3), torch.zeros(3))
    with pytest.raises(ValueError, match="reference's logits are not all finite"):
        logit_difference(torch.full((1, 2), math.nan), torch.zeros(1, 2))


def test_nan_where_the_reference_is_highest_is_not_the_same_top_token():
    reference, other = logits(0)
    other[torch.arange(6), reference.argmax(1)] = math.nan
    d = logit_difference(reference, other)
    assert (d.same_top, d.invalid_positions) == (0, 6)


def test_a_tie_with_the_reference_is_the_same_top_token():
    reference = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]])
    other = torch.tensor([[2.0, 2.0, 0.0], [0.0, 2.0, 2.0], [3.0, 2.0, 0.0]])
    assert logit_difference(reference, other).same.tolist() == [True, False, True]
