"""Products of a row of activations with quantized weights as they lie, and these weights as floats,
written for Triton.

A program takes some rows of weights that lie beside each other and goes along them, `several`
groups at once and `step` numbers of each. Every number is unpacked, decoded and scaled in
registers, and its product with its activation is added up in fp32, in as many sums as there are
places at once. A place is `unit` numbers, which are those of whole bytes, so that each byte is read
once. What tells one grid from another are constants: there is one kernel for all.

Importing this imports Triton, which comes with torch's builds for CUDA; it is done when a
weight is first multiplied on a GPU. Nothing here looks at what it is given: `cuda_launch` does.
"""

from __future__ import annotations

import triton
import triton.language as tl

_MAGIC = tl.constexpr(0x4B000000)
_AT_ZERO = tl.constexpr(float(1 << 23))
"""A float of these bits counts by ones in its last: with a code there it is 2²³ + code."""


@triton.jit(do_not_specialize=["n_x"])
def multiply(
    x, codes, scale, zero_point, table, out,
    n_x, n_rows, x_row, x_column, length, n_groups, group,
    scale_row, scale_column, zero_row, zero_column, first, last,
    bits: tl.constexpr, offset: tl.constexpr, has_table: tl.constexpr, has_zero: tl.constexpr,
    lanes: tl.constexpr, wide: tl.constexpr, parts: tl.constexpr,
    unit: tl.constexpr, step: tl.constexpr, several: tl.constexpr,
    per_group: tl.constexpr, ahead: tl.constexpr, is_even: tl.constexpr,
):  # fmt: skip
    """out[m, first … last] = Σ x[m, k] · scale · (decoded code − zero point), by row of weights.

    Below 8 bits the codes are `numerics.packing`'s panels of `lanes` rows, else a byte each, row by
    row; `offset` is taken from them, or they are places in `table`. A panel is divided into `parts`
    of `wide` lanes, each a program's. What is called `_row` and `_column` is how far numbers of the
    same tensor lie apart. Where it `is_even`, no place is beyond an end. The grid is
    (n_x · ⌈(last − first) / lanes⌉ · parts,).
    """
    m = tl.program_id(0) % n_x
    begin, beside = _rows_of(tl.program_id(0) // n_x, first, lanes, wide, parts)
    lane = beside[None, None, :]
    is_row = (lane < lanes) & (begin + lane < last) | is_even
    sums = tl.zeros([several, step // unit, wide], tl.float32)
    n_tiles = (group + step - 1) // step
    if per_group:
        n_tiles = (n_groups + several - 1) // several * per_group
    for tile in range(0, n_tiles, ahead):
        read = ()
        for j in tl.static_range(ahead):
            read += (
                _read(
                    tile + j, codes, scale, zero_point, n_rows, length, n_groups, group,
                    scale_row, scale_column, zero_row, zero_column, begin, lane, is_row,
                    bits, has_zero, lanes, unit, step, several, per_group, is_even,
                ),
            )  # fmt: skip
        # All of that is under way before the first is used.
        tl.debug_barrier()
        for j in tl.static_range(ahead):
            g, within = _place(tile + j, unit, step, several, per_group)
            for i in tl.static_range(unit):
                is_x = (g < n_groups) & (within + i < group) | is_even
                k = g * group + within
                own_place = x + m * x_row + (k + i).to(tl.int64) * x_column
                own = tl.load(own_place, mask=is_x, other=0.0)
                value = _value(read[j], table, k, i, bits, offset, has_table, has_zero, unit)
                sums += own.to(tl.float32) * value
    total = tl.sum(tl.sum(sums, 1), 0)
    to = out + m.to(tl.int64) * n_rows + begin + beside
    tl.store(to, total.to(out.dtype.element_ty), mask=(beside < lanes) & (begin + beside < last))


@triton.jit
def dequantize(
    codes, scale, zero_point, table, out,
    n_rows, length, n_groups, group,
    scale_row, scale_column, zero_row, zero_column, first, last,
    bits: tl.constexpr, offset: tl.constexpr, has_table: tl.constexpr, has_zero: tl.constexpr,
    lanes: tl.constexpr, wide: tl.constexpr, parts: tl.constexpr,
    unit: tl.constexpr, step: tl.constexpr, several: tl.constexpr,
    per_group: tl.constexpr, ahead: tl.constexpr, is_even: tl.constexpr,
):  # fmt: skip
    """out[row − first, k] = scale · (decoded code − zero point), of rows first … last.

    All is as for `multiply`, but the grid: (⌈(last − first) / lanes⌉ · parts, tiles of a row).
    """
    begin, beside = _rows_of(tl.program_id(0), first, lanes, wide, parts)
    lane = beside[None, None, :]
    row = begin + lane
    is_row = (lane < lanes) & (row < last) | is_even
    tile = tl.program_id(1)
    read = _read(
        tile, codes, scale, zero_point, n_rows, length, n_groups, group,
        scale_row, scale_column, zero_row, zero_column, begin, lane, is_row,
        bits, has_zero, lanes, unit, step, several, per_group, is_even,
    )  # fmt: skip
    g, within = _place(tile, unit, step, several, per_group)
    for i in tl.static_range(unit):
        value = _value(read, table, g * group + within, i, bits, offset, has_table, has_zero, unit)
        to = out + (row - first) * length + g * group + within + i
        is_there = is_row & (g < n_groups) & (within + i < group) | is_even
        tl.store(to, value.to(out.dtype.element_ty), mask=is_there)


@triton.jit
def _rows_of(part, first, lanes: tl.constexpr, wide: tl.constexpr, parts: tl.constexpr):
    """The first row of the panel that a part is of, in 64 bits as their bytes may need them, and
    the lanes of the part, (wide,)."""
    begin = first + (part // parts).to(tl.int64) * lanes
    return begin, part % parts * wide + tl.arange(0, wide)


@triton.jit
def _read(
    tile, codes, scale, zero_point, n_rows, length, n_groups, group,
    scale_row, scale_column, zero_row, zero_column, begin, lane, is_row,
    bits: tl.constexpr, has_zero: tl.constexpr, lanes: tl.constexpr, unit: tl.constexpr,
    step: tl.constexpr, several: tl.constexpr, per_group: tl.constexpr, is_even: tl.constexpr,
):  # fmt: skip
    """What is held of a tile: its bytes, scales and zero points (scales again without any)."""
    g, within = _place(tile, unit, step, several, per_group)
    here = is_row & (g < n_groups) | is_even
    held = _bytes(codes, n_rows, length, begin, lane, g * group + within,
                  here & (within < group) | is_even, bits, lanes, unit, is_even)  # fmt: skip
    row = begin + lane
    of_row = tl.load(scale + row * scale_row + g.to(tl.int64) * scale_column, mask=here, other=0.0)
    zero = of_row
    if has_zero:
        place = zero_point + row * zero_row + g.to(tl.int64) * zero_column
        zero = tl.load(place, mask=here, other=0)
    return held, of_row, zero


@triton.jit
def _value(
    read, table, at, i: tl.constexpr,
    bits: tl.constexpr, offset: tl.constexpr, has_table: tl.constexpr, has_zero: tl.constexpr,
    unit: tl.constexpr,
):  # fmt: skip
    """The weights of number at + i of each row, out of what was `_read`."""
    number = _number(read[0], at, i, bits, unit)
    if bits == 8 and offset:  # signed: counted from its least
        number = number ^ offset
    ready = (number | _MAGIC).to(tl.float32, bitcast=True)
    value = tl.load(table + number) if has_table else ready
    zero = 0.0 if has_table else _AT_ZERO + offset
    if has_zero:
        zero += read[2].to(tl.float32)
    return (value - zero) * read[1]


@triton.jit
def _place(
    tile, unit: tl.constexpr, step: tl.constexpr, several: tl.constexpr, per_group: tl.constexpr
):
    """Which groups a tile is of, and the first number of each place within its group. A group has
    `per_group` tiles, or, where that is 0, the row has but one group."""
    g = tl.arange(0, several)[:, None, None]
    within = tl.arange(0, step // unit)[None, :, None] * unit
    if per_group:
        g += tile // per_group * several
        within += tile % per_group * step
    else:
        within += tile * step
    return g, within


@triton.jit
def _bytes(
    codes, n_rows, length, begin, lane, at, here,
    bits: tl.constexpr, lanes: tl.constexpr, unit: tl.constexpr, is_even: tl.constexpr,
):  # fmt: skip
    """All bytes in which numbers at … at + unit of each row are, plane by plane."""
    found = ()
    plane = codes
    if bits == 8:
        found += (tl.load(codes + (begin + lane) * length + at, mask=here, other=0),)
    elif bits & 4:
        n_bytes = (length + 1) // 2
        found += _of_plane(
            plane + begin * n_bytes + lane, at, here, n_bytes, 4, lanes, unit, is_even
        )
        plane += n_rows.to(tl.int64) * n_bytes
    if bits & 2:
        n_bytes = (length + 3) // 4
        found += _of_plane(
            plane + begin * n_bytes + lane, at, here, n_bytes, 2, lanes, unit, is_even
        )
        plane += n_rows.to(tl.int64) * n_bytes
    if bits & 1:
        n_bytes = (length + 7) // 8
        found += _of_plane(
            plane + begin * n_bytes + lane, at, here, n_bytes, 1, lanes, unit, is_even
        )
    return found


@triton.jit
def _of_plane(
    panel, at, here, n_bytes,
    width: tl.constexpr, lanes: tl.constexpr, unit: tl.constexpr, is_even: tl.constexpr,
):  # fmt: skip
    """Those of one plane, of a panel whose rows have `n_bytes` each."""
    per_byte: tl.constexpr = 8 // width
    found = ()
    for i in tl.static_range(0, unit, per_byte if unit % per_byte == 0 else 1):
        byte = at // per_byte + i // per_byte if unit % per_byte == 0 else (at + i) // per_byte
        found += (tl.load(panel + byte * lanes, mask=here & (byte < n_bytes) | is_even, other=0),)
    return found


@triton.jit
def _number(held, at, i: tl.constexpr, bits: tl.constexpr, unit: tl.constexpr):
    """Number at + i, out of the bytes of all planes; one of 8 bits as it is held."""
    fours: tl.constexpr = (unit // 2 if unit % 2 == 0 else unit) if bits & 4 else 0
    twos: tl.constexpr = (unit // 4 if unit % 4 == 0 else unit) if bits & 2 else 0
    number = tl.zeros([1, 1, 1], tl.int32)
    if bits == 8:
        number = number | held[0].to(tl.int32)
    if bits & 4:
        number = number | _of_byte(held, 0, at, i, 4, unit)
    if bits & 2:
        number = number | _of_byte(held, fours, at, i, 2, unit) << (bits & 4)
    if bits & 1:
        number = number | _of_byte(held, fours + twos, at, i, 1, unit) << (bits & 6)
    return number


@triton.jit
def _of_byte(
    held, first: tl.constexpr, at, i: tl.constexpr, width: tl.constexpr, unit: tl.constexpr
):
    """The `width` bits that a plane, whose bytes begin at `first`, has of number at + i."""
    per_byte: tl.constexpr = 8 // width
    ones: tl.constexpr = (1 << width) - 1
    byte = held[first + (i // per_byte if unit % per_byte == 0 else i)].to(tl.int32)
    of_byte = (i if unit % per_byte == 0 else at + i) % per_byte
    return (byte >> (of_byte * width)) & ones
