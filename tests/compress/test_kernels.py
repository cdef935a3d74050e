"""The product against that of the dequantized weight, computed in fp64."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch.nn.functional import linear

from qdemo import Scheme, quantize_tensor
from qdemo.compress import kernels, slices
from qdemo.numerics import insides

SCHEMES = [
    "int8", "int8-affine", "int8-tensor", "int8-tensor-affine", "int8-axis1", "int8-g8", "int7",
    "int6-affine", "int5", "int4", "int4-tensor", "int4-g8", "int4-g8-affine", "int4-axis1-g3",
    "int3-affine", "int3", "int2-tensor", "fp8_e4m3", "fp8_e5m2-g4", "nf4-g8", "nf4-tensor",
    "nf3-g24", "fp4bnb-g4", "e2m1", "e2m1-g8", "int4-tensor-affine", "int5-g8-affine", "int7-g6",
]  # fmt: skip
LONGEST = max(slices.LENGTHS)
DTYPES = [torch.float32, torch.bfloat16, torch.float16, torch.float64]


def weights(text, n_rows=33, length=24):
    return quantize_tensor(torch.randn(n_rows, length), Scheme.parse(text))


def bound(x, weight):
    """What rounding in the dtype of `x` may change, products added up one after the other in fp32
    or better; and the least that the dtype can hold beside zero."""
    info = torch.finfo(x.dtype)
    sizes = x.double().abs() @ weight.dequantize(torch.float64).abs().t()
    rounded = 4 * max(info.eps, 2**-23) + x.shape[1] ** 0.5 * 2**-23
    return rounded * sizes + info.smallest_normal * info.eps


def assert_is_the_product(ours, x, weight):
    wanted = x.double() @ weight.dequantize(torch.float64).t()
    assert ours.shape == wanted.shape
    assert ours.dtype == x.dtype
    assert ((ours.double() - wanted).abs() <= bound(x, weight)).all()


@pytest.fixture(
    params=["as it is", "without loops", "without integers", "in small blocks", "slow integers"]
)
def _ways(request, monkeypatch):
    if request.param != "as it is":
        monkeypatch.setattr(kernels, "_loops", lambda: None)
    if request.param == "without integers":
        monkeypatch.setattr(kernels, "FEW", -1)
    if request.param == "in small blocks":
        monkeypatch.setattr(kernels, "_BLOCK", 200)  # several, the last one shorter
    if request.param == "slow integers":
        monkeypatch.setattr(slices, "is_fast", lambda: False)


@pytest.mark.usefixtures("_ways")
@pytest.mark.parametrize("text", SCHEMES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_product_is_that_of_the_dequantized_weight(text, dtype):
    weight = weights(text)
    for rows in (0, 1, 2, 5, 16, 17, 24, 25, 70):
        x = (torch.randn(rows, 24) * torch.exp2(torch.randint(-9, 9, (rows, 1)))).to(dtype)
        assert_is_the_product(kernels.quantized_linear(x, weight, None), x, weight)


@pytest.mark.parametrize("text", ["int8", "int4-g64", "int3-g64-affine", "nf4-g64", "e2m1-g32",
                                  "int6", "nf2", "int5-affine"])  # fmt: skip
@pytest.mark.parametrize("n_rows", [1, 15, 16, 17, 40, 1100])
def test_panels_of_any_number_of_rows(text, n_rows):
    weight = weights(text, n_rows, 64)
    for rows in (1, 4, 24, 25, 40, 97):
        for dtype in (torch.float32, torch.bfloat16):
            x = torch.randn(rows, 64).to(dtype)
            assert_is_the_product(kernels.quantized_linear(x, weight, None), x, weight)


def test_another_torch_has_no_private_kernels(monkeypatch):
    monkeypatch.setattr(insides, "is_known", lambda: False)
    monkeypatch.setattr(insides, "packed", None)
    monkeypatch.setattr(insides, "summed", None)
    weight = weights("int8", 40, 64)
    for dtype in DTYPES:
        x = torch.randn(3, 64).to(dtype)
        assert_is_the_product(kernels.quantized_linear(x, weight, None), x, weight)


@pytest.mark.parametrize("rows", [(), (1,), (2, 3), (2, 0)])
@pytest.mark.parametrize("text", ["int8", "int4-g8"])
def test_leading_dimensions_and_the_bias(text, rows):
    weight, x, bias = weights(text), torch.randn(*rows, 24), torch.randn(33)
    wanted = linear(x, weight.dequantize(), bias)
    ours = kernels.quantized_linear(x, weight, bias)
    assert ours.shape == wanted.shape
    assert torch.allclose(ours, wanted, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (300, 5), (5, 3000), (2050, 512)])
@pytest.mark.parametrize("text", ["int8", "int4", "int8-affine"])
def test_shapes(text, shape):
    weight = weights(text, *shape)
    for rows in (1, 3, 30):
        x = torch.randn(rows, shape[1])
        assert_is_the_product(kernels.quantized_linear(x, weight, None), x, weight)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("text", ["int8", "int4-g8"])
def test_other_layouts_of_the_input(text, dtype):
    weight = weights(text)
    wide = torch.randn(24, 90, dtype=dtype).t()
    for x in (wide, wide[::5], wide[:1].expand(4, 24), torch.randn(6, 48, dtype=dtype)[:, ::2]):
        assert_is_the_product(kernels.quantized_linear(x, weight, None), x, weight)


def test_no_rows_and_no_columns():
    for dtype in DTYPES:
        empty = quantize_tensor(torch.empty(0, 8), Scheme("int8"))
        ones = torch.ones(2, 8, dtype=dtype)
        assert kernels.quantized_linear(ones, empty, None).shape == (2, 0)
        narrow = quantize_tensor(torch.empty(3, 0), Scheme("int8"))
        assert kernels.quantized_linear(ones[:, :0], narrow, None).tolist() == [[0] * 3] * 2


@pytest.mark.parametrize("rows", [1, 3, 24, 40])
@pytest.mark.parametrize("loud", [1e3, 1e6, 1e9, 1e20, 1e37])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_loud_activation_does_not_drown_the_others(rows, loud, dtype):
    """Where its weights are zero, the others are all that there is."""
    w = torch.randn(50, 64)
    w[::2, 3] = 0
    weight = quantize_tensor(w, Scheme("int8"))
    x = torch.randn(rows, 64)
    x[:, 3] = loud
    x[:, 5] = 1 / loud
    assert_is_the_product(kernels.quantized_linear(x.to(dtype), weight, None), x.to(dtype), weight)


@pytest.mark.parametrize("rows", [1, 5, 40])
@pytest.mark.parametrize("text", ["int8", "int4", "int8-tensor", "fp8_e4m3", "int8-affine"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_finite_once_it_is_scaled_is_no_infinity_before(rows, text, dtype):
    weight = quantize_tensor(torch.rand(9, 64) / 1e4, Scheme.parse(text))
    x = (torch.randn(rows, 64) * 1e37).to(dtype)
    ours = kernels.quantized_linear(x, weight, None)
    assert torch.isfinite(ours).all()
    assert_is_the_product(ours, x, weight)


def test_in_slices_the_product_is_exact_up_to_one_rounding():
    weight = weights("int8", 200, 512)
    for rows in (1, 8):
        x = torch.randn(rows, 512)
        exact = x.double() @ weight.numbers().double().t() * weight.scale.double()
        assert torch.equal(slices.cut(x).times(weight.packed) * weight.scale, exact)


@pytest.mark.parametrize("smallest", [2.0**-21, 2.0**-37])
def test_slices_hold_every_bit_or_are_not_taken(smallest):
    x = torch.tensor([[1 - 2.0**-24, (1 + 2.0**-23) * smallest, 0.0]])
    weight = torch.tensor([[1, 1, 5], [127, -127, 0]], dtype=torch.int8)
    assert torch.equal(slices.cut(x).times(weight), x.double() @ weight.double().t())
    assert slices.cut(x * torch.tensor([1, 2.0**-40, 1])) is None


def test_the_largest_integers_do_not_overflow():
    x, integers = torch.full((1, LONGEST), -1.0), torch.full((1, LONGEST), -127)
    weight = quantize_tensor(integers.float(), Scheme("int8"))
    assert kernels.quantized_linear(x, weight, None).item() == 127 * LONGEST
    longer = quantize_tensor(torch.ones(2, LONGEST + 1), Scheme("int8"))
    x = torch.ones(1, LONGEST + 1)
    assert torch.allclose(kernels.quantized_linear(x, longer, None), x.sum())


@pytest.mark.parametrize("size", [1e-45, 1e-38, 1e-30, 1e-20, 1e20, 1e30])
def test_activations_of_any_size(size):
    weight = weights("int8")
    x = torch.randn(2, 24) * size
    ours, wanted = kernels.quantized_linear(x, weight, None), linear(x, weight.dequantize())
    assert torch.allclose(ours, wanted, rtol=1e-4, atol=1e-5 * size + 1e-44)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("odd", [torch.inf, -torch.inf, torch.nan])
def test_infinities_and_nan_come_through(odd, dtype):
    weight = quantize_tensor(torch.tensor([[1.0, 2.0], [-1.0, 0.5], [0.0, 0.0]]), Scheme("int8"))
    x = torch.tensor([[odd, 1.0], [1.0, 1.0]], dtype=dtype)
    ours, wanted = kernels.quantized_linear(x, weight, None), linear(x, weight.dequantize(dtype))
    assert torch.allclose(ours, wanted, rtol=0.01, equal_nan=True)


def test_an_activation_that_is_too_large_for_fp16_is_infinite():
    weight = quantize_tensor(torch.full((1, 4), 100.0), Scheme("int8"))
    x = torch.full((1, 4), 1000.0, dtype=torch.float16)
    assert kernels.quantized_linear(x, weight, None).item() == torch.inf


@pytest.mark.parametrize("text", SCHEMES)
def test_the_gradient_reaches_activations_and_bias(text):
    weight = weights(text)
    x, bias = torch.randn(2, 3, 24, requires_grad=True), torch.randn(33, requires_grad=True)
    grad = torch.randn(2, 3, 33)
    ours = torch.autograd.grad(kernels.quantized_linear(x, weight, bias), (x, bias), grad)
    wanted = torch.autograd.grad(linear(x, weight.dequantize(), bias), (x, bias), grad)
    for mine, theirs in zip(ours, wanted, strict=True):
        assert torch.allclose(mine, theirs, atol=1e-5)


def test_in_and_outside_of_inference_mode_by_turns():
    weight, x = weights("int4-g8"), torch.randn(2, 24)
    wanted = linear(x, weight.dequantize())
    for _ in range(2):
        with torch.inference_mode():
            inside = kernels.quantized_linear(x, weight, None)
        outside = kernels.quantized_linear(x.clone().requires_grad_(), weight, None)
        outside.sum().backward()
        assert torch.allclose(inside, wanted, atol=1e-5)
        assert torch.allclose(outside, wanted, atol=1e-5)


def test_several_threads_at_once():
    """Each has memory of its own to make floats in."""
    texts = ["int8", "int4-g8", "int8-affine", "int3"] * 4
    made = [(weights(text, 700, 48), torch.randn(30, 48)) for text in texts]
    wanted = [linear(x, weight.dequantize()) for weight, x in made]

    def repeat(weight, x):
        return [kernels.quantized_linear(x, weight, None) for _ in range(20)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(repeat, *zip(*made, strict=True)))
    for ours, theirs in zip(found, wanted, strict=True):
        assert all(torch.allclose(one, theirs, atol=1e-4) for one in ours)


def test_no_float_copy_is_held():
    """What stays is a block's memory, however large the weight."""
    from qdemo.numerics.blocks import _OWN

    _OWN.held.clear()  # of tests before
    for text in ("int8", "int4-g8", "int4-axis1-g50"):
        kernels.quantized_linear(torch.randn(40, 48), weights(text, 100_000, 48), None)
    assert sum(memory.nbytes for memory in _OWN.held.values()) < 24 * kernels._BLOCK
