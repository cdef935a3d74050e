import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qdemo.numerics.packing import pack, packed_length, unpack


@given(st.integers(2, 7), st.integers(0, 4), st.integers(0, 70), st.integers(0, 2**31))
def test_pack_then_unpack_is_the_identity(bits, rows, n, seed):
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randint(0, 2**bits, (rows, n), generator=generator).to(torch.uint8)
    packed = pack(numbers, bits)
    assert packed.shape == (rows, packed_length(n, bits))
    assert torch.equal(unpack(packed, bits, n), numbers)


@given(st.integers(2, 7), st.integers(0, 2**31))
def test_every_bit_of_the_bytes_is_used(bits, seed):
    """Unpacking any bytes and packing again gives them back: no bit is wasted or read twice."""
    generator = torch.Generator().manual_seed(seed)
    packed = torch.randint(0, 256, (3, 5 * bits), generator=generator).to(torch.uint8)
    n = packed.shape[1] * 8 // bits
    assert torch.equal(pack(unpack(packed, bits, n), bits), packed)


@pytest.mark.parametrize("bits", range(2, 8))
def test_bytes_are_the_bits_when_the_row_is_full(bits):
    assert packed_length(512, bits) == 512 * bits // 8


def test_a_row_is_padded_to_whole_units():
    assert [packed_length(n, 4) for n in (0, 1, 2, 3)] == [0, 1, 1, 2]
    assert [packed_length(n, 3) for n in (1, 8, 9)] == [3, 3, 6]


def test_three_bits_by_hand():
    numbers = torch.tensor([0b001, 0b010, 0b011, 0b100, 0b101, 0b110, 0b111, 0b000])
    joined = sum(int(n) << 3 * i for i, n in enumerate(numbers))
    wanted = [joined >> shift & 0xFF for shift in (0, 8, 16)]
    assert pack(numbers.to(torch.uint8), 3).tolist() == wanted
