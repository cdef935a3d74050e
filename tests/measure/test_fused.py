"""The loop over vectors and torch find the same, on every CPU that the loop is written for."""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from qdemo import Scheme, Variant, model_weight_errors, quantize_tensor
from qdemo.loops import machine as loops
from qdemo.loops.cells import EDGES
from qdemo.loops.host import why_not
from qdemo.measure import fused, models
from qdemo.measure.forms import Weights
from qdemo.measure.histogram import log_counts, log_edges_of
from qdemo.measure.weights import weight_error
from qdemo.spec.formats import GRIDS
from tests.strategies import KINDS, values

FLOATS = (torch.float32, torch.bfloat16, torch.float16)
COUNTS = ("numel", "max_abs", "zeroed", "overflowed", "saturated", "exact", "stepped")
SUMS = ("sum_sq_error", "sum_sq_weight", "sum_sq_steps")

here = loops.machine()
pytestmark = pytest.mark.skipif(here is None, reason=why_not() or "loops run")
NARROWER = {"avx512": ("avx2", "portable"), "avx2": ("portable",)}.get(
    here.kind if here else "", ()
)
MACHINES = [here, *(loops.NARROWER[kind] for kind in NARROWER)]


def by_torch(w, w_hat):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loops, "machine", lambda: None)
        return weight_error(w, w_hat)


def by_loop(w, w_hat, which=here):
    """The error, and whether the loop measured it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loops, "machine", lambda: which)
        found = Weights.of(w, w_hat)
        if found is None:
            return weight_error(w, w_hat), False
        (sum_sq,) = fused.sums_of_squares([found], torch.get_num_threads())
        unit = math.sqrt(sum_sq / w.numel()) or 1.0
        (counted,) = fused.counted([found], [unit], torch.get_num_threads())
        return weight_error(w, w_hat), counted is not None


def assert_equal(ours, theirs):
    for name in COUNTS:
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name), rel=0, nan_ok=True), name
    for name in SUMS:
        a, b = getattr(ours, name), getattr(theirs, name)
        assert a == pytest.approx(b, rel=1e-12, abs=0, nan_ok=True), name
    assert torch.equal(ours.histogram.counts, theirs.histogram.counts)
    assert torch.equal(ours.log_histogram, theirs.log_histogram)
    if theirs.histogram.counts.any():
        assert ours.histogram.power == theirs.histogram.power


shapes = st.one_of(
    st.tuples(st.integers(1, 40), st.integers(1, 70)),
    st.tuples(st.sampled_from([1, 15, 16, 17, 33]), st.sampled_from([128, 513, 1024, 1030, 2056])),
)


@st.composite
def quantized(draw):
    """Weights, and what they become on some grid, with scales of some shape, computed in some
    dtype."""
    shape = draw(shapes)
    w = values(draw(st.sampled_from(KINDS)), shape, draw(st.integers(0, 2**31)))
    grid = draw(st.sampled_from(tuple(GRIDS)))
    symmetric = GRIDS[grid].kind != "integer" or draw(st.booleans())
    axis = draw(st.sampled_from([0, 0, None, 1]))
    divisors = [d for d in range(1, shape[1] + 1) if shape[1] % d == 0]
    group = draw(st.sampled_from([None, *divisors])) if axis == 0 else None
    q = quantize_tensor(w, Scheme(grid, symmetric, axis, group))
    return w, replace(q, dtype=draw(st.sampled_from(FLOATS)))


@given(quantized(), st.sampled_from(MACHINES))
def test_quantized_weights(case, which):
    assert_equal(by_loop(*case, which)[0], by_torch(*case))


@given(st.sampled_from(("mxfp4", "nvfp4", "q4_0", "q4_1", "q8_0", "q2_k", "q4_k", "q6_k",
                        "int4-g64-dq", "int4-g64-affine-dq")),
       st.sampled_from(KINDS), st.integers(1, 40), st.integers(0, 2**31),
       st.sampled_from(MACHINES))  # fmt: skip
def test_scales_of_other_formats(text, kind, n, seed, which):
    w = values(kind, (n, 512), seed)
    q = quantize_tensor(w, Scheme.parse(text))
    error = by_torch(w, q)
    assert_equal(by_loop(w, q, which)[0], error)
    assert error.sum_sq_steps >= 0


@given(shapes, st.sampled_from(KINDS), st.integers(0, 2**31), st.sampled_from(FLOATS),
       st.sampled_from(MACHINES))  # fmt: skip
def test_casts(shape, kind, seed, dtype, which):
    w = values(kind, shape, seed)
    w_hat = (w * 1.001).to(dtype)
    assert_equal(by_loop(w, w_hat, which)[0], by_torch(w, w_hat))


@pytest.mark.parametrize("which", MACHINES, ids=lambda one: one.kind)
@pytest.mark.parametrize("text", ["int8", "int8-affine", "int8-tensor", "int7", "int6-affine",
    "int5-g8", "int4-g64", "int4-g64-affine", "int3-g32", "int2", "nf4-g64", "nf3-g16", "e2m1-g32",
    "fp8_e4m3", "fp8_e5m2-g96", "mxfp4", "mxfp8", "nvfp4", "q8_0", "nf4-g64-dq", "int4-g64-dq",
])  # fmt: skip
def test_the_loop_takes_all_usual_schemes_and_casts(text, which):
    w = torch.randn(61, 960, generator=torch.Generator().manual_seed(1)) * 0.05
    q = quantize_tensor(w, Scheme.parse(text))
    for dtype in FLOATS:
        for w_hat in (replace(q, dtype=dtype), w.to(dtype)):
            error, in_loop = by_loop(w, w_hat, which)
            is_fp16 = dtype == torch.float16
            assert in_loop or (which.kind == "portable" and is_fp16)
            assert_equal(error, by_torch(w, w_hat))


@pytest.mark.parametrize("text", ["int8", "int4-g64", "int4-g64-affine", "nf4-g64@bf16"])
def test_the_loop_takes_what_layers_hold(text):
    """They keep scales of groups as their own kernels read them."""
    reference = nn.Sequential(nn.Linear(192, 40, bias=False))
    layer = Variant.parse(text).build(reference)[0]
    error, in_loop = by_loop(reference[0].weight, layer.qweight)
    assert in_loop
    assert_equal(error, by_torch(reference[0].weight, layer.qweight))


def test_scales_and_zero_points_that_lie_otherwise_are_read_where_they_are():
    w = torch.randn(40, 192, generator=torch.Generator().manual_seed(8))
    q = quantize_tensor(w, Scheme.parse("int4-g8-affine"))
    assert q.zero_point is not None
    turned = {role: q.tensors[role].t().contiguous().t() for role in ("scale", "zero_point")}
    every_other = {role: torch.stack([q.tensors[role], 1 + 0 * q.tensors[role]], 2)[..., 0]
                   for role in turned}  # fmt: skip
    wanted = by_torch(w, q)
    for changed in (turned, every_other):
        error, in_loop = by_loop(w, replace(q, tensors={**q.tensors, **changed}))
        assert in_loop
        assert_equal(error, wanted)
    one = replace(q, tensors={**q.tensors, "scale": turned["scale"]})
    error, in_loop = by_loop(w, one)
    assert not in_loop
    assert_equal(error, wanted)


def test_large_weights_are_measured_by_several_threads(monkeypatch):
    w = torch.randn(700, 1000, generator=torch.Generator().manual_seed(2))
    q = quantize_tensor(w, Scheme.parse("int4-g8"))
    wanted = by_torch(w, q)
    for threads in (1, 2, 3):
        monkeypatch.setattr(loops, "threads", lambda _, threads=threads: threads)
        monkeypatch.setattr(fused, "_LEAST", 1 << 14)
        for w_hat, expected in ((q, wanted), (w.half(), by_torch(w, w.half()))):
            error, in_loop = by_loop(w, w_hat)
            assert in_loop
            assert_equal(error, expected)


def test_several_threads_of_python_measure_at_once():
    cases = [torch.randn(200, 600, generator=torch.Generator().manual_seed(i)) for i in range(6)]
    wanted = [weight_error(w, w.bfloat16()) for w in cases]
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda w: weight_error(w, w.bfloat16()), cases * 5))
    for ours, theirs in zip(found, wanted * 5, strict=True):
        assert_equal(ours, theirs)


def test_a_fork_computes_alone():
    """It has none of its parent's threads, and would wait for them for ever."""
    w = torch.randn(600, 1000, generator=torch.Generator().manual_seed(7))
    w_hat = w.bfloat16()
    wanted = weight_error(w, w_hat).max_abs
    child = os.fork()
    if not child:
        os._exit(0 if weight_error(w, w_hat).max_abs == wanted else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_unaligned_memory_is_read():
    memory = torch.randn(1 + 64 * 40, generator=torch.Generator().manual_seed(3))
    w = memory[1:].view(64, 40)
    held = torch.empty(2 * w.numel() + 1, dtype=torch.uint8)[1:].view(torch.uint8)
    w_hat = w.bfloat16()
    assert w.data_ptr() % 64
    error, in_loop = by_loop(w, w_hat)
    assert in_loop
    assert_equal(error, by_torch(w, w_hat))
    q = quantize_tensor(w, Scheme("int8"))
    codes = held[: w.numel()].view(torch.int8).view(w.shape).copy_(q.packed)
    moved = replace(q, tensors={**q.tensors, "codes": codes})
    error, in_loop = by_loop(w, moved)
    assert in_loop
    assert_equal(error, by_torch(w, q))


class Own(torch.Tensor):
    """A tensor of a class of its own."""


@pytest.mark.parametrize("change", [
    lambda w, q: (w.double(), q),
    lambda w, q: (w.t().contiguous().t(), q),
    lambda w, q: (w.bfloat16(), q),
    lambda w, q: (w, q.dequantize().double()),
    lambda w, q: (w, q.dequantize().t().contiguous().t()),
    lambda w, q: (w, replace(q, dtype=torch.float64)),
    lambda w, q: (w, replace(q, tensors={**q.tensors, "scale": q.scale.double()})),
    lambda w, q: (w, replace(q, tensors={**q.tensors, "codes": q.packed.t().contiguous().t()})),
    lambda w, q: (torch.zeros(0, 4), torch.zeros(0, 4)),
    lambda w, q: (w.as_subclass(Own), q),
    lambda w, q: (w, q.dequantize().as_subclass(Own)),
    lambda w, q: (torch._neg_view(w), q),
])  # fmt: skip
def test_what_the_loop_would_misread_is_left_to_torch(change):
    w = torch.randn(32, 24, generator=torch.Generator().manual_seed(4))
    w, w_hat = change(w, quantize_tensor(w, Scheme("int8")))
    assert Weights.of(w, w_hat) is None
    assert weight_error(w, w_hat).numel == w.numel()


@pytest.mark.parametrize("role", ["codes", "scale", "zero_point"])
def test_tensors_of_another_size_are_not_read(role):
    w = torch.randn(32, 24, generator=torch.Generator().manual_seed(5))
    q = quantize_tensor(w, Scheme.parse("int4-g8-affine"))
    assert Weights.of(w, q) is not None
    short = q.tensors[role].flatten()[:-1].clone()
    assert Weights.of(w, replace(q, tensors={**q.tensors, role: short})) is None


@pytest.mark.parametrize("odd", [math.inf, math.nan, -1e38, 1e30])
def test_what_is_not_finite_or_far_off_is_left_to_torch(odd):
    w = torch.randn(8, 50, generator=torch.Generator().manual_seed(6))
    w_hat = w.clone()
    w_hat[3, 7] = odd
    error, in_loop = by_loop(w, w_hat)
    assert not in_loop
    assert_equal(error, by_torch(w, w_hat))


def test_errors_on_every_edge_are_in_the_bin_above_it():
    """Edges of both histograms, and the numbers beside them, of either sign."""
    w = torch.zeros(4, 10_000)
    w[0, 0] = 200.0  # so that rms(w) is 1
    edges = torch.from_numpy(log_edges_of(math.sqrt(200.0**2 / w.numel())))
    bounds = torch.arange(128) / 128
    around = torch.cat([edges, bounds[1:]])
    around = torch.cat([around, *(torch.from_numpy(np.nextafter(around.numpy(), np.float32(to)))
                                  for to in (0, math.inf))])  # fmt: skip
    around = around[around < 1]
    w_hat = w.clone()
    w_hat[1, : len(around)], w_hat[2, : len(around)] = around, -around
    error, in_loop = by_loop(w, w_hat)
    assert in_loop
    assert_equal(error, by_torch(w, w_hat))
    wanted = torch.histogram((w_hat - w).double()[1:3].flatten(), error.histogram.edges)[0].long()
    wanted[128] -= 2 * 10_000 - 2 * len(around)
    assert torch.equal(error.histogram.counts, wanted)


@given(st.floats(1e-30, 1e30), st.integers(0, 2**31))
def test_logarithmic_bins_are_those_of_a_search_in_fp64(unit, seed):
    edges = torch.from_numpy(log_edges_of(unit, torch.float64))
    assert len(edges) == EDGES
    sizes = (torch.randn(200, generator=torch.Generator().manual_seed(seed)).abs() * unit).float()
    wanted = torch.bincount(torch.bucketize(sizes.double(), edges, right=True), minlength=110)
    assert torch.equal(log_counts(sizes, unit), wanted)
    assert torch.equal(log_counts(sizes.double(), unit), wanted)


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_a_model_is_measured_tensor_by_tensor_whatever_threads_do(threads, monkeypatch):
    """Some by a loop that threads share, some by torch, several at a time; in order."""
    layers = [nn.Linear(24, 3 + n % 5) for n in range(30)]
    reference = nn.Sequential(*layers, nn.Linear(64, 80), nn.Linear(8, 8).double())
    variant = Variant.parse("int4-g8").build(reference)
    monkeypatch.setattr(models, "_MOST", 5000)
    monkeypatch.setattr(fused, "_LEAST", 256)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    known = {}
    found = dict(model_weight_errors(reference, variant, known))
    assert list(found) == [name for name, _ in reference.named_parameters()]
    again = dict(model_weight_errors(reference, variant, known))
    for name, w in reference.named_parameters():
        module = variant.get_submodule(name.rpartition(".")[0])
        held = module.qweight if name.endswith("weight") else module.bias
        for each in (found, again):
            assert_equal(each[name], by_torch(w, held))
        assert known[name] == found[name].sum_sq_weight


def test_without_loops_there_is_one_way(monkeypatch):
    monkeypatch.setattr(loops, "machine", lambda: None)
    w = torch.randn(8, 8)
    assert Weights.of(w, w.half()) is None
    assert weight_error(w, w.half()).sum_sq_error > 0
