"""The product of one row of activations with quantized weights as they lie, written for Triton.

A program takes some rows of weights that lie beside each other and goes along them, `several`
groups at once and `step` numbers of each. Every number is unpacked, decoded and scaled in
registers, and its product with its activation is added up in fp32, in as many sums as there are
numbers at once. What tells one grid from another are constants: there is one kernel.

Importing this imports Triton, which comes with torch's builds for CUDA; `cuda` does it when a
weight is first multiplied on a GPU. Nothing here looks at what it is given: `cuda` does.
"""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def multiply(
    x, codes, scale, zero_point, table, out,
    n_x, n_rows, length, n_groups, group, first, last,
    x_row, x_column, scale_row,
    bits: tl.constexpr, offset: tl.constexpr, has_table: tl.constexpr, has_zero: tl.constexpr,
    lanes: tl.constexpr, wide: tl.constexpr, step: tl.constexpr, several: tl.constexpr,
):  # fmt: skip
    """out[m, first … last] = Σ x[m, k] · scale · (decoded code − zero point), by row of weights.

    Below 8 bits the codes are `numerics.packing`'s panels of `lanes` rows, else a byte each, row by
    row; `offset` is taken from them, or they are places in `table`. A row has `n_groups` scales and
    zero points, `scale_row` behind those of the row before. The grid is
    (n_x · ⌈(last − first) / lanes⌉,).
    """
    m = tl.program_id(0) % n_x
    begin = first + (tl.program_id(0) // n_x).to(tl.int64) * lanes
    lane = tl.arange(0, wide)[None, None, :]
    row = begin + lane
    is_row = (lane < lanes) & (row < last)
    of_several = tl.arange(0, several)[:, None, None]
    of_step = tl.arange(0, step)[None, :, None]
    sums = tl.zeros([several, step, wide], tl.float32)
    for g0 in range(0, n_groups, several):
        g = g0 + of_several
        place = row * scale_row + g
        is_group = g < n_groups
        unit = tl.load(scale + place, mask=is_row & is_group, other=0.0)
        if has_zero:
            zero = tl.load(zero_point + place, mask=is_row & is_group, other=0).to(tl.float32)
        for k0 in range(0, group, step):
            k = g * group + k0 + of_step
            here = is_group & (k0 + of_step < group)
            own = tl.load(x + m * x_row + k.to(tl.int64) * x_column, mask=here, other=0.0)
            here = here & is_row
            if bits == 8:
                number = tl.load(codes + row * length + k, mask=here, other=0).to(tl.int32)
            else:
                number = _unpacked(codes, n_rows, length, begin, k, lane, here, bits, lanes)
            if has_table:  # noqa: SIM108 (chosen when it is compiled)
                value = tl.load(table + number)
            else:
                value = (number - offset).to(tl.float32)
            if has_zero:
                value -= zero
            sums += own.to(tl.float32) * (value * unit)
    total = tl.sum(tl.sum(sums, 1), 0)
    beside = tl.arange(0, wide)
    is_row = (beside < lanes) & (begin + beside < last)
    to = out + m.to(tl.int64) * n_rows + begin + beside
    tl.store(to, total.to(out.dtype.element_ty), mask=is_row)


@triton.jit
def _unpacked(
    codes, n_rows, length, begin, k, lane, here,
    bits: tl.constexpr, lanes: tl.constexpr,
):  # fmt: skip
    """Numbers k of the rows of the panel that begins at row `begin`, out of all their planes."""
    number = tl.zeros_like(k + lane)
    plane = codes
    rows = n_rows + 0 * begin  # in 64 bits, as their bytes may need them
    if bits & 4:
        n_bytes = (length + 1) // 2
        number += _of_plane(plane + begin * n_bytes, k, lane, here, 4, lanes)
        plane += rows * n_bytes
    if bits & 2:
        n_bytes = (length + 3) // 4
        own = _of_plane(plane + begin * n_bytes, k, lane, here, 2, lanes)
        number += own << (bits & 4)
        plane += rows * n_bytes
    if bits & 1:
        n_bytes = (length + 7) // 8
        own = _of_plane(plane + begin * n_bytes, k, lane, here, 1, lanes)
        number += own << (bits & 6)
    return number


@triton.jit
def _of_plane(panel, k, lane, here, width: tl.constexpr, lanes: tl.constexpr):
    """The `width` bits that a plane has of each number."""
    per_byte: tl.constexpr = 8 // width
    held = tl.load(panel + k // per_byte * lanes + lane, mask=here, other=0).to(tl.int32)
    return (held >> (k % per_byte * width)) & ((1 << width) - 1)
