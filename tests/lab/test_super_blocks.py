import pytest
import torch

from qdemo import lab
from qdemo.lab.matrices import layer
from qdemo.lab.super_blocks import of_layer, super_block
from qdemo.numerics.linear import quantize_tensor
from qdemo.spec.scheme import Scheme


@pytest.fixture(scope="module", params=[0, 17, 191])
def found(request):
    return of_layer(lab.LONG[0], request.param), layer(lab.LONG[0])[request.param, :256]


def test_it_has_144_bytes(found):
    assert found[0].sizes == {
        "codes": 256 * 4 // 8, "scale": 8 * 6 // 8, "min": 8 * 6 // 8, "super_scale": 2,
        "super_min": 2,
    }  # fmt: skip
    assert found[0].bits == 4.5


def test_what_is_held_are_integers_of_six_bits_times_the_pair(found):
    super_, _ = found
    for block in super_.blocks:
        assert 0 <= block.scale_code <= 63
        assert 0 <= block.minimum_code <= 63
        assert block.scale_held == super_.d * block.scale_code
        assert block.minimum_held == super_.dmin * block.minimum_code
        assert abs(block.scale_held - block.scale) <= 0.51 * super_.d + 63 * super_.d * 2**-11
        assert abs(block.minimum_held - block.minimum) <= super_.dmin
    assert max(block.scale_code for block in super_.blocks) == 63
    assert torch.tensor(super_.d).half().item() == super_.d


def test_each_weight_becomes_the_nearest_level_of_its_block(found):
    super_, w = found
    assert torch.equal(super_.w, w.reshape(8, 32))
    for i, block in enumerate(super_.blocks):
        levels = [super_.d * block.scale_code * q - block.minimum_held for q in range(16)]
        assert super_.levels[i].tolist() == pytest.approx(levels, abs=1e-7)
        nearest = (super_.w[i][:, None] - super_.levels[i]).abs().amin(1)
        assert torch.allclose((super_.values[i] - super_.w[i]).abs(), nearest, atol=1e-7)
        rms = (super_.values[i] - super_.w[i]).double().square().mean().sqrt().item()
        assert block.rms == pytest.approx(rms)


def test_it_is_what_models_are_quantized_with(found):
    super_, w = found
    q = quantize_tensor(layer(lab.LONG[0]), Scheme.parse("q4_k")).dequantize()
    row = next(i for i, one in enumerate(layer(lab.LONG[0])) if torch.equal(one[:256], w))
    assert torch.equal(super_.values.flatten(), q[row, :256])


def test_zeros_stay_zeros_and_other_lengths_are_refused():
    assert not super_block(torch.zeros(256)).values.any()
    with pytest.raises(ValueError, match="256"):
        super_block(torch.zeros(128))
