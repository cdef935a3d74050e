"""K-quants: ggml's own bytes decoded, and our search beside its."""

import math

import pytest
import torch

from qdemo import Scheme, choose_qparams, quantize_tensor
from qdemo.numerics.linear import fake_quantize, held_qparams
from qdemo.spec.scheme import INSTEAD
from tests.ggml import tensor_of
from tests.oracles import oracle
from tests.strategies import KINDS, values

TEXTS = ("q2_k", "q3_k", "q4_k", "q5_k", "q6_k")
BITS = {"q2_k": 2.625, "q3_k": 3.4375, "q4_k": 4.5, "q5_k": 5.5, "q6_k": 6.5625}
ORDINARY = [kind for kind in KINDS if kind not in ("huge", "tiny", "subnormal")]


@pytest.mark.parametrize("text", TEXTS)
def test_ggml_s_bytes_are_what_gguf_reads_in_them(text):
    blocks = oracle(f"ggml/{text}/bytes")
    q = tensor_of(blocks, text)
    assert torch.equal(q.dequantize(), oracle(f"ggml/{text}"))
    assert q.nbytes == blocks.numel()


@pytest.mark.parametrize("text", TEXTS)
def test_ours_is_no_worse_on_activations_than_ggml_s(text):
    w, x = oracle("weight").double(), oracle("activations").double()
    ours = quantize_tensor(oracle("weight"), Scheme.parse(text)).dequantize().double()
    theirs = oracle(f"ggml/{text}").double()
    errors = [(x @ (w - other).t()).norm() for other in (ours, theirs)]
    assert errors[0] <= 1.03 * errors[1]


@pytest.mark.parametrize("text", TEXTS)
def test_bits_by_hand(text):
    for shape in ((64, 256), (17, 768), (3, 512)):
        for device in ("cpu", "meta"):
            q = quantize_tensor(torch.ones(shape, device=device), Scheme.parse(text))
            assert q.nbytes * 8 == BITS[text] * math.prod(shape)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("kind", ORDINARY)
def test_quantizing_again_with_the_same_scales_changes_nothing(text, kind):
    q = quantize_tensor(values(kind, (20, 512), 5), Scheme.parse(text))
    again = quantize_tensor(q.dequantize(), q.scheme, q.scale, q.zero_point)
    assert torch.equal(again.dequantize(), q.dequantize())


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_comes_in_is_finite_and_zeros_are_zeros(text, kind):
    x = values(kind, (5, 512), 2)
    x[2] = 0
    x[3, 64:128] = 0
    x_hat = quantize_tensor(x, Scheme.parse(text)).dequantize()
    assert torch.isfinite(x_hat).all()
    assert torch.equal(x_hat[2], x[2])
    assert torch.equal(x_hat[3, 64:128], x[3, 64:128])


@pytest.mark.parametrize("text", TEXTS)
def test_the_error_is_small(text):
    x = torch.randn(30, 512)
    error = quantize_tensor(x, Scheme.parse(text)).dequantize() - x
    share = {"q2_k": 0.33, "q3_k": 0.17, "q4_k": 0.08, "q5_k": 0.04, "q6_k": 0.02}[text]
    assert error.square().mean().sqrt() <= share


@pytest.mark.parametrize("text", TEXTS)
def test_rows_pieces_and_meta_tensors(text):
    x = torch.randn(37, 512)
    q = quantize_tensor(x, Scheme.parse(text))
    whole, index = q.dequantize(), torch.tensor([36, 0, 5, 5, 31])
    assert torch.equal(q.rows(index), whole[index])
    assert torch.equal(q.take(index).dequantize(), whole[index])
    assert torch.equal(q.rows(slice(3, 20)), whole[3:20])
    for here, part in q.pieces(16):
        assert torch.equal(part.dequantize(), whole[here])
    meta = quantize_tensor(x.to("meta"), q.scheme)
    for role, held in q.tensors.items():
        assert (held.shape, held.dtype) == (meta.tensors[role].shape, meta.tensors[role].dtype)


@pytest.mark.parametrize("text", TEXTS)
def test_given_scales_are_held_in_super_blocks(text):
    x, scheme = torch.randn(8, 512), Scheme.parse(text)
    scale, zero_point = choose_qparams(x, scheme)
    q = quantize_tensor(x, scheme, scale * 0.9, zero_point)
    assert torch.equal(q.scale, held_qparams(x, scheme, scale * 0.9, zero_point).scale)
    on_the_grid = quantize_tensor(q.dequantize(), scheme, scale * 0.9, zero_point)
    assert torch.equal(on_the_grid.dequantize(), q.dequantize())


@pytest.mark.parametrize("text", TEXTS)
def test_training_and_other_dtypes(text):
    x = torch.randn(3, 256, requires_grad=True)
    y = fake_quantize(x, Scheme.parse(text))
    assert torch.equal(y, quantize_tensor(x, Scheme.parse(text)).dequantize())
    y.sum().backward()
    assert torch.equal(x.grad, torch.ones_like(x))
    for dtype in (torch.float64, torch.float16, torch.bfloat16):
        q = quantize_tensor(x.detach().to(dtype), Scheme.parse(text))
        assert q.dequantize().dtype == dtype
    for shape in ((0, 256), (4, 0)):
        assert quantize_tensor(torch.empty(shape), Scheme.parse(text)).dequantize().shape == shape


@pytest.mark.parametrize("text", TEXTS)
def test_rows_have_to_be_whole_super_blocks(text):
    with pytest.raises(ValueError, match=f"{text} has blocks of 256, .* the row length 192"):
        quantize_tensor(torch.ones(2, 192), Scheme.parse(text))
    x = torch.ones(2, 256)
    x[0, 0] = math.nan
    with pytest.raises(ValueError, match="1 of 512 values"):
        quantize_tensor(x, Scheme.parse(text))
    assert Scheme.parse(INSTEAD[text]).group_size == 32


def test_nested_scales_are_of_those_formats_alone():
    with pytest.raises(ValueError, match="which only q2_k, q3_k, q4_k, q5_k, q6_k do"):
        quantize_tensor(torch.ones(2, 256), Scheme("int4", group_size=32, scale="k6"))
