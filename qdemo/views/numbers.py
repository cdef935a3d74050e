"""Numbers as a person reads them: sizes, shares, factors, times."""

from __future__ import annotations

import math

from qdemo.spec.messages import say

NONE = "–"


def megabytes(size: float | None) -> str:
    """Bytes in MB, 1 MB being 1,000,000 bytes, to three digits at least.

    >>> megabytes(307844608), megabytes(5867584), megabytes(1234)
    ('307.8 MB', '5.87 MB', '0.001 MB')
    """
    if size is None:
        return NONE
    mb = size / 1e6
    digits = 1 if mb >= 100 else 2 if mb >= 0.1 else 3
    return say("{size} MB", size=f"{mb:,.{digits}f}")


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
    return int(shown) if shown.is_integer() else shown


def percent(share: float | None) -> str:
    """A share in per cent, to a tenth where it is not whole.

    >>> percent(1.0), percent(0.875), percent(None)
    ('100%', '87.5%', '–')
    """
    return NONE if share is None else f"{100 * share:.1f}".removesuffix(".0") + "%"


def interval(share: float | None, low: float | None, high: float | None) -> str:
    """A share of a sample with its 95% interval; of all and of none, the end that is open.

    >>> interval(1.0, 0.566, 1.0), interval(0.8, 0.376, 0.964), interval(0.0, 0.0, 0.434)
    ('100%, at least 57%', '80%, 38 to 96%', '0%, at most 43%')
    """
    if share is None or low is None or high is None:
        return percent(share)
    found, low, high = percent(share), 100 * low, 100 * high
    if share == 0:
        return say("{share}, at most {high:.0f}%", share=found, high=high)
    if share == 1:
        return say("{share}, at least {low:.0f}%", share=found, low=low)
    return say("{share}, {low:.0f} to {high:.0f}%", share=found, low=low, high=high)


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
