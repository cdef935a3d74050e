"""Every emitted kernel, for each kind of machine, against the product in fp64."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx

from qdemo import Scheme, quantize_tensor
from qdemo.compress import cpu, kernels
from qdemo.numerics import fast
from qdemo.numerics.qtensor import QTensor
from qdemo.spec.step import Step
from tests.compress.test_kernels import assert_is_the_product
from tests.loops.machines import MACHINES, become

EPS = {torch.float32: 0.0, torch.bfloat16: 2.0**-8, torch.float16: 2.0**-11}
UNIT = 2.0**-23  # of fp32
SCHEMES = (
    "int8", "int8-tensor", "int8-affine", "int8-tensor-affine", "int8-g16", "int8-g32-affine",
    "fp8_e4m3", "fp8_e5m2", "fp8_e4m3-g16", "int7", "int7-g8", "int6", "int6-affine", "int5",
    "int5-g24-affine", "int4", "int4-tensor", "int4-g8", "int4-g64", "int4-g8-affine", "int3",
    "int3-g8", "int3-affine", "int2", "int2-g64-affine", "nf4-g64", "nf4-tensor", "nf3-g24", "nf2",
    "fp4bnb-g16", "e2m1-g32", "int4-tensor-affine", "mxfp4", "mxfp8", "mxfp8_e5m2", "nvfp4",
    "q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "nf4-g64-dq", "int4-g64-affine-dq", "int8-dq",
    "int3-tensor-dq", "int4-g64-hqq", "int3-hqq", "int8-g32-dq-hqq", "q2_k", "q3_k", "q4_k", "q5_k",
    "q6_k",
)  # fmt: skip


def weights(text, n, length, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return quantize_tensor(torch.randn(n, length, generator=generator), scheme_of(text))


def scheme_of(text):
    """That of a text which may say how zero points are found."""
    return Step.parse(text).scheme


def fits(text, length):
    if text.endswith("_k"):
        return length % 256 == 0
    size = scheme_of(text).group_size
    return size is None or length <= size or length % size == 0


def exactly(weight):
    """Its values in fp64, in which scale · (number − zero point) is not rounded; with minima, those
    that come back, as these are products with them."""
    if weight.qparams.minimum is not None:
        return weight.dequantize(torch.float32).double()
    numbers = weight.grid.decode(weight.numbers(), torch.empty(weight.shape, dtype=torch.float32))
    groups = weight.scale.shape[1] if weight.scale.ndim == 2 else 1
    blocks = numbers.view(weight.shape[0], groups, -1)
    outer = (*blocks.shape[:2], 1) if weight.scale.ndim else ()
    if weight.zero_point is not None:
        blocks = blocks - weight.zero_point.float().reshape(outer)
    return (blocks.double() * weight.scale.double().reshape(outer)).view(weight.shape)


def assert_near(y, x, weight):
    """Within four units of fp32 of the largest partial sum that there is in any order (that of all
    terms of one sign), and the rounding of y's dtype."""
    terms = x.double()[:, None] * exactly(weight)  # (rows, n, length)
    wanted, largest = terms.sum(2), torch.maximum(terms.relu().sum(2), (-terms).relu().sum(2))
    bound = 4 * UNIT * largest + EPS[y.dtype] * wanted.abs() + torch.finfo(y.dtype).smallest_normal
    assert ((y.double() - wanted).abs() <= bound).all()


@pytest.mark.parametrize("text", SCHEMES)
def test_every_form_is_the_product(text, here):
    for n, length in ((1, 192), (15, 96), (16, 48), (70, 192), (150, 576), (37, 512)):
        if not fits(text, length) or not cpu.has_loop(weight := weights(text, n, length)):
            continue
        for rows in (1, 2, 3, 7, 8, 9, 24):
            x = torch.randn(rows, length)
            for dtype in EPS:
                y = cpu.times(x.to(dtype), weight)
                assert y.dtype == dtype
                assert_near(y, x.to(dtype), weight)


def test_each_scheme_has_a_loop_for_usual_shapes(here):
    for text in SCHEMES:
        is_there = scheme_of(text).scale not in ("fp16", "k4", "k6", "k8")
        is_there |= here.kind != "portable"  # which does not convert fp16
        length = 512 if text.endswith("_k") else 576
        assert not fits(text, length) or cpu.has_loop(weights(text, 40, length)) == is_there


@given(
    text=st.sampled_from(SCHEMES),
    name=st.sampled_from(list(MACHINES)),
    n=st.integers(1, 90),
    groups=st.integers(1, 5),
    rows=st.integers(1, 24),
    dtype=st.sampled_from(list(EPS)),
    loud=st.sampled_from((1.0, 1e3, 1e6, 1e20)),
    seed=st.integers(0, 1000),
)
@settings(max_examples=150, deadline=None)
def test_any_shape_and_loudness(text, name, n, groups, rows, dtype, loud, seed):
    length = (256 if text.endswith("_k") else scheme_of(text).group_size or 48) * groups
    loud = min(loud, 1e3) if dtype == torch.float16 else loud
    with pytest.MonkeyPatch.context() as patch:
        become(name, patch)
        weight = weights(text, n, length, seed)
        x = torch.randn(rows, length, generator=torch.Generator().manual_seed(seed))
        x[:, seed % length] *= loud
        y = cpu.times(x.to(dtype), weight)
        if y is None:
            assert not cpu.has_loop(weight)
        else:
            assert_is_the_product(y, x.to(dtype), weight)


def just_below_half_a_unit(x, weight, loud, row):
    """Activations whose products with a row of weights are of one sign and each lost beside that of
    the first loud one, and pull the other way beside the second: the worst that sums can meet."""
    values = exactly(weight)[row].float()
    sizes = values.abs().clamp(min=0.1 * values.abs().mean())
    x[:] = 0.49 * UNIT * torch.where(values < 0, -1.0, 1.0) / sizes
    x[:, loud] /= 0.49 * UNIT
    x[:, loud[1:]] *= -1


@given(
    text=st.sampled_from(SCHEMES),
    name=st.sampled_from(list(MACHINES)),
    length=st.sampled_from((48, 96, 192, 576, 1024, 2048, 4096)),
    rows=st.sampled_from((1, 1, 2, 3, 8, 24)),
    loud=st.lists(st.integers(0, 4095), min_size=1, max_size=2),
    size=st.sampled_from((1.0, 1e3, 1e6, 1e20)),
    dtype=st.sampled_from(list(EPS)),
    draw=st.sampled_from(("any", "opposite", "lost")),
    seed=st.integers(0, 1000),
)
@settings(max_examples=300, deadline=None)
def test_long_rows_with_loud_activations_anywhere(
    text, name, length, rows, loud, size, dtype, draw, seed
):
    size = min(size, 1e3) if dtype == torch.float16 else size
    loud = [k % length for k in loud]
    with pytest.MonkeyPatch.context() as patch:
        become(name, patch)
        if not fits(text, length):
            return
        weight = weights(text, 40, length, seed)
        x = torch.randn(rows, length, generator=torch.Generator().manual_seed(seed))
        x[:, loud] *= size
        if draw == "opposite":
            x[:, loud[-1]] = -x[:, loud[0]]
        if draw == "lost":
            just_below_half_a_unit(x, weight, loud, seed % 40)
        x = x.to(dtype)
        if (y := cpu.times(x, weight)) is None:
            assert not cpu.has_loop(weight)
        else:
            assert_near(y, x, weight)
        if text in ("int8", "int8-tensor"):
            rounded = quantize_tensor(x.float(), Scheme("int8"))
            y = kernels.quantized_linear(x, weight, None, bits=8)
            assert_near(y, exactly(rounded), weight)


@pytest.mark.parametrize("text", ["int8", "int4-g64", "int3", "int5", "int8-affine", "fp8_e4m3",
                                  "mxfp8", "nvfp4", "q4_1", "nf4-g64-dq", "int4-g64-hqq", "q2_k",
                                  "q4_k", "q6_k"])  # fmt: skip
@pytest.mark.parametrize("dtype", list(EPS))
def test_above_a_few_rows_weights_are_made_floats(text, dtype, here, monkeypatch):
    monkeypatch.setattr(cpu, "_most", lambda here: 2)
    monkeypatch.setattr(cpu, "_BLOCK", 64 * 192)  # several blocks, the last one shorter
    for n in (1, 63, 64, 150):
        weight = weights(text, n, length := 256 if text.endswith("_k") else 192)
        x = torch.randn(30, length).to(dtype)
        if cpu.has_loop(weight):
            assert_is_the_product(cpu.times(x, weight), x, weight)


def test_long_rows_lose_little(here):
    for text in ("int8", "int4", "int4-g64"):
        weight = weights(text, 40, 8192)
        x = torch.randn(2, 8192)
        assert_near(cpu.times(x, weight), x, weight)


@pytest.mark.parametrize("text", ["int8", "int8-g64", "int4", "int4-g8", "int4-g64", "int3-affine"])
@pytest.mark.parametrize("length", [512, 2048, 8192])
def test_all_that_comes_after_a_loud_activation_loses_little(text, length, here):
    weight = weights(text, 48, length)
    for rows in (1, 8):
        x = torch.randn(rows, length, generator=torch.Generator().manual_seed(rows))
        x[:, 3] *= 1e4
        assert_near(cpu.times(x, weight), x, weight)


@pytest.mark.parametrize("text", ["int8", "int8-g64", "int8-tensor"])
@pytest.mark.parametrize("dtype", list(EPS))
def test_activations_in_eight_bits_are_exact(text, dtype, here):
    for n, length in ((1, 64), (33, 192), (70, 512)):
        weight = weights(text, n, length)
        for rows in (1, 2, 9, 30):
            x = torch.randn(rows, length).to(dtype)
            x[0] = 0
            rounded = quantize_tensor(x.float(), Scheme("int8")).dequantize()
            y = kernels.quantized_linear(x, weight, None, bits=8)
            assert_near(y, rounded, weight)


def test_lengths_that_no_dot_product_has_are_rounded_all_the_same(here):
    for length in (7, 16, 80):
        weight, x = weights("int8", 20, length), torch.randn(3, length)
        rounded = quantize_tensor(x, Scheme("int8")).dequantize()
        y = kernels.quantized_linear(x, weight, None, bits=8)
        assert torch.allclose(y, rounded @ weight.dequantize().t(), atol=1e-5)


@pytest.mark.parametrize("odd", [torch.inf, -torch.inf, torch.nan, 3e38])
def test_what_is_not_finite_is_left_to_others(odd, here):
    """They know what is infinite before it is scaled, and what is after."""
    for text in ("int8", "int4-g64"):
        x = torch.ones(2, 64)
        x[1, 3] = odd
        x[1, 5] = odd
        assert cpu.times(x, weights(text, 20, 64)) is None


def test_nothing_that_does_not_fit_reaches_a_kernel(here):
    weight, x = weights("int4-g64", 40, 128), torch.randn(2, 128)
    held = weight.tensors
    damaged = (
        {"codes": held["codes"][:-1]}, {"codes": held["codes"].view(torch.int8)},
        {"scale": held["scale"][:, :1]}, {"scale": held["scale"].double()},
        {"scale": held["scale"].half()}, {"codes": held["codes"].repeat(2)[::2]},
        {"scale": held["scale"][:20]}, {"codes": held["codes"].to("meta")},
    )  # fmt: skip
    for tensors in damaged:
        bad = QTensor(weight.scheme, weight.shape, {**held, **tensors})
        assert cpu.times(x, bad) is None
    for other in (x[:, :64], x.double(), x.to("meta"), x[None], x[:0]):
        assert cpu.times(other, weight) is None


def test_any_layout_of_activations_and_scales(here):
    weight = weights("int4-g8", 40, 64)
    wide = torch.randn(64, 90).t()
    by_rows = replace(weight, tensors={**weight.tensors, "scale": weight.scale.contiguous()})
    by_groups = replace(
        weight, tensors={**weight.tensors, "scale": weight.scale.t().contiguous().t()}
    )
    for x in (wide[:3], wide[::5], wide[:1].expand(4, 64), torch.randn(6, 128)[:, ::2]):
        for held in (by_rows, by_groups):
            assert_near(cpu.times(x, held), x, held)


def test_what_changes_in_place_is_seen(here):
    """Where scales had to be copied, as where they lie, and where memory was exchanged."""
    x = torch.randn(2, 64)
    for text in ("int4-g8", "int8", "int8-tensor"):
        weight = weights(text, 40, 64)
        first = cpu.times(x, weight)
        weight.scale.mul_(2)
        assert torch.allclose(cpu.times(x, weight), 2 * first)
    weight = weights("int8", 40, 64)
    cpu.times(x, weight)
    weight.packed.data = torch.zeros_like(weight.packed)
    assert not kernels.quantized_linear(x, weight, None).any()


def test_several_threads_at_once_and_one_alone(here):
    made = [(weights(text, 700, 192), torch.randn(3, 192)) for text in ("int8", "int4-g64") * 4]
    wanted = [x @ weight.dequantize().t() for weight, x in made]

    def repeat(weight, x):
        torch.set_num_threads(1 if len(x) % 2 else 2)
        return [cpu.times(x, weight) for _ in range(30)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(repeat, *zip(*made, strict=True)))
    for ours, theirs in zip(found, wanted, strict=True):
        assert all(torch.allclose(one, theirs, atol=1e-4) for one in ours)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_the_default_dtype_and_device_change_nothing(dtype, here):
    x, w = torch.randn(2, 64), torch.randn(70, 64)
    texts = ("int8", "nf2", "int4-g16", "e2m1-g32", "nvfp4", "mxfp8", "nf4-g64-dq")
    wanted = [quantize_tensor(w, Scheme.parse(text)) for text in texts]
    fast.levels.cache_clear()
    torch.set_default_dtype(dtype)
    try:
        for text, held in zip(texts, wanted, strict=True):
            again = quantize_tensor(w, Scheme.parse(text))
            for role, tensor in held.tensors.items():
                assert torch.equal(again.tensors[role], tensor)
            with torch.device("meta"):
                y = cpu.times(x, held)
            assert_near(y, x, held)
    finally:
        torch.set_default_dtype(torch.float32)
        fast.levels.cache_clear()


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("length", [64, 384, 768, 1088, 1152])
def test_pieces_of_blocks_are_whole_panels(length, threads, here, monkeypatch):
    monkeypatch.setattr(cpu, "_most", lambda here: 2)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        weight, x = weights("int4", 700, length), torch.randn(5, length)
        assert_is_the_product(cpu.times(x, weight), x, weight)
    finally:
        torch.set_num_threads(before)


def test_scales_of_rows_may_lie_anywhere(here):
    x, w = torch.randn(2, 64), torch.randn(256, 64)
    strided = torch.rand(256, 2)[:, 0] + 0.01
    for scale in (torch.tensor(0.03).expand(256), strided):
        weight = quantize_tensor(w, Scheme("int8"), scale=scale)
        assert_near(cpu.times(x, weight), x, weight)


def test_memory_that_was_exchanged_is_not_read(here):
    x = torch.randn(2, 64)
    for text in ("int8", "int4-g64", "int8-tensor", "int8-affine"):
        weight = weights(text, 70, 64)
        cpu.times(x, weight)
        weight.scale.data = 2 * weight.scale
        ours = kernels.quantized_linear(x, weight, None)
        assert torch.allclose(ours, x @ weight.dequantize().t(), atol=1e-4)


def test_zero_points_elsewhere_reach_no_kernel(here):
    weight = weights("int8-affine", 64, 64)
    moved = {**weight.tensors, "zero_point": weight.zero_point.to("meta")}
    assert cpu.times(torch.randn(2, 64), QTensor(weight.scheme, weight.shape, moved)) is None


def test_what_has_no_plain_memory_goes_another_way(here):
    weight, x = weights("int8", 70, 64), torch.randn(2, 64)
    wanted = x @ weight.dequantize().t()
    zeros = torch._efficientzerotensor((2, 64))
    assert not kernels.quantized_linear(zeros, weight, None).any()
    ours = kernels.quantized_linear(torch._neg_view(x), weight, None)
    assert torch.allclose(ours, -wanted, atol=1e-4)
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert cpu.times(x, weight) is None
    grouped = weights("int4-g16", 70, 64)
    traced = make_fx(lambda x: kernels.quantized_linear(x, grouped, None))(x)
    assert torch.allclose(traced(x + 1), (x + 1) @ grouped.dequantize().t(), atol=1e-4)


def test_fp16_that_the_cpu_does_not_convert_may_lie_across(here):
    weight, x = weights("int8", 64, 64), torch.randn(64, 4).half().t()
    assert_near(cpu.times(x, weight), x, weight)


def test_a_token_that_is_not_finite_is_alone_with_that(here):
    weight, x = weights("int8", 20, 64), torch.randn(3, 64)
    wanted = kernels.quantized_linear(x, weight, None, bits=8)
    x[1, 3] = torch.nan
    found = kernels.quantized_linear(x, weight, None, bits=8)
    assert torch.isnan(found[1]).all()
    assert torch.allclose(found[::2], wanted[::2], atol=1e-5)
