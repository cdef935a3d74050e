"""Formats whose scales are held in fewer bits, beside the libraries that define them."""

import pytest
import torch

from qdemo import Scheme, quantize_tensor
from qdemo.numerics.scales import dynamic_map
from tests.oracles import oracle

TORCHAO = {"mxfp4": "mxfp4", "mxfp8": "mxfp8_e4m3", "mxfp8_e5m2": "mxfp8_e5m2", "nvfp4": "nvfp4"}
GGML = ("q4_0", "q4_1", "q5_0", "q5_1", "q8_0")


def assert_same_bits(ours, theirs):
    assert torch.equal(ours.view(torch.int32), theirs.view(torch.int32))


def quantized(text):
    return quantize_tensor(oracle("weight"), Scheme.parse(text))


@pytest.mark.parametrize("text", TORCHAO)
def test_microscaling_formats_are_torchao_s_bit_for_bit(text):
    q, name = quantized(text), f"torchao/{TORCHAO[text]}"
    assert_same_bits(q.dequantize(), oracle(name))
    unit = q.tensors.get("tensor_scale", torch.tensor(1.0))
    assert_same_bits(q.scale, oracle(f"{name}/scale") * unit)


def test_the_tensor_scale_of_nvfp4_is_torchao_s():
    q = quantized("nvfp4")
    assert_same_bits(q.tensors["tensor_scale"], oracle("torchao/nvfp4/tensor_scale"))
    assert_same_bits(q.tensors["scale"].float(), oracle("torchao/nvfp4/scale"))


@pytest.mark.parametrize("text", GGML)
def test_what_ggml_rounds_to_is_ours_bit_for_bit(text):
    ours, theirs = quantized(text).dequantize(), oracle(f"ggml/{text}")
    assert torch.equal(ours, theirs)  # a block of zeros has zeros of either sign


def test_scales_that_are_coded_twice_are_bitsandbytes_own():
    q, name = quantized("nf4-g64-dq"), "bitsandbytes/nf4-g64-dq"
    assert torch.equal(q.tensors["scale"].reshape(-1), oracle(f"{name}/absmax_codes"))
    assert torch.allclose(q.tensors["scale_mean"], oracle(f"{name}/offset"), rtol=1e-6)
    assert torch.allclose(q.tensors["scale_absmax"], oracle(f"{name}/absmax_of_absmax"), rtol=1e-6)
    assert torch.allclose(q.dequantize(), oracle(name), rtol=1e-6, atol=0)


def test_the_numbers_of_a_byte_are_seven_decades():
    numbers = torch.tensor(dynamic_map(), dtype=torch.float64)
    assert len(numbers) == len(set(dynamic_map())) == 256
    assert numbers[-1] == 1
    assert 0 in numbers
    assert torch.equal(numbers[:127], -numbers[128:-1].flip(0))
    inner = numbers[128:-1]
    decades = [int(((inner > 10.0**e) & (inner < 10.0 ** (e + 1))).sum()) for e in range(-7, 0)]
    assert decades == [1, 2, 4, 8, 16, 32, 64]


def test_each_block_of_256_scales_has_a_largest_of_its_own():
    """Three and a half blocks, each of scales of another size."""
    generator = torch.Generator().manual_seed(1)
    w = torch.randn(7, 128 * 64, generator=generator)
    w *= torch.logspace(-2, 2, 7)[:, None]
    q = quantize_tensor(w, Scheme.parse("nf4-g64-dq"))
    scales = w.reshape(-1, 64).abs().amax(1).double()
    apart = scales - scales.mean()
    numbers = torch.tensor(dynamic_map(), dtype=torch.float64)
    wanted = []
    for block in apart.split(256):
        places = (block[:, None] / block.abs().max() - numbers).abs().argmin(1)
        wanted.append(numbers[places] * block.abs().max() + scales.mean())
    assert q.tensors["scale_absmax"].shape == (4,)
    equal = torch.isclose(q.scale.reshape(-1).double(), torch.cat(wanted), rtol=1e-5, atol=1e-6)
    assert equal.float().mean() >= 0.995


@pytest.mark.parametrize("bits", [8, 4, 3, 2])
def test_float_zero_points_give_what_hqq_gives(bits):
    """hqq multiplies by 1 / scale, which is not kept: a tie may fall the other way."""
    name = f"hqq/int{bits}-g64"
    scheme = Scheme(f"int{bits}", False, group_size=64, zero_point="float")
    scale, zero = (oracle(f"{name}/{part}").reshape(64, 4) for part in ("scale", "zero"))
    q = quantize_tensor(oracle("weight"), scheme, scale, zero)
    same = q.data.reshape(-1, 64) == oracle(f"{name}/codes")
    assert same.float().mean() >= 0.9999
    same = same.reshape(64, 256)
    assert_same_bits(q.dequantize()[same], oracle(name)[same])
