import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from qdemo import (
    Scheme,
    Variant,
    cast,
    freeze,
    model_weight_errors,
    pool,
    quantize,
    quantize_tensor,
    weight_error,
)
from qdemo.measure.histogram import BINS, LOG_BINS, LinearHistogram, log_counts, log_edges
from qdemo.measure.weights import IDEAL_STEPS
from tests.strategies import EVERY, cases, values

FIELDS = ("numel", "zeroed", "overflowed", "saturated", "exact", "stepped")


@given(cases(kinds=("normal", "zeros", "outlier", "tiny", "zero rows", "mixed sizes")))
def test_every_figure_is_what_numpy_would_say(case):
    w, scheme = case
    q = quantize_tensor(w, scheme)
    error = weight_error(w, q)
    e, x = (q.dequantize().double() - w.double()).reshape(-1), w.double().reshape(-1)
    assert error.numel == len(x)
    assert error.max_abs == (e.abs().max().item() if len(e) else 0)
    assert error.sum_sq_error == pytest.approx((e**2).sum().item(), rel=1e-6)
    assert error.sum_sq_weight == pytest.approx((x**2).sum().item(), rel=1e-12)
    assert error.zeroed == int(((x != 0) & (q.dequantize().reshape(-1) == 0)).sum())
    assert error.exact == int((e == 0).sum())
    assert (error.overflowed, error.saturated) == (0, 0)
    if len(x) and error.sum_sq_error:
        sqnr = 10 * math.log10((x**2).sum().item() / (e**2).sum().item())
        assert error.sqnr_db == pytest.approx(sqnr)
        assert error.relative == pytest.approx((e.norm() / x.norm()).item())
        assert error.rms == pytest.approx((e.norm() / math.sqrt(len(e))).item())


@given(cases(kinds=("normal", "outlier", "mixed sizes"), formats=EVERY))
def test_a_tensor_and_a_quantized_tensor_agree(case):
    w, scheme = case
    q = quantize_tensor(w, scheme)
    ours, plain = weight_error(w, q), weight_error(w, q.dequantize())
    assert ours.sum_sq_error == pytest.approx(plain.sum_sq_error, rel=1e-12)
    assert ours.max_abs == plain.max_abs
    assert torch.equal(ours.histogram.counts, plain.histogram.counts)
    assert torch.equal(ours.log_histogram, plain.log_histogram)
    assert plain.rms_steps is None


@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 100))
def test_errors_pool_as_sums_not_as_decibels(rows, more, seed):
    a, b = values("normal", (rows, 40), seed), values("mixed sizes", (more, 40), seed)
    both = torch.cat([a, b])
    scheme = Scheme("int4")
    whole = weight_error(both, quantize_tensor(both, scheme))
    parts = weight_error(a, quantize_tensor(a, scheme)) + weight_error(
        b, quantize_tensor(b, scheme)
    )
    assert [getattr(parts, f) for f in FIELDS] == [getattr(whole, f) for f in FIELDS]
    assert parts.max_abs == whole.max_abs
    assert parts.sqnr_db == pytest.approx(whole.sqnr_db)
    assert parts.rms_steps == pytest.approx(whole.rms_steps)
    assert torch.equal(parts.histogram.counts, whole.histogram.counts)
    assert parts.histogram.power == whole.histogram.power


def test_large_tensors_are_measured_in_pieces():
    w = torch.randn(3, 300_000)
    for text in ("int8", "int8-tensor", "int4-g100"):
        q = quantize_tensor(w, Scheme.parse(text))
        error, e = weight_error(w, q), (q.dequantize() - w).double()
        assert error.sum_sq_error == pytest.approx((e**2).sum().item(), rel=1e-9)
        assert error.stepped == error.numel == w.numel()
        assert error.histogram.counts.sum() + error.exact == w.numel()
        assert error.log_histogram.sum() + error.exact == w.numel()


def test_rounding_errors_are_a_step_over_the_root_of_twelve():
    w = torch.rand(64, 4096) - 0.5
    for bits in (8, 6, 4):
        steps = weight_error(w, quantize_tensor(w, Scheme(f"int{bits}"))).rms_steps
        assert steps == pytest.approx(IDEAL_STEPS, rel=0.02)


@pytest.mark.parametrize("text", ["nf4-g64", "fp4bnb-g64", "e2m1-g64", "fp8_e4m3"])
def test_grids_without_even_steps_have_errors_but_no_steps(text):
    w = torch.randn(40, 128)
    q = quantize_tensor(w, Scheme.parse(text))
    error, plain = weight_error(w, q), weight_error(w, q.dequantize())
    assert (error.stepped, error.rms_steps, error.saturated) == (0, None, 0)
    assert error.sum_sq_error == pytest.approx(plain.sum_sq_error, rel=1e-12)
    assert error.sqnr_db > 15


def test_six_decibels_a_bit():
    """Each bit halves the step: 20 · log10(2) = 6.02 dB (exactly, up to qmax = 2^(b−1) − 1)."""
    w = torch.rand(64, 4096) - 0.5
    sqnr = {b: weight_error(w, quantize_tensor(w, Scheme(f"int{b}"))).sqnr_db for b in (8, 7, 6)}
    assert sqnr[8] - sqnr[7] == pytest.approx(20 * math.log10(127 / 63), abs=0.1)
    assert sqnr[7] - sqnr[6] == pytest.approx(20 * math.log10(63 / 31), abs=0.1)


def test_what_a_cast_breaks_is_counted():
    w = torch.tensor([1.0, 1e6, 1e-9, -1e-9, 0.0])
    error = weight_error(w, w.half())
    assert (error.overflowed, error.zeroed, error.exact) == (1, 2, 2)
    assert (error.max_abs, error.sqnr_db) == (math.inf, -math.inf)
    assert error.histogram.counts.sum() == 2  # the infinite error is not drawn


def test_clipped_values_are_saturated():
    w = torch.tensor([[0.5, 10.0, -10.0, 6.3]])
    q = quantize_tensor(w, Scheme("int8"), torch.tensor([0.05]))
    assert weight_error(w, q).saturated == 2


def test_nothing_and_no_error():
    empty = weight_error(torch.empty(0, 4), torch.empty(0, 4))
    assert (empty.numel, empty.rms, empty.sqnr_db, empty.relative) == (0, 0, math.inf, 0)
    zero = weight_error(torch.zeros(3), torch.zeros(3))
    assert (zero.sqnr_db, zero.relative, zero.exact) == (math.inf, 0, 3)
    added = weight_error(torch.zeros(3), torch.ones(3))
    assert (added.relative, added.sqnr_db) == (math.inf, -math.inf)


def test_shapes_must_agree():
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        weight_error(torch.zeros(2), torch.zeros(3))


@given(st.integers(0, 500), st.integers(-6, 6))
def test_widening_is_counting_again(seed, power):
    x = values("normal", (200,), seed).double() * 2.0**power
    narrow = LinearHistogram.of(x)
    wide = narrow.widened(narrow.power + 3)
    assert torch.equal(wide.counts, torch.histogram(x, wide.edges)[0].long())


def test_widening_far_keeps_every_count():
    x = torch.tensor([-0.5, -0.1, 0.2, 0.3], dtype=torch.float64)
    wide = LinearHistogram.of(x).widened(900)
    assert wide.counts[BINS // 2 - 1 : BINS // 2 + 1].tolist() == [2, 2]


def test_edges_hold_their_values():
    x = values("normal", (500,), 1).double()
    histogram = LinearHistogram.of(x)
    wanted = torch.histogram(x, histogram.edges)[0].long()
    assert torch.equal(histogram.counts, wanted)
    assert len(histogram.edges) == BINS + 1
    sizes = x.abs()
    wanted = torch.histogram(sizes.log10(), log_edges())[0].long()
    assert torch.equal(log_counts(sizes, 1.0), wanted)
    assert len(wanted) == LOG_BINS


def test_the_log_histogram_does_not_see_the_unit_of_the_weights():
    w = torch.randn(16, 64)
    a = weight_error(w, quantize_tensor(w, Scheme("int4")))
    b = weight_error(w * 1024, quantize_tensor(w * 1024, Scheme("int4")))
    assert torch.equal(a.log_histogram, b.log_histogram)
    assert not torch.equal(a.histogram.edges, b.histogram.edges)


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(12, 8)
        self.body = nn.Linear(8, 8)
        self.head = nn.Linear(8, 12, bias=False)
        self.head.weight = self.embed.weight


def test_a_model_is_measured_by_name():
    reference = Tied()
    errors = dict(model_weight_errors(reference, cast(reference, "bf16")))
    assert list(errors) == ["embed.weight", "body.weight", "body.bias"]  # the tied weight once
    wanted = weight_error(reference.body.weight, reference.body.weight.bfloat16())
    assert errors["body.weight"].sum_sq_error == wanted.sum_sq_error


@pytest.mark.parametrize(
    ("embeddings", "names"),
    [
        (False, ["embed.weight", "body.weight", "body.bias", "head.weight"]),
        (True, ["embed.weight", "body.weight", "body.bias"]),
    ],
)
def test_a_split_tie_is_measured_in_both_forms(embeddings, names):
    reference, variant = Tied(), Tied()
    variant.load_state_dict(reference.state_dict())
    include = None if embeddings else ["body", "head"]
    quantize(variant, "int4", include=include, embeddings=embeddings)
    freeze(variant)
    errors = dict(model_weight_errors(reference, variant))
    assert list(errors) == names
    assert (errors["embed.weight"].sum_sq_error > 0) is embeddings
    assert errors["body.weight"].rms_steps is not None


def test_a_model_without_the_parameter_is_refused():
    with pytest.raises(AttributeError, match="embed"):
        list(model_weight_errors(Tied(), nn.Embedding(12, 8)))


def test_nan_is_not_lost():
    for bad in ([1.0, math.nan, 1.0], [math.inf, math.nan, 1.0]):
        error = weight_error(torch.ones(3), torch.tensor(bad))
        assert math.isnan(error.max_abs)
        assert math.isnan((error + weight_error(torch.ones(1), torch.ones(1))).max_abs)
        assert error.overflowed >= 1


def test_extreme_sizes_are_measured():
    w = torch.tensor([1e-37, 2e-37, -3e-37])
    small = weight_error(w, w + torch.tensor([1e-38, -1e-38, 1e-38]))
    assert small.relative == pytest.approx(math.sqrt(3 / 14) / 10, rel=1e-4)
    assert int((small.histogram.counts > 0).sum()) == 2
    large = weight_error(torch.tensor([3e38]), torch.tensor([-3e38]))
    assert large.max_abs == pytest.approx(6e38)


@pytest.mark.parametrize("compute", ["", "@bf16", "@fp16"])
def test_computing_in_half_precision_is_not_taken_for_clipping(compute):
    reference = nn.Sequential(nn.Linear(64, 64, bias=False))
    (error,) = dict(
        model_weight_errors(reference, Variant.parse("int8" + compute).build(reference))
    ).values()
    assert error.saturated == 0
    assert error.rms_steps == pytest.approx(IDEAL_STEPS, rel=0.03)


def test_weights_that_still_train_are_measured_rounded():
    reference = nn.Sequential(nn.Linear(64, 64))
    variant = nn.Sequential(nn.Linear(64, 64))
    variant.load_state_dict(reference.state_dict())
    quantize(variant, "int2")
    trainable = dict(model_weight_errors(reference, variant))["0.weight"]
    freeze(variant)
    frozen = dict(model_weight_errors(reference, variant))["0.weight"]
    assert trainable.sum_sq_error == frozen.sum_sq_error > 0


def test_a_model_is_pooled():
    reference = Tied()
    errors = dict(model_weight_errors(reference, cast(reference, "bf16")))
    whole = pool(errors.values())
    assert whole.numel == sum(p.numel() for p in reference.parameters())
    assert whole.max_abs == max(error.max_abs for error in errors.values())
    assert pool([]).numel == 0


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_counts_reach_beyond_what_16_bits_can_count(dtype):
    """65,504 is where a sum in fp16 ends, and 256 where one in bf16 stops growing."""
    w = torch.ones(300_000, dtype=dtype)
    w[1] = 0
    error = weight_error(w, torch.where(torch.arange(len(w)) < 3, torch.zeros_like(w), w))
    assert (error.zeroed, error.exact, error.overflowed) == (2, len(w) - 2, 0)


def test_a_result_outlives_the_memory_it_was_made_in():
    w, other = torch.randn(40, 50), torch.randn(40, 50)
    error = weight_error(w, w.bfloat16())
    counts, logs = error.histogram.counts.clone(), error.log_histogram.clone()
    weight_error(other, other.half())
    assert torch.equal(error.histogram.counts, counts)
    assert torch.equal(error.log_histogram, logs)


def test_a_tensor_of_which_nothing_stays_finite():
    error = weight_error(torch.tensor([1e5, -2e5]), torch.tensor([1e5, -2e5]).half())
    assert (error.overflowed, error.zeroed, error.exact, error.max_abs) == (2, 0, 0, math.inf)
    assert error.histogram.counts.sum() == error.log_histogram.sum() == 0


def test_what_is_not_a_number_has_not_become_zero():
    w = torch.tensor([1.0, 2.0, 3.0])
    error = weight_error(w, torch.tensor([1.0, math.nan, 0.0]))
    assert (error.overflowed, error.zeroed, error.exact) == (1, 1, 1)
    assert math.isnan(error.max_abs)
