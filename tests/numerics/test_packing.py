import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from qdemo import Scheme, quantize_tensor
from qdemo.numerics.packing import LANES, Panels

BITS = range(2, 8)
ROWS = (0, 1, 2, 15, 16, 17, 32, 40)
LENGTHS = (0, 1, 2, 3, 5, 7, 8, 9, 16, 33, 64)
SLICES = (
    slice(None), slice(0, 16), slice(16, 32), slice(16, None), slice(3, 9), slice(0, 20),
    slice(1, None, 2), slice(5, 5), slice(9, 3), slice(-3, None), slice(0, 99),
)  # fmt: skip


def made(bits, n_rows, length):
    generator = torch.Generator().manual_seed(n_rows + length)
    numbers = torch.randint(0, 2**bits, (n_rows, length), generator=generator).to(torch.uint8)
    panels = Panels(bits, n_rows, length)
    return panels, numbers, panels.pack(numbers)


@pytest.mark.parametrize("n_rows", ROWS)
@pytest.mark.parametrize("bits", BITS)
def test_pack_then_unpack_is_the_identity(bits, n_rows):
    for length in LENGTHS:
        panels, numbers, packed = made(bits, n_rows, length)
        assert (packed.shape, packed.dtype) == ((panels.n_bytes,), torch.uint8)
        assert torch.equal(panels.unpack(packed), numbers)


@pytest.mark.parametrize("n_rows", ROWS)
@pytest.mark.parametrize("bits", BITS)
def test_rows_are_taken_alone(bits, n_rows):
    for length in LENGTHS:
        panels, numbers, packed = made(bits, n_rows, length)
        for rows in SLICES:
            taken, bytes_ = panels.take(packed, rows)
            assert bytes_.shape == (taken.n_bytes,)
            assert torch.equal(taken.unpack(bytes_), numbers[rows])
        index = torch.randint(0, max(1, n_rows), (7 if n_rows else 0,))
        assert torch.equal(panels.unpack(packed, rows=index), numbers[index])
        taken, bytes_ = panels.take(packed, index)
        assert torch.equal(taken.unpack(bytes_), numbers[index])


@pytest.mark.parametrize("bits", BITS)
def test_there_is_no_row_before_the_first_or_after_the_last(bits):
    panels, _, packed = made(bits, 17, 8)
    for row in (-1, 17):
        with pytest.raises(IndexError):
            panels.unpack(packed, rows=torch.tensor([0, row]))


def test_whole_panels_of_one_plane_are_not_copied():
    panels, _, packed = made(4, 40, 8)
    for rows in (slice(16, 32), slice(16, None)):
        _, taken = panels.take(packed, rows)
        assert taken.untyped_storage().data_ptr() == packed.untyped_storage().data_ptr()


@pytest.mark.parametrize("bits", BITS)
def test_bytes_are_the_bits_when_the_row_is_full(bits):
    assert Panels(bits, 3, 512).n_bytes == 3 * 512 * bits // 8


def test_a_row_is_filled_up_to_whole_bytes_in_each_plane():
    assert [Panels(4, 1, n).n_bytes for n in (0, 1, 2, 3)] == [0, 1, 1, 2]
    assert [Panels(3, 1, n).n_bytes for n in (1, 4, 5, 8, 9)] == [2, 2, 3, 3, 5]
    assert Panels.of((3, 4), 8) is None


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**31))
def test_four_bits_by_hand(n_rows, length, seed):
    """[panel][length / 2][lane], numbers k and k + 1 of a row in one byte."""
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randint(0, 16, (n_rows, length), generator=generator).to(torch.uint8)
    wanted = []
    for first in range(0, n_rows, LANES):
        last = min(first + LANES, n_rows)
        # The rows that fill no panel lie in one that is narrower.
        for k in range(0, length, 2):
            for row in range(first, last):
                high = int(numbers[row, k + 1]) if k + 1 < length else 0
                wanted.append(int(numbers[row, k]) + 16 * high)
    assert Panels(4, n_rows, length).pack(numbers).tolist() == wanted


def test_three_bits_by_hand():
    numbers = torch.tensor([[0b001, 0b010, 0b011, 0b100, 0b101, 0b110, 0b111, 0b000]])
    low = [0b00_11_10_01, 0b00_11_10_01]
    high = [0b01111000]
    assert Panels(3, 1, 8).pack(numbers.to(torch.uint8)).tolist() == low + high


@pytest.mark.parametrize("shape", [(), (0,), (1,), (5,), (2, 3), (0, 4), (3, 0), (2, 3, 5)])
@pytest.mark.parametrize("text", ["int2", "int3", "int4", "int7", "e2m1", "int4-affine"])
def test_tensors_of_any_shape(text, shape):
    scheme = Scheme.parse(text)
    scheme = Scheme(scheme.grid, scheme.symmetric, axis=None)
    x = torch.randn(shape)
    q = quantize_tensor(x, scheme)
    rows, length = x[..., :1].numel() if shape else 1, shape[-1] if shape else 1
    assert q.data.shape == q.dequantize().shape == shape
    assert q.packed.shape == (Panels(scheme.bits, rows if length else 0, length).n_bytes,)
