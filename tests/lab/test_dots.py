import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qdemo import cast_tensor
from qdemo.lab.dots import LENGTHS, WAYS, Dot, dots, errors, first, running_sums, vector


def summed_by_torch(x):
    low, total, sums = x.bfloat16(), torch.zeros((), dtype=torch.bfloat16), []
    for value in low:
        total = total + value * value
        sums.append(total.item())
    return sums


@given(st.integers(1, 400), st.integers(0, 1000))
def test_running_sums_are_those_of_a_loop_in_bf16(length, seed):
    x = vector(length, seed)
    assert running_sums(x) == summed_by_torch(x)


def test_running_sums_stand_still_in_the_end():
    sums = running_sums(vector(3000, 0))
    assert sums == sorted(sums)
    assert sums[-1] == sums[-1000] == 256


def test_vectors_are_seeded_and_leave_the_random_state_alone():
    state = torch.get_rng_state()
    assert torch.equal(vector(50, 3), vector(50, 3))
    assert not torch.equal(vector(50, 3), vector(50, 4))
    assert torch.equal(vector(50, 3)[:10], vector(10, 3))
    assert torch.equal(torch.get_rng_state(), state)


def test_each_way_is_torch_s_own_dot_product():
    x = vector(1000, 1)
    found = {dot.way: dot for dot in dots(x)}
    assert tuple(found) == WAYS
    for way in WAYS[:-1]:
        low = cast_tensor(x, way)
        assert found[way].value == torch.dot(low, low).item()
    assert found[WAYS[-1]].value == summed_by_torch(x)[-1]
    assert {dot.exact for dot in found.values()} == {torch.dot(x.double(), x.double()).item()}


def test_the_error_is_relative():
    assert Dot("fp16", 9.0, 10.0).error == 0.1
    assert Dot("fp16", math.inf, 10.0).error == math.inf


def test_the_errors_at_each_length_are_those_of_the_dot_products():
    found = errors(2)
    assert tuple(found) == WAYS
    assert {len(values) for values in found.values()} == {len(LENGTHS)}
    for at, length in enumerate(LENGTHS[:5]):
        for dot in dots(vector(LENGTHS[-1], 2)[:length]):
            assert found[dot.way][at] == pytest.approx(dot.error, rel=1e-6, abs=1e-12)


def test_bf16_throughout_is_wrong_by_almost_everything_in_the_end():
    found = errors(0)
    assert found[WAYS[-1]][-1] > 0.9
    assert found["fp32"][-1] < 1e-5
    assert found["bf16"][-1] < 2**-8


def test_the_first_numbers_as_each_format_stores_them():
    x = vector(5, 7)
    wanted = {"fp32": x, "fp16": x.half(), "bf16": x.bfloat16()}
    assert first(7) == [(name, low.double().tolist()) for name, low in wanted.items()]
    assert [len(values) for _, values in first(7, count=3)] == [3, 3, 3]
