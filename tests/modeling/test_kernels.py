import pytest
import torch
from torch.nn.functional import linear

from qdemo import Scheme, quantize_tensor
from qdemo.modeling import kernels


@pytest.mark.parametrize("text", ["int8", "int8-affine", "int8-tensor", "int8-axis1", "int4-g8",
                                  "int4-axis1-g3", "int3-affine", "int2", "fp8_e4m3"])  # fmt: skip
@pytest.mark.parametrize("rows", [(), (1,), (5,), (2, 3), (0,)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_product_is_that_of_the_dequantized_weight(text, rows, dtype, monkeypatch):
    monkeypatch.setattr(kernels, "_BLOCK_BYTES", 700)  # several blocks, the last one shorter
    weight = quantize_tensor(torch.randn(33, 24), Scheme.parse(text))
    x, bias = torch.randn(*rows, 24).to(dtype), torch.randn(33).to(dtype)
    for b in (bias, None):
        ours = kernels.quantized_linear(x, weight, b)
        wanted = linear(x, weight.dequantize(dtype), b)
        assert ours.shape == wanted.shape
        assert ours.dtype == dtype
        assert torch.allclose(ours.float(), wanted.float(), atol={4: 1e-5, 2: 0.06}[dtype.itemsize])


def test_other_layouts_of_the_input():
    weight = quantize_tensor(torch.randn(9, 8), Scheme("int8"))
    x = torch.randn(8, 5).t()
    assert not x.is_contiguous()
    wanted = linear(x, weight.dequantize())
    assert torch.allclose(kernels.quantized_linear(x, weight, None), wanted, atol=1e-5)


def test_no_rows_and_no_columns():
    empty = quantize_tensor(torch.empty(0, 8), Scheme("int8"))
    assert kernels.quantized_linear(torch.ones(2, 8), empty, None).shape == (2, 0)
    narrow = quantize_tensor(torch.empty(3, 0), Scheme("int8"))
    assert kernels.quantized_linear(torch.ones(2, 0), narrow, None).tolist() == [[0] * 3] * 2


def test_under_inference_mode():
    weight = quantize_tensor(torch.randn(9, 8), Scheme("int4"))
    with torch.inference_mode():
        out = kernels.quantized_linear(torch.randn(2, 8), weight, None)
    assert out.shape == (2, 9)
