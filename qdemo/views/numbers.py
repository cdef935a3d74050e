"""Numbers as a person reads them: sizes, shares, factors, times."""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from qdemo.spec.messages import say, say_counted

NONE = "–"


def megabytes(size: float | None) -> str:
    """Bytes in MB, 1 MB being 1,000,000 bytes, to three digits; less than a hundredth of one in kB
    or bytes.

    >>> [megabytes(size) for size in (307844608, 5867584, 67600, 1234, 104)]
    ['307.8 MB', '5.87 MB', '0.068 MB', '1.23 kB', '104 bytes']
    """
    if size is None:
        return NONE
    if size < 1000:
        return say_counted("{size} byte", "{size} bytes", int(size), size=int(size))
    if size < 10_000:
        return say("{size} kB", size=f"{size / 1e3:.2f}")
    mb = size / 1e6
    digits = 1 if mb >= 100 else 2 if mb >= 0.1 else 3
    return say("{size} MB", size=f"{mb:,.{digits}f}")


def stored_as(dtype: str, n_bytes: float) -> str:
    """What the file of a model holds, whose weights are made fp32 when they are read.

    >>> stored_as("bf16", 269_030_016)
    'stored as bf16, 269.0 MB; casting back to bf16 loses nothing'
    >>> stored_as("q4_1", 96_576_768)
    'stored as q4_1, 96.58 MB: few bits, made floats again'
    """
    size = megabytes(n_bytes)
    if dtype == "fp32":
        return say("stored as fp32, {size}", size=size)
    if dtype.startswith("q"):
        return say("stored as {dtype}, {size}: few bits, made floats again", dtype=dtype, size=size)
    return say(
        "stored as {dtype}, {size}; casting back to {dtype} loses nothing", dtype=dtype, size=size
    )


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


def short(value: float | None) -> float | None:
    """As exact as a chart can show it; of what a chart is sent, digits are the most.

    >>> short(0.0123456789), short(123456.0)
    (0.01235, 123500)
    """
    if value is None:
        return None
    shown = float(f"{value:.4g}")
    is_short = shown.is_integer() and abs(shown) < 2**53  # JSON has no larger ones
    return int(shown) if is_short else shown


def percent(share: float | None) -> str:
    """A share in per cent, to a tenth where it is not whole.

    >>> percent(1.0), percent(0.875), percent(None)
    ('100%', '87.5%', '–')
    """
    return NONE if share is None else f"{100 * share:.1f}".removesuffix(".0") + "%"


def chance(share: float | None) -> str:
    """A probability in per cent; near all and near nothing are not all and nothing.

    >>> [chance(p) for p in (1.0, 0.9996, 0.875, 0.5, 0.0004, 0.0)]
    ['100%', '>99.9%', '87.5%', '50%', '<0.1%', '0%']
    """
    if share is not None and 0.9995 <= share < 1:
        return ">99.9%"
    return "<0.1%" if share is not None and 0 < share < 0.0005 else percent(share)


def bounds(low: float, high: float, decimals: int = 0) -> tuple[str, str]:
    """The ends of an interval of shares in per cent, rounded outward, so that none is promised that
    is narrower than it is.

    >>> bounds(0.5655, 0.9912), bounds(0.9496, 0.9733, 1), bounds(0.57, 1.0)
    (('56', '100'), ('94.9', '97.4'), ('57', '100'))
    """
    low_end, high_end = Decimal(repr(low)), Decimal(repr(high))
    step = Decimal(1).scaleb(-decimals)
    return (
        str((100 * low_end).quantize(step, ROUND_FLOOR)),
        str((100 * high_end).quantize(step, ROUND_CEILING)),
    )


def interval(share: float | None, low: float | None, high: float | None) -> str:
    """A share of a sample with its 95% interval.

    >>> interval(1.0, 0.566, 1.0), interval(0.8, 0.376, 0.964)
    ('100% (56 to 100%)', '80% (37 to 97%)')
    """
    if share is None or low is None or high is None:
        return percent(share)
    lowest, highest = bounds(low, high)
    return say("{share} ({low} to {high}%)", share=percent(share), low=lowest, high=highest)


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
    minutes, rest = divmod(whole, 60)
    if whole < 60:
        return say("{seconds} s", seconds=whole)
    if whole < 3600:
        return say("{minutes} min {seconds} s", minutes=minutes, seconds=rest)
    return say("{hours} h {minutes} min", hours=whole // 3600, minutes=minutes % 60)
