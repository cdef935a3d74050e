"""Loss and perplexity, beside torch's cross entropy and by hand."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy
from torch.utils._python_dispatch import TorchDispatchMode

from qdemo.measure import likelihood
from qdemo.measure.likelihood import losses, perplexity, standard_error
from qdemo.measure.logits import likeliest, logit_difference
from qdemo.measure.measure import Ran
from qdemo.measure.overflow import _largest_of
from qdemo.spec.variant import Variant

sizes = st.tuples(st.integers(1, 40), st.integers(1, 30), st.integers(0, 2**31))
"""Positions (more than are taken together), tokens, and a seed."""


def drawn(size, scale=5.0):
    positions, vocabulary, seed = size
    generator = torch.Generator().manual_seed(seed)
    z = scale * torch.randn(positions, vocabulary, generator=generator)
    return z, torch.randint(vocabulary, (positions,), generator=generator)


@given(sizes)
def test_losses_are_torch_s_cross_entropy(size):
    z, tokens = drawn(size)
    wanted = cross_entropy(z.double(), tokens, reduction="none")
    assert torch.allclose(losses(z, tokens), wanted, rtol=1e-12, atol=1e-12)


@given(sizes)
def test_a_shift_of_all_logits_changes_nothing(size):
    z, tokens = drawn(size)
    shifted = z.double() + torch.arange(len(z))[:, None]
    assert torch.allclose(losses(z, tokens), losses(shifted, tokens), rtol=1e-12, atol=1e-12)


@given(sizes)
def test_the_probabilities_of_all_tokens_are_one(size):
    z, _ = drawn(size)
    each = [losses(z, torch.full((len(z),), token)) for token in range(z.shape[1])]
    assert torch.allclose(torch.stack(each).neg().exp().sum(0), torch.ones(len(z)).double())


@given(st.integers(1, 30), st.integers(1, 50))
def test_who_knows_nothing_is_as_unsure_as_of_all_tokens(positions, vocabulary):
    loss = losses(torch.zeros(positions, vocabulary), torch.zeros(positions, dtype=torch.long))
    assert perplexity(loss) == pytest.approx(vocabulary)


def test_what_is_not_finite_is_told_as_such():
    z = torch.tensor([[0.0, -math.inf], [math.nan, 0.0], [math.inf, 0.0]])
    first, second, third = losses(z, torch.tensor([1, 1, 1])).tolist()
    assert first == math.inf
    assert math.isnan(second)
    assert not math.isfinite(third)
    assert perplexity(torch.tensor([1e9])) == math.inf


def test_a_token_a_position_is_expected():
    for z, tokens in (
        (torch.zeros(2, 3), torch.zeros(3, dtype=torch.long)),
        (torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)),
        (torch.zeros(1, 2, 3), torch.zeros(1, 2, dtype=torch.long)),
    ):
        with pytest.raises(ValueError, match="and a token a position, got"):
            losses(z, tokens)


def ran(z, tokens, reference=None):
    return Ran(Variant(), torch.nn.Identity(), tuple(tokens.tolist()), (), z, reference=reference)


@given(sizes)
def test_the_ratio_is_of_perplexities_on_the_same_tokens(size):
    z, tokens = drawn(size)
    noise = drawn((*z.shape, size[2] + 1), scale=0.5)[0]
    reference = ran(z, tokens)
    alone = likelihood.MEASURE.of(reference)
    beside = likelihood.MEASURE.of(ran(z + noise, tokens, reference))
    first, second = alone.figures["perplexity"], beside.figures["perplexity"]
    assert beside.figures["perplexity_ratio"] == pytest.approx(second / first)
    assert math.log(first) == pytest.approx(alone.figures["loss_mean"])
    assert "perplexity_ratio" not in alone.figures
    assert alone.by_position["loss_by_position"] == tuple(losses(z, tokens).tolist())
    itself = likelihood.MEASURE.of(ran(z, tokens, reference)).figures
    assert itself["perplexity_ratio"] == 1
    assert itself["perplexity_ratio_error"] in (0, None)


def test_errors_are_those_of_a_mean_of_independent_values():
    loss = torch.tensor([1.0, 2.0, 4.0, 5.0]).double()
    assert standard_error(loss) == pytest.approx(math.sqrt(10 / 3 / 4))  # Σ(x − 3)² = 10
    assert standard_error(loss[:1]) is None
    reference, worse = -torch.log(torch.expm1(loss)), -torch.log(torch.expm1(loss + 0.25))
    z, z_worse = (torch.stack([x, torch.zeros(4).double()], 1) for x in (reference, worse))
    tokens = torch.zeros(4, dtype=torch.long)  # log(1 + exp(−z)) is the loss
    first = ran(z, tokens)
    figures = likelihood.MEASURE.of(ran(z_worse, tokens, first)).figures
    assert figures["loss_mean"] == pytest.approx(3.25)
    assert figures["perplexity_error"] == pytest.approx(math.exp(3.25) * math.sqrt(10 / 12))
    assert figures["perplexity_ratio"] == pytest.approx(math.exp(0.25))
    assert figures["perplexity_ratio_error"] == pytest.approx(0, abs=1e-12)  # all by as much


class Largest(TorchDispatchMode):
    """The largest tensor in bytes that an operator allocates."""

    n_bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        before = {x.untyped_storage().data_ptr() for x in args if isinstance(x, torch.Tensor)}
        for x in out if isinstance(out, tuple | list) else (out,):
            if isinstance(x, torch.Tensor) and x.untyped_storage().data_ptr() not in before:
                self.n_bytes = max(self.n_bytes, x.untyped_storage().nbytes())
        return out


def test_logits_of_a_long_text_are_never_copied_whole():
    z, tokens = drawn((256, 1000, 3))
    other = z + 0.01
    with Largest() as seen:
        _ = z.double()
    assert seen.n_bytes == 8 * z.numel()  # a copy would be seen
    with Largest() as seen:
        losses(z, tokens)
        logit_difference(z, other, tokens)
        list(likeliest(z, 5))
        _largest_of(z)
    assert 0 < seen.n_bytes <= 8 * 16 * z.shape[1]
