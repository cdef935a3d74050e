"""How quantized weights lie and what they mean, as a value that a kernel is compiled for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from qdemo.loops.machine import LANES

STEP = 8
"""Numbers of a row that are taken at once out of a panel; rows and groups are multiples of it."""

Held = Literal["fp32", "fp16", "e8m0", "e4m3", "dq", "nested"]
Meaning = Literal["table", "integer", "fp8_e4m3", "fp8_e5m2"]
Zeros = Literal["uint8", "fp32"]


@dataclass(frozen=True)
class Form:
    """How weights lie and what they mean: all that a loop over them depends on.

    `planes` are the widths of the planes of a panel, lowest bits first; none where a number is a
    byte of a row. Integers count from `offset`; bytes have their sign.

    `scales` are fp32, fp16, powers of two (e8m0), e4m3 in units of one fp32, bytes that 256 fp32
    values are looked up for (dq), or `nested`: integers in units of an fp16 for `several` groups,
    which lie in planes of a panel themselves (`inner`) and count from `inner_offset`, or are bytes
    with a sign. Where they `are_shared` there is one scale, and zero point, for all. Zero points
    are `zeros`; minima are held as scales are, fp16 or nested.

    A `group` that is known, of a step or two, is written without a loop over its steps; 0 is none.
    """

    planes: tuple[int, ...]
    meaning: Meaning
    offset: int = 0
    has_zero_points: bool = False
    scales: Held = "fp32"
    several: int = 1
    are_shared: bool = False
    zeros: Zeros = "uint8"
    has_minima: bool = False
    inner: tuple[int, ...] = ()
    inner_offset: int = 0
    group: int = 0

    @property
    def multiple(self) -> int:
        """What the length of a row, and of a group, has to be a multiple of."""
        return STEP if self.planes else LANES


ADDRESSES = ("codes", "scales", "zeros", "table", "outer", "minima", "outer_minima", "known",
             "mean")  # fmt: skip
"""Where things lie, in this order, behind the numbers of rows, of weights in a row, and in a group:
the codes; `scales` and `zeros`, (groups, rows) or in panels; a `table` of sixteen fp32 values; the
`outer` scales, of the tensor, of 256 scales or (groups / several, rows); minima and theirs; the
256 fp32 values `known` for a byte, and the `mean` that they are told from. What there is none of
may be anywhere."""

NUMBERS = 3 + len(ADDRESSES)
"""How many numbers tell of weights."""
