"""What counts and means of a sample say of what it stands for: McNemar's test, Holm's correction,
intervals of paired differences, percentiles, and how many items it would take.

All in Python's own numbers, so whatever shows a result can compute it. Two-sided, 95%.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cache

from qdemo.spec.messages import say

Z = 1.959963984540054
"""The normal distribution's 97.5th percentile."""

_Z_POWER = 0.8416212335729143  # its 80th: four times in five a difference of that size is found


def mcnemar(right_to_wrong: int, wrong_to_right: int) -> float:
    """The exact two-sided p of McNemar's test: how likely flips so uneven would be, if either way
    were as likely; 1 where nothing flips (McNemar, "Note on the Sampling Error of the Difference
    Between Correlated Proportions or Percentages", 1947).

    >>> mcnemar(0, 0), mcnemar(6, 0), mcnemar(3, 3)
    (1.0, 0.03125, 1.0)
    """
    flips = _count(right_to_wrong) + _count(wrong_to_right)
    fewer = min(right_to_wrong, wrong_to_right)
    tail = ways = 1
    for k in range(fewer):  # of so many flips k + 1 go the other way
        ways = ways * (flips - k) // (k + 1)
        tail += ways
    both: float = 2 * tail / 2**flips  # of whole numbers, however large, so exact until here
    return min(1.0, both)


def holm(ps: Sequence[float]) -> list[float]:
    """The same p's, each as if it were the only one tested, in their order (Holm, "A Simple
    Sequentially Rejective Multiple Test Procedure", 1979).

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted, least = [0.0] * len(ps), 0.0
    for rank, i in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        least = max(least, min(1.0, (len(ps) - rank) * ps[i]))
        adjusted[i] = least
    return adjusted


def paired_loss(right_to_wrong: int, wrong_to_right: int, total: int) -> tuple[float, float]:
    """The 95% interval of how much of the share that is right is lost, from −1 to 1, on the same
    items: Wald's with half an item added to each of the four counts (Agresti and Min, "Simple
    Improved Confidence Intervals for Comparing Matched Proportions", 2005).

    >>> [round(end, 3) for end in paired_loss(0, 0, 100)]
    [-0.019, 0.019]

    Raises:
        ValueError: there are fewer items than flips, or none.
    """
    if _count(right_to_wrong) + _count(wrong_to_right) > total or not total:
        raise ValueError(
            say(
                "{flips} flips of {total} items; expected one item or more, and no more flips",
                flips=right_to_wrong + wrong_to_right,
                total=total,
            )
        )
    n, lost = total + 2, right_to_wrong - wrong_to_right
    error = math.sqrt(right_to_wrong + wrong_to_right + 1 - lost**2 / n) / n
    return max(-1.0, lost / n - Z * error), min(1.0, lost / n + Z * error)


def items_to_tell(right_to_wrong: int, wrong_to_right: int, total: int) -> int | None:
    """How many items it would take to tell the two apart, were flips as frequent in all of them:
    McNemar's exact test at 5%, found four times in five (Connor, "Sample Size for Testing
    Differences in Proportions for the Paired-Sample Design", 1987), with Fleiss's correction for
    counts ("Statistical Methods for Rates and Proportions", 1981). None where no difference was
    seen.

    >>> items_to_tell(10, 2, 1000), items_to_tell(5, 0, 5), items_to_tell(3, 3, 100)
    (1711, 6, None)
    """
    lost = abs(right_to_wrong - wrong_to_right) / total
    flipped = (right_to_wrong + wrong_to_right) / total
    if not lost:
        return None
    spread = math.sqrt(max(0.0, flipped - lost**2))
    many = ((Z * math.sqrt(flipped) + _Z_POWER * spread) / lost) ** 2
    return math.ceil(many / 4 * (1 + math.sqrt(1 + 4 / (many * lost))) ** 2)


def values_to_tell(values: Sequence[float]) -> int | None:
    """The same for the mean of paired differences, told apart from 0 by their own spread.

    >>> values_to_tell([0.9, 1.1, 1.3]), values_to_tell([1.0])
    (1, None)
    """
    error, middle = standard_error(values), mean(values)
    if error is None or not middle or not math.isfinite(error):
        return None
    variance = error**2 * len(values)
    return max(1, math.ceil((Z + _Z_POWER) ** 2 * variance / middle**2))


def mean(values: Sequence[float]) -> float:
    """Their mean, summed exactly; infinite where one is. (None of them is NaN.)

    Raises:
        ValueError: there are none.
    """
    if not values:
        raise ValueError(say("there is no mean of no values"))
    return sum(values) if any(map(math.isinf, values)) else math.fsum(values) / len(values)


def standard_error(values: Sequence[float]) -> float | None:
    """That of their mean, of values that are independent; None for fewer than two.

    >>> standard_error([1.0, 2.0, 3.0])
    0.5773502691896257
    """
    if len(values) < 2:
        return None
    middle = mean(values)
    if math.isinf(middle):
        return math.inf
    squares = math.fsum((value - middle) ** 2 for value in values)
    return math.sqrt(squares / (len(values) - 1) / len(values))


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95% interval of their mean, by Student's t; None for fewer than two, or where one is
    infinite."""
    error = standard_error(values)
    if error is None or math.isinf(error):
        return None
    middle, half = mean(values), student(len(values) - 1) * error
    return middle - half, middle + half


@cache
def student(freedom: int) -> float:
    """The 97.5th percentile of Student's t with so many degrees of freedom, from 1 on: how many
    standard errors a mean of few values may be off ("The Probable Error of a Mean", 1908).

    >>> round(student(1), 3), round(student(9), 3)
    (12.706, 2.262)
    """
    low, high = Z, 13.0
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if _inside(middle, freedom) < 0.95 else (low, middle)
    return high


def _inside(t: float, freedom: int) -> float:
    """The share of Student's distribution from −t to t (Abramowitz and Stegun, "Handbook of
    Mathematical Functions", 1964, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    squared, odd = math.cos(angle) ** 2, freedom % 2
    term = math.sin(angle) * (math.cos(angle) if odd else 1.0)
    total = 0.0
    for k in range(1 + odd, freedom, 2):
        total += term
        term *= squared * k / (k + 1)
    return (angle + total) * 2 / math.pi if odd else total


def percentile(values: Sequence[float], percent: float) -> float | None:
    """The nearest rank; None where there are fewer than the percentile can tell: 100 for the 99th.

    >>> percentile(range(1, 101), 99), percentile(range(1, 100), 99)
    (99, None)
    """
    share = Fraction(str(percent)) / 100  # as it is written: a float's 99.9 is a little less
    if len(values) * (1 - share) < 1:
        return None
    return sorted(values)[max(0, math.ceil(len(values) * share) - 1)]


def median(values: Sequence[float]) -> float:
    """The middle one, or the mean of the two in the middle.

    Raises:
        ValueError: there are none.
    """
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else mean(ordered[half - 1 : half + 1])


def _count(number: int) -> int:
    if number < 0:
        raise ValueError(say("expected a count from 0 on, got {found}", found=number))
    return number
