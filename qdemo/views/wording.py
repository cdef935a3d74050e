"""Numbers and formats in words: the same ones on the page, in files and in the terminal."""

from __future__ import annotations

import math
from collections.abc import Sequence

NONE = "–"

_STORED = {
    "fp32": "single precision, 32 bits",
    "fp16": "half precision: 5 bits exponent, 10 fraction",
    "bf16": "brain float: 8 bits exponent, 7 fraction",
    "fp8_e4m3": "8-bit floats, scaled: 4 bits exponent, 3 fraction",
    "fp8_e5m2": "8-bit floats, scaled: 5 bits exponent, 2 fraction",
}
_GRANULARITY = {"": "a row", "tensor": "a tensor", "axis1": "a column"}


def describe(variant: str) -> str:
    """What a variant's text form means, shortly.

    >>> describe("int4-g64-affine+emb@bf16")
    '4-bit integers, scale and zero point a group of 64; embeddings too; computes in bf16'
    >>> describe("bf16")
    'brain float: 8 bits exponent, 7 fraction'
    """
    rest, _, compute = variant.partition("@")
    stored, emb, _ = rest.partition("+emb")
    base, *options = stored.split("-")
    if base in ("fp32", "fp16", "bf16"):
        return _STORED[base]
    what = _STORED.get(base, f"{base.removeprefix('int')}-bit integers")
    what += f", {_scales(options)}"
    return "; ".join(
        [what, *(["embeddings too"] if emb else []), f"computes in {compute or 'fp32'}"]
    )


def _scales(options: Sequence[str]) -> str:
    scale = "scale and zero point" if "affine" in options else "one scale"
    groups = [option for option in options if option[0] == "g"]
    where = next((option for option in options if option in _GRANULARITY), "")
    return f"{scale} {f'a group of {groups[0][1:]}' if groups else _GRANULARITY[where]}"


def megabytes(size: float | None) -> str:
    """Bytes in MB, 1 MB being 1,000,000 bytes, to three digits at least.

    >>> megabytes(307844608), megabytes(5867584), megabytes(1234)
    ('307.8 MB', '5.87 MB', '0.001 MB')
    """
    if size is None:
        return NONE
    mb = size / 1e6
    return f"{mb:,.1f} MB" if mb >= 100 else f"{mb:,.2f} MB" if mb >= 0.1 else f"{mb:.3f} MB"


def significant(value: float | None, digits: int = 3) -> str:
    """So many significant digits, without powers of ten where that reads well.

    >>> [significant(x) for x in (0, 0.0169, 12.345, 2541.2, 1.18e-7, None)]
    ['0', '0.0169', '12.3', '2,541', '1.18e-07', '–']
    """
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    if not 1e-4 <= abs(value) < 1e6:
        return f"{value:.{digits - 1}e}"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{value:,.{max(0, decimals)}f}"


def percent(share: float | None) -> str:
    """A share in per cent, to a tenth where it is not whole.

    >>> percent(1.0), percent(0.875), percent(None)
    ('100%', '87.5%', '–')
    """
    return NONE if share is None else f"{100 * share:.1f}".removesuffix(".0") + "%"


def times(ratio: float | None) -> str:
    """A ratio as a factor.

    >>> times(2.849)
    '2.85×'
    """
    return NONE if ratio is None else f"{ratio:.2f}×"


def duration(seconds: float) -> str:
    """A time to wait, as exact as one cares.

    >>> duration(9.7), duration(75), duration(4000)
    ('10 s', '1 min 15 s', '1 h 6 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def joined(names: Sequence[str]) -> str:
    """A list in a sentence.

    >>> joined(["fp16", "bf16", "int8"])
    'fp16, bf16 and int8'
    """
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
