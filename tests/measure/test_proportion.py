import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdemo.spec.proportion import wilson

Z = 1.959963984540054


@given(st.integers(1, 5000), st.data())
def test_its_ends_are_as_far_as_the_score_test_lets_them(total, data):
    """Both solve (p − count/n)² = z² p (1 − p) / n, which is what the interval is made of."""
    count = data.draw(st.integers(0, total))
    share, (low, high) = count / total, wilson(count, total)
    assert 0 <= low <= share <= high <= 1
    for end, is_end in ((low, count > 0), (high, count < total)):
        if is_end:
            wanted = Z**2 * end * (1 - end) / total
            assert (end - share) ** 2 == pytest.approx(wanted, rel=1e-9, abs=1e-15)


@pytest.mark.parametrize("total", [1, 2, 5, 990])
def test_all_and_none_leave_something_open(total):
    open_ = Z**2 / (total + Z**2)
    assert wilson(total, total) == pytest.approx((1 - open_, 1))
    assert wilson(0, total) == pytest.approx((0, open_))


def test_published_values():
    """Of Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I."""
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert wilson(15, 148) == pytest.approx((0.0624, 0.1605), abs=1e-4)
    assert wilson(1, 29) == pytest.approx((0.0061, 0.1718), abs=1e-4)


@pytest.mark.parametrize(("count", "total"), [(1, 0), (-1, 3), (4, 3), (0, 0)])
def test_what_is_no_share_is_refused(count, total):
    with pytest.raises(ValueError, match=f"got {count} of {total}"):
        wilson(count, total)


def test_it_narrows():
    widths = [high - low for low, high in (wilson(n, 2 * n) for n in (1, 10, 100, 1000))]
    assert widths == sorted(widths, reverse=True)
    assert math.isclose(widths[-1], 2 * Z * 0.5 / math.sqrt(2000), rel_tol=0.01)
