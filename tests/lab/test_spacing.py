import itertools
import math

import pytest
import torch

from qdemo import from_pattern
from qdemo.lab.bitstrip import FLOATS
from qdemo.lab.spacing import SPACED, count, relative_spacing


def numbers(name):
    """Every finite number of a format, sorted, zero once."""
    bits = (from_pattern(pattern, FLOATS[name]) for pattern in range(2 ** FLOATS[name].bits))
    return sorted({float(b.value) for b in bits if b.kind not in ("NaN", "infinity")})


@pytest.mark.parametrize("name", ["e2m1", "fp8_e4m3", "fp8_e5m2", "fp16"])
def test_the_count_is_that_of_all_patterns(name):
    assert count(name) == len(numbers(name))


def test_the_count_of_the_wide_formats_is_every_exponent_but_one_times_every_fraction():
    assert count("bf16") == 2 * 255 * 2**7 - 1
    assert count("fp32") == 2 * 255 * 2**23 - 1


@pytest.mark.parametrize("name", ["e2m1", "fp8_e4m3", "fp8_e5m2", "fp16"])
def test_the_step_is_to_the_next_number_there_is(name):
    every = [*numbers(name), None]
    after = dict(itertools.pairwise(every))
    sizes, steps = relative_spacing(name)
    for size, step in zip(sizes, steps, strict=True):
        assert step == (after[size] - size) / size


@pytest.mark.parametrize("name", ["fp32", "fp16", "bf16"])
def test_the_spacing_is_torch_s(name):
    info = torch.finfo(FLOATS[name].dtype)
    at = dict(zip(*relative_spacing(name), strict=True))
    assert at[1.0] == info.eps
    assert at[info.tiny] == info.eps
    assert at[info.tiny / 2] == 2 * info.eps
    assert min(at) == info.tiny * info.eps
    assert max(at) <= info.max < 2 * max(at)


def test_the_spacing_of_fp32_is_torch_s_next_number():
    for size, step in zip(*relative_spacing("fp32"), strict=True):
        x = torch.tensor(size)
        after = torch.nextafter(x, torch.tensor(math.inf))
        assert step == (after.double() - x.double()).item() / size


@pytest.mark.parametrize("name", SPACED)
def test_the_sizes_are_all_powers_of_two_without_a_gap(name):
    sizes, _ = relative_spacing(name)
    assert all(later == 2 * size for size, later in itertools.pairwise(sizes))
