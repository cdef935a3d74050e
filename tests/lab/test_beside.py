import math

import pytest
import torch

from qdemo import Scheme, quantize_tensor
from qdemo.lab import LAYERS
from qdemo.lab.matrices import CASTS, SCHEMES, WAYS, histogram, layer, layer_errors
from qdemo.measure.histogram import LOG_BINS, LOG_RANGE

NAME = LAYERS[0]


def back(way):
    """The weights that come back of one way, computed directly."""
    w = layer(NAME)
    if way in CASTS:
        return w.to({"bf16": torch.bfloat16, "fp16": torch.float16}[way]).float()
    return quantize_tensor(w, Scheme.parse(way)).dequantize()


def test_every_way_is_there_in_its_order():
    assert tuple(layer_errors(NAME)) == WAYS == (*CASTS, *SCHEMES)


@pytest.mark.parametrize("way", WAYS)
def test_the_sqnr_is_that_of_what_comes_back(way):
    w = layer(NAME).double()
    error, _ = layer_errors(NAME)[way]
    noise = (back(way).double() - w).square().sum().item()
    assert error.sqnr_db == pytest.approx(10 * math.log10(w.square().sum().item() / noise))


def test_the_sizes_are_numbers_and_scales():
    rows, columns = layer(NAME).shape
    numel = rows * columns
    sizes = {way: size for way, (_, size) in layer_errors(NAME).items()}
    assert sizes["bf16"] == sizes["fp16"] == 2 * numel
    assert sizes["int8"] == sizes["fp8_e4m3"] == numel + 4 * rows
    assert sizes["int4"] == numel // 2 + 4 * rows
    assert sizes["int4-g64"] == numel // 2 + 4 * numel // 64


@pytest.mark.parametrize("way", WAYS)
def test_the_shares_add_up_to_the_weights_that_are_not_exact(way):
    error, _ = layer_errors(NAME)[way]
    decades, shares = histogram(error)
    exact = (back(way) == layer(NAME)).double().mean().item()
    assert len(decades) == len(shares) == LOG_BINS
    assert sum(shares) == pytest.approx(1 - exact)


def test_each_bin_begins_a_tenth_of_a_decade_after_the_last():
    decades, _ = histogram(layer_errors(NAME)["int8"][0])
    wanted = torch.linspace(*LOG_RANGE, LOG_BINS + 1, dtype=torch.float64)[:-1].tolist()
    assert decades == pytest.approx(wanted)
