import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qdemo import Scheme, choose_qparams, quantize_tensor
from qdemo.lab.by_hand import CLIPS, best_clip, by_hand, clip_errors, percentile_clip
from qdemo.numerics.blocks import to_blocks
from tests.strategies import schemes, values

SIZES = ("normal", "uniform", "zeros", "constant", "positive", "negative", "outlier", "zero rows")


@st.composite
def matrices(draw):
    shape = (draw(st.integers(1, 6)), draw(st.integers(1, 8)))
    w = values(draw(st.sampled_from(SIZES)), shape, draw(st.integers(0, 1000)))
    return w, draw(schemes(shape))


@given(matrices(), st.sampled_from(CLIPS))
def test_it_is_what_quantize_tensor_gives(case, clip):
    w, scheme = case
    scale, zero_point = choose_qparams(w, scheme)
    q = quantize_tensor(w, scheme, scale * clip, zero_point)
    found = by_hand(w, scheme, clip)
    assert torch.equal(found.q, q.data.long())
    assert torch.equal(found.w_hat, q.dequantize())
    assert found.nbytes == q.nbytes
    assert torch.equal(found.error, q.dequantize() - w)


@given(matrices(), st.sampled_from(CLIPS))
def test_scales_and_zero_points_are_spread_to_the_weights(case, clip):
    w, scheme = case
    found = by_hand(w, scheme, clip)
    assert found.scale.shape == found.zero_point.shape == found.clipped.shape == w.shape
    assert torch.equal((found.q - found.zero_point) * found.scale, found.w_hat)
    scale, _ = choose_qparams(w, scheme)
    spread = to_blocks(found.scale, scheme.axis, scheme.group_size)
    assert torch.equal(spread, (scale * clip).reshape(-1, 1).expand(spread.shape))


@given(matrices(), st.sampled_from(CLIPS))
def test_rounding_and_clipping_are_the_whole_squared_error(case, clip):
    found = by_hand(*case, clip)
    whole = found.error.double().square().sum().item()
    assert found.rounding + found.clipping == pytest.approx(whole, rel=1e-5)


@given(matrices(), st.sampled_from(CLIPS))
def test_what_is_inside_the_range_is_off_by_half_a_step_at_most(case, clip):
    found = by_hand(*case, clip)
    steps = (found.error.double() / found.scale.double()).abs()
    assert (steps[~found.clipped] <= 0.5 + 1e-4).all()
    assert (steps[found.clipped] >= 0.5 - 1e-4).all()
    ends = (found.q == found.scheme.qmin) | (found.q == found.scheme.qmax)
    assert ends[found.clipped].all()


@given(matrices())
def test_nothing_is_clipped_where_the_whole_range_is_kept(case):
    found = by_hand(*case)
    assert not found.clipped.any()
    assert found.clipping == 0


@pytest.mark.parametrize("end", [1.9, 2.1, 2.7])
def test_nothing_is_clipped_of_an_even_range(end):
    found = by_hand(torch.tensor([[-end, end]]), Scheme.parse("int8-affine"))
    assert found.clipped.tolist() == [[False, False]]


def test_clipped_are_the_weights_outside_what_is_left():
    w = torch.tensor([[1.0, -4.0, 6.0, 7.0]])
    found = by_hand(w, Scheme.parse("int4"), 0.5)
    assert found.q.tolist() == [[2, -7, 7, 7]]
    assert found.clipped.tolist() == [[False, True, True, True]]
    assert (found.rounding, found.clipping) == (0.0, 0.5**2 + 2.5**2 + 3.5**2)


@settings(max_examples=12)
@given(matrices())
def test_the_best_clip_has_the_least_squared_error(case):
    errors = clip_errors(*case)
    assert [clip for clip, _, _ in errors] == list(CLIPS)
    best = best_clip(errors)
    sums = {clip: rounding + clipping for clip, rounding, clipping in errors}
    assert sums[best] == min(sums.values())
    assert best == max(clip for clip in sums if sums[clip] == sums[best])
    chosen = by_hand(*case, best)
    assert sums[best] == pytest.approx(chosen.rounding + chosen.clipping, rel=1e-12)


def test_the_whole_range_of_a_zero_matrix_is_best():
    assert best_clip(clip_errors(torch.zeros(2, 3), Scheme("int4"))) == 1
    assert percentile_clip(torch.zeros(2, 3)) == 1


def test_the_percentile_is_torch_s_quantile():
    w = values("normal", (6, 8), 3)
    size = w.abs().reshape(-1).sort().values
    assert percentile_clip(w, 1.0) == 1
    assert percentile_clip(w, 0.5) == pytest.approx(float((size[23] + size[24]) / 2 / size[-1]))
    assert percentile_clip(w) == pytest.approx(float(size.quantile(0.99) / size[-1]))


@pytest.mark.parametrize("text", ["int4", "int4-affine"])
def test_squared_errors_of_the_largest_weights_that_can_be_typed_are_finite(text):
    found = by_hand(torch.tensor([[1e29, -3.3e28, 1.7e28]]), Scheme.parse(text))
    whole = found.error.double().square().sum().item()
    assert found.rounding + found.clipping == pytest.approx(whole, rel=1e-5)


def test_a_scheme_that_does_not_fit_is_told():
    with pytest.raises(ValueError, match="group_size 5 does not divide the row length 8"):
        by_hand(torch.ones(2, 8), Scheme.parse("int4-g5"))
